#include "recorder/probe/noted_ioctl.h"

#include <fmt/core.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

namespace kvmtape {
namespace {

using Bytes = std::span<const uint8_t>;

int make_and_note(Stage& stage, const NotedCall& call, uint64_t argument, Bytes in, Bytes out) {
  const int result = ioctl(call.fd, call.request, argument);
  const int error_number = result < 0 ? errno : 0;
  kvmtape_control_call(stage.session(), call.descriptor, call.tape, call.request, argument,
                       in.data(), in.size(), out.data(), out.size(), result, error_number);
  if (result < 0) stage.refuse(fmt::format("{}: {}", call.name, errno_name(error_number)));
  return result;
}

}  // namespace

int noted_ioctl(Stage& stage, const NotedCall& call, uint64_t value) {
  if (!stage.going()) return -1;
  return make_and_note(stage, call, value, {}, {});
}

int noted_ioctl(Stage& stage, const NotedCall& call, void* payload, size_t bytes) {
  if (!stage.going()) return -1;
  const uint8_t* first = static_cast<const uint8_t*>(payload);
  const bool reads_payload = (_IOC_DIR(call.request) & _IOC_WRITE) != 0;
  const bool writes_payload = (_IOC_DIR(call.request) & _IOC_READ) != 0;
  // The kernel may overwrite what it has read: keep it for the note.
  const std::vector<uint8_t> in(first, reads_payload ? first + bytes : first);
  return make_and_note(stage, call, reinterpret_cast<uintptr_t>(payload), in,
                       {first, writes_payload ? bytes : 0});
}

const char* errno_name(int error_number) {
  const char* name = strerrorname_np(error_number);
  return name != nullptr ? name : "unknown errno";
}

}  // namespace kvmtape
