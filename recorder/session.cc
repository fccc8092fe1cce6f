#include "recorder/session.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "recorder/drain/wake_ups.h"
#include "recorder/host_facts.h"
#include "recorder/ring/control_call.h"
#include "recorder/ring/ring_create.h"
#include "recorder/ring/signal_shield.h"
#include "recorder/session_header.h"
#include "recorder/session_options.h"
#include "recorder/trace_directory.h"

using namespace kvmtape;  // NOLINT: this file is the seam between the C API and the namespace

namespace {

constexpr uint64_t kSessionRingBytes = 256 * 1024;  // control calls: thousands at start, then few
constexpr uint32_t kSetGuestDebugNumber =
    0xae9b;  // _IOW(KVMIO, 0x9b, ...), size and direction apart

// What decoding needs, as far as it is known before the first vCPU.
Session describe(const kvmtape_options& options, const Uuid& uuid, const WatchedProcess* watched) {
  Session session;
  session.uuid = uuid;
  fill_host_facts(session);
  if (watched != nullptr) {
    session.monitor_name = watched->name;
    session.monitor_pid = watched->pid;
    session.monitor_command = watched->command;
  }
  // KVM takes a vCPU's ioctls from its own process alone.
  const auto policy = watched != nullptr && !watched->registers
                          ? RegisterPolicy::kNever
                          : static_cast<RegisterPolicy>(options.registers);
  if (options.monitor_name != nullptr) session.monitor_name = options.monitor_name;
  session.recorder = recorder_text(options.recorder != nullptr ? options.recorder : "embed");
  session.register_policy = register_policy_text(policy, std::max(1u, options.registers_every));
  session.ring_full =
      options.ring_full == KVMTAPE_OVERWRITE || options.flight_bytes != 0 ? "overwrite" : "drop";
  UniqueFd kvm;
  int kvm_fd = options.kvm_fd;
  if (kvm_fd < 0) {
    kvm.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    kvm_fd = kvm.get();
  }
  fill_capabilities(session, kvm_fd, options.vm_fd);
  return session;
}

}  // namespace

Result<std::unique_ptr<kvmtape_session>> kvmtape_session::open(const kvmtape_options& options,
                                                               const WatchedProcess* watched) {
  std::unique_ptr<kvmtape_session> session(new kvmtape_session);
  session->capture_options_ = {static_cast<RegisterPolicy>(options.registers),
                               std::max(1u, options.registers_every),
                               options.allow_vcpu_ioctls != 0,
                               {}};
  KVMTAPE_TRY_ASSIGN(session->capture_options_.filter, filter_of(options));
  session->ring_bytes_ = options.ring_bytes;
  session->ring_bytes_total_ = options.ring_bytes_total;
  session->flight_ = options.flight_bytes != 0;
  session->overwrite_ = options.ring_full == KVMTAPE_OVERWRITE || session->flight_;
  if (session->flight_) {
    session->ring_bytes_ = options.flight_bytes;
    session->ring_bytes_total_ = std::max(options.ring_bytes_total, 4 * options.flight_bytes);
  }
  session->drain_interval_us_ = std::max(50u, options.drain_interval_us);

  const SignalShield shield;
  const Uuid uuid = random_uuid();
  Session description = describe(options, uuid, watched);
  description.left_out = left_out_by(session->capture_options_.filter);
  if (options.path != nullptr && options.path[0] != '\0') {
    session->path_ = options.path;
  } else {
    KVMTAPE_TRY_ASSIGN(session->path_, new_trace_path(description.monitor_name));
  }
  KVMTAPE_TRY_ASSIGN(TraceFile file, TraceFile::create(session->path_, options.force != 0, uuid));
  // From here on a failure leaves no half-made trace behind.
  const bool replaces = file.replaces();
  auto abandon = [&](Error error) {
    remove_ring_directory(session->ring_directory_, session->ring_parent_is_ours_);
    if (!replaces) ::unlink(session->path_.c_str());
    return error;
  };
  auto directory =
      make_ring_directory(options.ring_directory == nullptr ? "" : options.ring_directory, uuid);
  if (!directory.ok()) return abandon(directory.error());
  session->ring_directory_ = *directory;
  session->ring_parent_is_ours_ =
      options.ring_directory == nullptr || options.ring_directory[0] == '\0';
  description.ring_directory = *directory;
  link_to_trace(*directory, session->path_);
  auto ring =
      create_ring(*directory + "/" + ring_file_name(kSessionStream),
                  {uuid, kSessionStream, kSessionStream, kSessionRingBytes, session->flight_});
  if (!ring.ok()) return abandon(ring.error());
  session->session_ring_ = std::make_unique<RingFile>(std::move(*ring));
  session->session_writer_.bind(session->session_ring_->header());
  lock_as_writer(*session->session_ring_);

  const ClockReader clock = watched == nullptr ? read_clocks : watched->clock;
  session->clock_ = clock;
  start_clocks(description, clock);
  auto keeper = make_keeper(options, std::move(file), std::move(description), clock);
  if (!keeper.ok()) return abandon(keeper.error());
  session->drain_ = std::move(*keeper);
  session->drain_->add_stream(session->session_ring_->header());
  leave_header_copy(session->drain_->session(), clock);
  // The header is on disk before the first exit: a monitor killed at once leaves a readable trace.
  if (auto written = session->drain_->begin(); !written.ok()) return abandon(written.error());
  if (options.control != 0) session->open_control();

  try {  // the thread inherits the shield: the monitor's signals are not for it
    session->drain_thread_ = std::thread([raw = session.get()] { raw->drain_loop(); });
  } catch (const std::system_error& error) {
    return abandon(Error{ErrorCode::kIo,
                         std::string("cannot start the drain's thread: ") + error.what(),
                         {},
                         std::nullopt});
  }
  session->closed_ = false;
  return session;
}

kvmtape_session::~kvmtape_session() {
  if (!closed_ && drain_ != nullptr) {  // without a drain it was never open
    kvmtape_totals ignored;
    (void)close(ignored).ok();
  }
}

// mutex_ is held. False: memory is exhausted. The monitor must not die of that: recording ends
// here, the rings keep what they hold, and whoever produces more counts it as lost.
template <typename Call>
bool kvmtape_session::guard_drain(Call call) {
  if (drain_failed_) return false;
  try {
    call();
  } catch (const std::exception&) {
    drain_failed_ = true;
  }
  return !drain_failed_;
}

Error kvmtape_session::drain_failed() const {
  return {ErrorCode::kIo,
          "recording ended early, memory was exhausted: the trace and the rings in " +
              ring_directory_ + " hold what came before",
          path_, std::nullopt};
}

void kvmtape_session::drain_loop() {
  pthread_setname_np(pthread_self(), "kvmtape-drain");
  WakeUps wake_ups(drain_interval_us_);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    bool hurry = false;
    if (!guard_drain([&] {
          hurry = drain_->pump();
          if (steering_) steering_->look();
          if (control_) control_->poll();
        }))
      return;
    const std::chrono::microseconds sleep(wake_ups.next_us(hurry, drain_interval_us_));
    wake_.wait_for(lock, sleep, [this] { return stop_; });
  }
}

// nullptr and a warning where there is no memory. A flight recorder makes do with less.
std::unique_ptr<RingFile> kvmtape_session::make_ring(const SessionVcpu& vcpu,
                                                     std::string& warning) {
  const std::string path = ring_directory_ + "/" + ring_file_name(vcpu.index);
  for (uint64_t wanted = ring_bytes_;; wanted /= 2) {
    const uint64_t bytes = ring_geometry(wanted).file_bytes();
    if (ring_bytes_used_ + bytes > ring_bytes_total_) {
      warning = "vCPU " + std::to_string(vcpu.id) + ": rings of all vCPUs would exceed " +
                std::to_string(ring_bytes_total_) +
                " bytes: its exits are only counted (use smaller rings or raise ring_bytes_total)";
    } else if (auto made = create_ring(path, {drain_->session().uuid, vcpu.index, vcpu.id, wanted,
                                              overwrite_, flight_});
               made.ok()) {
      ring_bytes_used_ += bytes;
      warning.clear();
      return std::make_unique<RingFile>(std::move(*made));
    } else {
      warning = made.error().to_string() + ": the exits of vCPU " + std::to_string(vcpu.id) +
                " are only counted";
    }
    if (!flight_ || wanted <= kRingBytesMin) return nullptr;
  }
}

Result<kvmtape_vcpu*> kvmtape_session::attach(unsigned id, int vcpu_fd, void* run, size_t run_bytes,
                                              std::string& warning) {
  if (run == nullptr || run_bytes < kCoreWords * kWordBytes ||
      reinterpret_cast<uintptr_t>(run) % kWordBytes != 0)
    return Error{ErrorCode::kUsage,
                 "run must be the mapping of the vCPU's descriptor at offset 0, and run_bytes what "
                 "KVM_GET_VCPU_MMAP_SIZE says",
                 {},
                 std::nullopt};
  std::lock_guard lock(mutex_);
  const SessionVcpu description{static_cast<uint32_t>(vcpus_.size()), id,
                                static_cast<uint32_t>(run_bytes)};
  std::unique_ptr<RingFile> ring = make_ring(description, warning);
  auto vcpu = std::make_unique<kvmtape_vcpu>(ring ? ring->header() : nullptr, run, run_bytes,
                                             vcpu_fd, capture_options_);
  vcpu->description = description;
  if (vcpus_.empty()) update_latest(path_);
  drain_->session().vcpus.push_back(description);
  drain_->note_session_changed();
  leave_header_copy(drain_->session(), clock_);
  if (ring) {
    drain_->add_stream(ring->header());
    rings_.push_back(std::move(ring));
  }
  vcpus_.push_back(std::move(vcpu));
  return vcpus_.back().get();
}

bool kvmtape_session::control_call(kvmtape_descriptor descriptor, const kvmtape_vcpu* vcpu,
                                   unsigned long request, uint64_t argument,
                                   std::span<const uint8_t> in, std::span<const uint8_t> out_bytes,
                                   int result, int error_number) {
  if ((request & 0xffff) == kSetGuestDebugNumber && vcpu != nullptr)
    const_cast<kvmtape_vcpu*>(vcpu)->capture.guest_debug_changed();
  const ControlCallRecord call{static_cast<uint32_t>(descriptor),
                               static_cast<uint32_t>(request),
                               argument,
                               vcpu == nullptr ? ~uint32_t{0} : vcpu->description.id,
                               result,
                               result < 0 ? static_cast<uint32_t>(error_number) : 0,
                               0,
                               0,
                               0};
  std::lock_guard lock(session_ring_mutex_);
  return write_control_call(session_writer_, ticks_now(clock_), call, in, out_bytes);
}

bool kvmtape_session::mark(std::string_view text) {
  text = text.substr(0, kControlPayloadMax);
  std::lock_guard lock(session_ring_mutex_);
  return write_mark(session_writer_, ticks_now(clock_), text);
}

Result<void> kvmtape_session::snapshot(std::string_view reason) {
  mark(std::string("snapshot: ") + std::string(reason));
  const SignalShield shield;
  std::lock_guard lock(mutex_);
  Result<void> flushed;
  if (!guard_drain([&] { flushed = drain_->snapshot(reason.empty() ? "snapshot" : reason); }))
    return drain_failed();
  return flushed;
}

kvmtape_totals kvmtape_session::totals() {
  std::lock_guard lock(mutex_);
  const DrainTotals drained = drain_->totals();
  uint64_t lost = drained.lost;
  if (!closed_)
    for (const auto& vcpu : vcpus_) lost += vcpu->capture.lost_without_ring();
  return {drained.exits, lost, drained.bytes, vcpus_.size(), drained.write_errors};
}

Result<void> kvmtape_session::close(kvmtape_totals& totals) {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (drain_thread_.joinable()) drain_thread_.join();
  const SignalShield shield;
  std::lock_guard lock(mutex_);
  closed_ = true;
  control_.reset();
  for (auto& vcpu : vcpus_) {
    vcpu->capture.finish();
    drain_->add_lost_vcpu(vcpu->description, vcpu->capture.lost_without_ring());
  }
  session_writer_.finish();
  Result<void> finished;
  if (!guard_drain([&] {
        finished = drain_->finish();
        if (!finished.ok()) drain_->give_up();
      }))
    finished = drain_failed();
  const DrainTotals drained = drain_->totals();
  totals = {drained.exits, drained.lost, drained.bytes, vcpus_.size(), drained.write_errors};
  if (finished.ok())
    remove_ring_directory(ring_directory_, ring_parent_is_ours_);
  else if (!drain_failed_)
    finished.error().message += stopped_text(ring_directory_, drain_->path());
  return finished;
}
