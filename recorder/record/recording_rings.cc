// A recording's rings: how they come, with the vCPUs of whatever process the monitor is, and go.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include "recorder/drain/clock_reading.h"
#include "recorder/record/recording.h"
#include "recorder/trace_directory.h"
#include "schema/process_start.h"

namespace kvmtape {
namespace {

// A look at a process costs microseconds. It is worth more where memory for further vCPUs is short.
constexpr uint64_t kLookForDeadNs = 1'000'000'000, kLookWhenShortNs = 100'000'000;

using Process = std::pair<uint32_t, uint64_t>;  // and when it started

// Nobody has reaped it yet, and no thread of it is left but the first: of one whose first has ended
// the others may run vCPUs yet.
bool only_waits_to_be_reaped(pid_t pid) {
  std::error_code error;
  std::filesystem::directory_iterator thread("/proc/" + std::to_string(pid) + "/task", error);
  if (error || thread == std::filesystem::directory_iterator()) return false;
  thread.increment(error);
  return !error && thread == std::filesystem::directory_iterator() && is_zombie(pid);
}

// With all its threads; whatever /proc hides.
bool has_died(const Process& process) {
  const auto pid = static_cast<pid_t>(process.first);
  if (::kill(pid, 0) != 0 && errno == ESRCH) return true;
  const uint64_t started = process_start_time(pid);
  return started != 0 ? started != process.second : only_waits_to_be_reaped(pid);
}

}  // namespace

void Recording::open_new_rings() {
  // acquire: pairs with the release in the preload library, whose ring is then complete
  const uint32_t made = control_->rings_made.load(std::memory_order_acquire);
  if (made == rings_seen_) return;
  rings_seen_ = made;
  std::vector<RingHeader*> fresh;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(ring_directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".ring" || rings_.contains(name)) continue;
    auto ring = RingFile::open(entry.path().string(), RingFile::Access::kShared);
    // Being made, or a spare one that no vCPU has yet: comes with a later count.
    if (!ring.ok() || ring->header()->session != control_->session) continue;
    fresh.push_back(ring->header());
    const bool is_maker_known = is_maker_alive(*ring);
    rings_.emplace(name, Ring{std::move(*ring), is_maker_known});
  }
  std::ranges::sort(fresh, {}, &RingHeader::vcpu_index);
  for (RingHeader* ring : fresh) {
    drain_->session().vcpus.push_back({ring->vcpu_index, ring->vcpu_id, run_bytes_});
    drain_->add_stream(ring);
  }
  if (fresh.empty()) return;
  if (drain_->session().vcpus.size() == fresh.size()) {  // its first
    name_monitor(*fresh.front());
    update_latest(path_);
  }
  // Each header lists all of them. One that is not listed yet is known by its chunks.
  const size_t vcpus = drain_->session().vcpus.size();
  if (vcpus - vcpus_told_ > vcpus / 8) note_session_changed();
}

// What was started may be a wrapper, `taskset 3 qemu-system-x86_64`: the monitor is who has vCPUs.
void Recording::name_monitor(const RingHeader& ring) {
  const auto pid = static_cast<int>(ring.writer_pid);
  // In another PID namespace its number is another one here, or nobody's.
  if (process_start_time(pid) != ring.writer_start_time) return;
  std::error_code error;
  const auto program =
      std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error).filename();
  if (error || program.empty()) return;
  drain_->session().monitor_pid = ring.writer_pid;
  drain_->session().monitor_name = program.string();
}

// Of vCPUs that have ended: unmapped, or gone with their process. The file has what was in a ring
// before that goes: who is killed in between leaves exits in both, which readers know by their
// sequence. A process that has no number here, being in another PID namespace, is never taken for
// dead; its rings go with the recording.
void Recording::give_back_rings() {
  const uint64_t now = monotonic_now_ns();
  const bool look_for_dead = now >= look_for_dead_ns_;
  // relaxed: a sum that nothing else hangs on
  const bool is_short =
      control_->ring_bytes_used.load(std::memory_order_relaxed) > control_->ring_bytes_total / 2;
  if (look_for_dead) look_for_dead_ns_ = now + (is_short ? kLookWhenShortNs : kLookForDeadNs);
  std::map<Process, bool> known;
  const auto is_dead = [&known](const RingHeader& ring) {
    const auto [process, is_new] =
        known.try_emplace({ring.writer_pid, ring.writer_start_time}, false);
    if (is_new) process->second = has_died(process->first);
    return process->second;
  };
  std::erase_if(rings_, [&](const auto& named) {
    const Ring& ring = named.second;
    RingHeader* header = ring.file.header();
    if (header->vcpu_index == kSessionStream) return false;
    // acquire: pairs with the release in RingWriter::finish
    const auto end = static_cast<RingEnd>(header->finished.load(std::memory_order_acquire));
    const bool has_ended =
        end == RingEnd::kUnmapped || (look_for_dead && ring.is_maker_known && is_dead(*header));
    if (!has_ended || !drain_->end_stream(header)) return false;
    if (::unlink(ring.file.path().c_str()) != 0 && errno != ENOENT) return false;
    // relaxed: as above
    control_->ring_bytes_used.fetch_sub(ring.file.bytes(), std::memory_order_relaxed);
    return true;
  });
  if (std::ranges::any_of(known, &std::pair<const Process, bool>::second))
    remove_spare_rings([&known](const RingHeader& ring) {
      const auto maker = known.find({ring.writer_pid, ring.writer_start_time});
      return maker != known.end() && maker->second;
    });
}

// Those that a process made for vCPUs which never came (recorder/preload/rings.h).
void Recording::remove_spare_rings(const std::function<bool(const RingHeader&)>& is_dead) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(ring_directory_, error)) {
    if (entry.path().extension() != ".ring" || rings_.contains(entry.path().filename().string()))
      continue;
    const auto ring = RingFile::open(entry.path().string(), RingFile::Access::kShared);
    // A vCPU's, of this session, is taken before it goes.
    if (!ring.ok() || ring->header()->session == control_->session || !is_dead(*ring->header()) ||
        ::unlink(ring->path().c_str()) != 0)
      continue;
    // relaxed: as above
    control_->ring_bytes_used.fetch_sub(ring->bytes(), std::memory_order_relaxed);
  }
}

bool Recording::is_known_to_have_died(const RingHeader& ring) const {
  const auto known = std::ranges::find_if(
      rings_, [&](const auto& named) { return named.second.file.header() == &ring; });
  return known != rings_.end() && known->second.is_maker_known &&
         has_died({ring.writer_pid, ring.writer_start_time});
}

}  // namespace kvmtape
