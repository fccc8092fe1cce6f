#include "recorder/record/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <new>
#include <utility>

#include "recorder/drain/drain.h"
#include "recorder/flight/flight_recorder.h"
#include "recorder/host_facts.h"
#include "recorder/ring/ring_create.h"
#include "recorder/ring/ring_writer.h"
#include "recorder/ring/system_call_filters.h"
#include "recorder/session_header.h"
#include "recorder/trace_directory.h"
#include "schema/process_start.h"

namespace kvmtape {
namespace {

constexpr uint64_t kSessionRingBytes =
    1024 * 1024;  // a large monitor starts with thousands of calls
// Each time that it wakes costs a vCPU of a nested machine some 6 us, and one that spins on a ring
// more than capture does: as seldom as the rings allow. What took less than an eighth of one takes
// less than a quarter in double the time; and an exit every microsecond, of 100 bytes, does not
// fill in 3 ms the half of a ring that is free at least.
constexpr uint32_t kBusyUs = 3000, kIdleUs = 10'000;
// A clock's frequency that was estimated in the first 2 ms is off by seconds in a day.
constexpr uint64_t kHeaderCopyIntervalNs = 60'000'000'000;
constexpr uint64_t kCrashWaitsPerSecond = 20;  // 50 ms: a few times as long as this process sleeps

Session describe(const RecordingOptions& options, const std::vector<std::string>& command,
                 uint32_t& run_bytes) {
  Session session;
  fill_host_facts(session);
  session.monitor_name = std::filesystem::path(command.front()).filename().string();
  session.monitor_pid = 0;
  session.monitor_command.clear();
  for (const std::string& word : command) session.monitor_command.append(word).push_back('\0');
  session.recorder = recorder_text("preload");
  session.register_policy = register_policy_text(options.registers, options.registers_every);
  session.ring_full = options.overwrite || options.flight ? "overwrite" : "drop";
  session.left_out = left_out_by(options.filter);
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  fill_capabilities(session, kvm.get(), -1);
  const int bytes = kvm.valid() ? ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0) : 0;
  run_bytes = bytes > 0 ? static_cast<uint32_t>(bytes) : 0;
  return session;
}

Error io_error(const std::string& path, const std::string& what) {
  return Error{ErrorCode::kIo, what + ": " + std::strerror(errno), path, std::nullopt};
}

}  // namespace

Result<std::unique_ptr<Recording>> Recording::open(const RecordingOptions& options,
                                                   const std::vector<std::string>& command) {
  std::unique_ptr<Recording> recording(new Recording);
  Session session = describe(options, command, recording->run_bytes_);
  session.uuid = random_uuid();
  recording->path_ = options.path;
  if (recording->path_.empty()) {
    KVMTAPE_TRY_ASSIGN(recording->path_, new_trace_path(session.monitor_name));
  }
  KVMTAPE_TRY_ASSIGN(TraceFile file,
                     TraceFile::create(recording->path_, options.force, session.uuid));
  recording->replaces_ = file.replaces();
  // From here on a failure leaves no half-made trace behind.
  auto failed = [&](Error error) {
    recording->abandon();
    return error;
  };
  auto directory = make_ring_directory(options.ring_directory, session.uuid);
  if (!directory.ok()) return failed(directory.error());
  recording->ring_directory_ = session.ring_directory = *directory;
  recording->ring_parent_is_ours_ = options.ring_directory.empty();
  link_to_trace(*directory, recording->path_);
  const std::string name = ring_file_name(kSessionStream);
  auto ring = create_ring(*directory + "/" + name, {session.uuid, kSessionStream, kSessionStream,
                                                    kSessionRingBytes, options.flight});
  if (!ring.ok()) return failed(ring.error());
  RingWriter().bind(ring->header());
  lock_as_writer(*ring);
  RingHeader* header = ring->header();
  recording->rings_.emplace(name, Ring{std::move(*ring)});
  if (auto made = recording->make_control(options, session.uuid); !made.ok())
    return failed(made.error());

  start_clocks(session);
  const uint64_t session_ticks = session.ticks_per_second;
  recording->control_->filters = system_call_filters();
  recording->control_->crash_wait_ticks = session_ticks / kCrashWaitsPerSecond;
  if (options.flight) {
    auto flight = std::make_unique<FlightRecorder>(std::move(file), std::move(session),
                                                   options.triggers, options.bounds.files_max);
    flight->take_crash_memory();
    flight->ask_who_has_died(
        [made = recording.get()](const RingHeader& of) { return made->is_known_to_have_died(of); });
    recording->drain_ = std::move(flight);
  } else {
    auto drain = std::make_unique<Drain>(std::move(file), std::move(session), options.bounds);
    drain->take_crash_memory();
    recording->drain_ = std::move(drain);
  }
  recording->drain_->add_stream(header);
  leave_header_copy(recording->drain_->session());
  // The header is on disk before the first exit: a monitor killed at once leaves a readable trace.
  if (auto written = recording->drain_->begin(); !written.ok()) return failed(written.error());
  recording->replaces_ = false;
  return recording;
}

Recording::~Recording() {
  if (control_ != nullptr) ::munmap(control_, sizeof *control_);
}

Result<void> Recording::make_control(const RecordingOptions& options, const Uuid& uuid) {
  const std::string path = ring_directory_ + "/" + kRecordControlFile;
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return io_error(path, "cannot create it");
  if (errno = posix_fallocate(fd.get(), 0, sizeof(RecordControl)); errno != 0)
    return io_error(path, "no room for it");
  void* memory =
      ::mmap(nullptr, sizeof(RecordControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return io_error(path, "cannot map it");
  control_ = new (memory) RecordControl{};
  control_->magic = kRecordControlMagic;
  control_->version = kRecordControlVersion;
  control_->bytes = sizeof(RecordControl);
  control_->session = uuid;
  control_->boot_id = this_boot_id();
  control_->ring_bytes = options.ring_bytes;
  control_->ring_bytes_total = options.ring_bytes_total;
  control_->overwrite = options.overwrite || options.flight ? 1 : 0;
  control_->filter = options.filter;
  control_->flight = options.flight ? 1 : 0;
  control_->registers = static_cast<uint32_t>(options.registers);
  control_->registers_every = std::max(1u, options.registers_every);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&control_->session_ring_mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return {};
}

void Recording::note_session_changed() {
  vcpus_told_ = drain_->session().vcpus.size();
  drain_->note_session_changed();
  header_copy_due_ns_ = 0;
}

void Recording::monitor_started(int pid) {
  drain_->session().monitor_pid = static_cast<uint32_t>(pid);
  note_session_changed();
}

uint32_t Recording::pump() {
  // Before the rings are looked for, so that the ring of whoever has counted a crash is among them.
  // acquire: pairs with the release in the preload library, whose ring then holds the exit
  const uint32_t crashes = control_->crashes.load(std::memory_order_acquire);
  open_new_rings();
  if (const uint64_t now = monotonic_now_ns(); now >= header_copy_due_ns_) {
    if (vcpus_told_ != drain_->session().vcpus.size()) note_session_changed();
    leave_header_copy(drain_->session());
    header_copy_due_ns_ = now + kHeaderCopyIntervalNs;
  }
  if (server_) server_->poll();
  const bool hurry = drain_->pump();
  if (steering_) steering_->look();
  // release: pairs with the acquire of the vCPU's thread that waits
  control_->crashes_read.store(crashes, std::memory_order_release);
  give_back_rings();
  const DrainTotals so_far = drain_->totals();
  const uint64_t exits = so_far.exits + so_far.lost;  // a stopped recording is read as fast
  const bool is_busy = std::exchange(exits_seen_, exits) != exits;
  return wake_ups_.next_us(hurry, is_busy ? kBusyUs : kIdleUs);
}

void Recording::add_unrecorded_vcpus() {
  // relaxed, all of them: their writers have ended
  uint32_t index = control_->next_index.load(std::memory_order_relaxed);
  const uint32_t count = std::min(control_->unrecorded_count.load(std::memory_order_relaxed),
                                  kUnrecordedVcpusMax);  // relaxed: as above
  for (uint32_t i = 0; i < count; ++i) {
    const auto& vcpu = control_->unrecorded[i];
    const SessionVcpu description{index++, vcpu.vcpu_id, run_bytes_};
    drain_->session().vcpus.push_back(description);
    drain_->note_session_changed();
    drain_->add_lost_vcpu(description, vcpu.lost.load(std::memory_order_relaxed));  // as above
  }
}

Result<void> Recording::finish() {
  server_.reset();
  open_new_rings();
  add_unrecorded_vcpus();
  if (auto finished = drain_->finish(); !finished.ok()) {
    drain_->give_up();
    return finished;
  }
  if (!drain_->session().vcpus.empty()) update_latest(path());
  remove_ring_directory(ring_directory_, ring_parent_is_ours_);
  return {};
}

RecordingTotals totals_there(const Keeper& keeper, const WriteNews& news, uint64_t vcpus) {
  const DrainTotals drained = keeper.totals();
  RecordingTotals totals;
  totals.exits = drained.exits - std::min(drained.exits, drained.exits_removed);
  totals.lost = drained.lost - std::min(drained.lost, drained.lost_removed);
  totals.vcpus = vcpus;
  totals.bytes = drained.bytes - std::min(drained.bytes, drained.bytes_removed);
  totals.files = drained.files;
  totals.exits_removed = drained.exits_removed;
  totals.write_errors = drained.write_errors;
  totals.lost_unwritten = std::min(totals.lost, news.lost_meanwhile(drained));
  if (const auto& error = keeper.last_error()) totals.write_error = cause_of(*error);
  if (keeper.write_fails() && ::access(keeper.path().c_str(), F_OK) != 0)
    totals.rings_alone = keeper.session().ring_directory;
  return totals;
}

std::string Recording::vcpus_missing() const {
  const CaptureFilter& filter = control_->filter;
  std::string missing;
  for (uint32_t id = 0; filter.some_vcpus != 0 && id < kFilterVcpusMax; ++id)
    if (filter.has_vcpu(id) && std::ranges::find(drain_->session().vcpus, id, &SessionVcpu::id) ==
                                   drain_->session().vcpus.end())
      missing += (missing.empty() ? "" : ", ") + std::to_string(id);
  return missing;
}

RecordingTotals Recording::totals() const {
  RecordingTotals totals = totals_there(*drain_, news_, drain_->session().vcpus.size());
  totals.vcpus_missing = vcpus_missing();
  // relaxed: their writers have ended
  totals.calls_lost = control_->calls_lost.load(std::memory_order_relaxed);
  totals.processes = control_->processes.load(std::memory_order_relaxed);  // relaxed: as above
  totals.filtered = control_->filtered_processes.load(std::memory_order_relaxed);  // as above
  return totals;
}

void Recording::abandon() {
  remove_ring_directory(ring_directory_, ring_parent_is_ours_);
  if (!replaces_) ::unlink(path_.c_str());
}

}  // namespace kvmtape
