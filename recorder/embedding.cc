// kvmtape.h: C on the outside. Nothing may be thrown through these functions; memory exhaustion and
// whatever else the library throws at set-up time becomes a kvmtape_error here.
#include <errno.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "recorder/kvmtape.h"
#include "recorder/session.h"

using kvmtape::Error;

namespace {

void set_error(kvmtape_error* error, int code, const std::string& text) {
  if (error == nullptr) return;
  error->code = code;
  std::snprintf(error->text, sizeof error->text, "%s", text.c_str());
}

void set_error(kvmtape_error* error, const Error& from) {
  set_error(error, from.code == kvmtape::ErrorCode::kUsage ? EINVAL : EIO, from.to_string());
}

std::span<const uint8_t> bytes_of(const void* from, size_t bytes) {
  return {static_cast<const uint8_t*>(from), from == nullptr ? 0 : bytes};
}

// Runs `body`, which may allocate; `otherwise` is what is returned if that fails.
template <typename Body, typename Value>
Value guarded(kvmtape_error* error, Value otherwise, Body body) noexcept {
  try {
    return body();
  } catch (const std::exception& exception) {
    set_error(error, ENOMEM, exception.what());
    return otherwise;
  }
}

}  // namespace

extern "C" {

void kvmtape_options_init_sized(kvmtape_options* options, size_t struct_bytes) noexcept {
  kvmtape_options defaults{};
  defaults.struct_bytes = struct_bytes;
  defaults.ring_bytes = 1 << 20;
  defaults.ring_bytes_total = size_t{256} << 20;
  defaults.registers_every = 1;
  defaults.drain_interval_us = 1000;
  defaults.max_files = 16;
  defaults.exit_reasons = ~uint64_t{0};
  defaults.kvm_fd = -1;
  defaults.vm_fd = -1;
  std::memset(options, 0, struct_bytes);  // what only a newer header knows
  std::memcpy(options, &defaults, std::min(struct_bytes, sizeof defaults));
}

kvmtape_session* kvmtape_open(const kvmtape_options* options, kvmtape_error* error) noexcept {
  set_error(error, 0, "");
  return guarded(error, static_cast<kvmtape_session*>(nullptr), [&]() -> kvmtape_session* {
    // A monitor built against an older header passes a shorter struct: the rest keeps its default.
    kvmtape_options all;
    kvmtape_options_init(&all);
    if (options == nullptr || options->struct_bytes == 0 || options->struct_bytes > 4096) {
      set_error(error, EINVAL, "initialise the options with kvmtape_options_init");
      return nullptr;
    }
    std::memcpy(&all, options, std::min(options->struct_bytes, sizeof all));
    auto session = kvmtape_session::open(all);
    if (session.ok()) return session->release();
    set_error(error, session.error());
    return nullptr;
  });
}

kvmtape_vcpu* kvmtape_attach_vcpu(kvmtape_session* session, unsigned id, int vcpu_fd, void* run,
                                  size_t run_bytes, kvmtape_error* error) noexcept {
  set_error(error, 0, "");
  if (session == nullptr) return nullptr;
  return guarded(error, static_cast<kvmtape_vcpu*>(nullptr), [&]() -> kvmtape_vcpu* {
    std::string warning;
    auto vcpu = session->attach(id, vcpu_fd, run, run_bytes, warning);
    if (!vcpu.ok()) {
      set_error(error, vcpu.error());
      return nullptr;
    }
    if (!warning.empty()) set_error(error, ENOSPC, warning);
    return *vcpu;
  });
}

void kvmtape_exit(kvmtape_vcpu* vcpu, int ret, int error_number) noexcept {
  if (vcpu != nullptr) vcpu->capture.exit(ret, error_number);
}

void kvmtape_enter(kvmtape_vcpu* vcpu) noexcept {
  if (vcpu != nullptr) vcpu->capture.enter();
}

int kvmtape_control_call(kvmtape_session* session, kvmtape_descriptor descriptor,
                         const kvmtape_vcpu* vcpu, unsigned long request, uint64_t argument,
                         const void* in, size_t in_bytes, const void* out, size_t out_bytes,
                         int result, int error_number) noexcept {
  if (session == nullptr) return 0;
  return session->control_call(descriptor, vcpu, request, argument, bytes_of(in, in_bytes),
                               bytes_of(out, out_bytes), result, error_number)
             ? 0
             : -1;
}

int kvmtape_mark(kvmtape_session* session, const char* text) noexcept {
  if (session == nullptr || text == nullptr) return 0;
  return session->mark(text) ? 0 : -1;
}

int kvmtape_snapshot(kvmtape_session* session, const char* reason, kvmtape_error* error) noexcept {
  set_error(error, 0, "");
  if (session == nullptr) return 0;
  return guarded(error, -1, [&] {
    auto written = session->snapshot(reason == nullptr ? "" : reason);
    if (!written.ok()) set_error(error, written.error());
    return written.ok() ? 0 : -1;
  });
}

void kvmtape_get_totals(kvmtape_session* session, kvmtape_totals* totals) noexcept {
  if (totals == nullptr) return;
  *totals = session == nullptr ? kvmtape_totals{} : session->totals();
}

const char* kvmtape_path(const kvmtape_session* session) noexcept {
  return session == nullptr ? "" : session->path().c_str();
}

int kvmtape_close(kvmtape_session* session, kvmtape_totals* totals, kvmtape_error* error) noexcept {
  set_error(error, 0, "");
  kvmtape_totals counted{};
  int code = 0;
  if (session != nullptr)
    code = guarded(error, -1, [&] {
      auto closed = session->close(counted);
      if (!closed.ok()) set_error(error, closed.error());
      return closed.ok() ? 0 : -1;
    });
  delete session;
  if (totals != nullptr) *totals = counted;
  return code;
}

}  // extern "C"
