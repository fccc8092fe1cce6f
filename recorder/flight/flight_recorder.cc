#include "recorder/flight/flight_recorder.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "recorder/drain/clock_reading.h"
#include "recorder/flight/vcpu_watch.h"

namespace kvmtape {
namespace {

// A guest that does not stop crashing must not fill the disk with copies of one history.
constexpr uint64_t kSnapshotIntervalNs = 1'000'000'000;
constexpr size_t kReasonsMax = 7;  // the others are counted

}  // namespace

struct FlightRecorder::Watched {
  Watched(RingHeader* of, const Triggers& triggers, const Session& session, bool crash_memory,
          const GuestRegions& regions)
      : ring(of),
        crashes(*ring, crash_memory ? session.architecture : Architecture::kUnknown, regions),
        watch(ring, triggers, session.ticks_per_second, crashes) {}
  RingHeader* ring;
  CrashSlices crashes;
  VcpuWatch watch;
};

FlightRecorder::FlightRecorder(TraceFile file, Session session, const Triggers& triggers,
                               uint32_t files_max, ClockReader clock)
    : first_path_(file.path()),
      session_(std::move(session)),
      triggers_(triggers),
      clock_(clock),
      files_max_(files_max),
      waiting_(std::move(file)),
      written_path_(first_path_) {}
FlightRecorder::~FlightRecorder() = default;

void FlightRecorder::add_stream(RingHeader* ring) {
  if (ring->vcpu_index == kSessionStream) {
    rings_.push_back({ring, nullptr});
    if (crash_memory_) calls_.emplace(ring);
    return;
  }
  watched_.push_back(std::make_unique<Watched>(ring, triggers_, session_, crash_memory_, regions_));
  rings_.push_back({ring, &watched_.back()->crashes});
  ring->stopped.store(paused_ ? 1 : 0, std::memory_order_relaxed);  // relaxed: see RingWriter
}

Result<void> FlightRecorder::set_paused(bool paused) {
  paused_ = paused;
  for (const SnapshotRing& of : rings_)
    if (of.ring->vcpu_index != kSessionStream)
      of.ring->stopped.store(paused ? 1 : 0, std::memory_order_relaxed);  // relaxed: as above
  look();  // what came before it may still trigger
  const uint64_t now = ticks_now(clock_);
  for (auto& vcpu : watched_) vcpu->watch.forget_open(now);
  return {};
}

void FlightRecorder::add_lost_vcpu(const SessionVcpu& vcpu, uint64_t exits_lost) {
  if (exits_lost != 0) lost_vcpus_.emplace_back(vcpu, exits_lost);
}

// vm.kvmtape, vm.2.kvmtape, ...
std::string FlightRecorder::path_of(uint64_t number) const {
  if (number == 1) return first_path_;
  const std::filesystem::path first = first_path_;
  return (first.parent_path() / first.stem()).string() + "." + std::to_string(number) +
         first.extension().string();
}

Result<void> FlightRecorder::write_header(TraceFile& file) {
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  KVMTAPE_TRY(file.append(chunk));
  session_due_ = false;
  return file.sync();
}

// The first behind `number` that is not an earlier recording's.
Result<TraceFile> FlightRecorder::make_next_file(uint64_t& number) {
  for (;;) {
    auto file = TraceFile::create(path_of(++number), false, session_.uuid);
    if (!file.ok() && file.error().code == ErrorCode::kUsage) continue;
    if (!file.ok()) return file.error();
    if (auto written = write_header(*file); !written.ok()) {
      ::unlink(file->path().c_str());
      return written.error();
    }
    return file;
  }
}

uint64_t FlightRecorder::produced() const {
  uint64_t exits = 0;
  for (const auto& vcpu : watched_) exits += vcpu->watch.exits();
  return exits;
}

// What a ring's owner let go of for want of room is no loss, and not in lost_total.
uint64_t FlightRecorder::lost() const {
  uint64_t exits = 0;
  for (const auto& vcpu : watched_) exits += vcpu->watch.reader().lost_total();
  for (const auto& [vcpu, lost] : lost_vcpus_) exits += lost;
  return exits;
}

// With what was only counted: in gaps, or not even there yet.
uint64_t FlightRecorder::passed() const {
  uint64_t exits = 0;
  for (const auto& vcpu : watched_) exits += vcpu->watch.passed();
  return exits;
}

void FlightRecorder::look_for_regions() {
  for (uint32_t i = 0; calls_ && i < calls_->block_count(); ++i) {
    const RingBatch batch = calls_->poll();
    if (batch.words.empty()) return;
    std::span<const uint64_t> words = batch.words;
    for (auto record = take_record(words); !record.empty(); record = take_record(words))
      if (kind_of_record(record) == RecordKind::kControlCall)
        regions_.note_call(payload_of_record(record));
  }
}

void FlightRecorder::look() {
  look_for_regions();
  const uint64_t now = ticks_now(clock_);
  for (auto& vcpu : watched_) {
    const auto has_ended = [&] {
      return vcpu->watch.reader().finished() || (has_died_ && has_died_(*vcpu->ring));
    };
    if (auto told = vcpu->watch.look(now, has_ended); told && !paused_) {
      if (due_.size() < kReasonsMax)
        due_.push_back({std::move(*told), &vcpu->watch});
      else
        ++more_due_;
    }
  }
}

std::string FlightRecorder::reasons_due() const {
  std::string text;
  for (const Due& due : due_) text += (text.empty() ? "" : "; ") + due.told.text;
  if (more_due_ != 0) text += "; and " + std::to_string(more_due_) + " more";
  return text;
}

bool FlightRecorder::pump() {
  if (session_due_ && waiting_) note_written(write_header(*waiting_));
  look();
  const uint64_t now = ticks_now(clock_);
  const bool settled =
      std::ranges::all_of(watched_, [now](const auto& vcpu) { return vcpu->watch.settled(now); });
  if (!due_.empty() && settled && clock_().monotonic_ns >= not_before_ns_) {
    const std::string reason = reasons_due();
    if (snapshot(reason).ok()) {
      named_ = std::exchange(due_, {});
      more_due_ = 0;
    }
  }
  return !settled;
}

// Beside the waiting file first, then in its place: what is there under its name is always either
// the header, with the rings, or the whole snapshot. The next file waits before that, since the
// rings that go on need a header at every moment, and is open before the last is closed: by its
// open file a recorder is found (`ctl PID`).
Result<void> FlightRecorder::snapshot(std::string_view reason) {
  if (!waiting_) {  // there was no room for it, and another may have its name by now
    KVMTAPE_TRY_ASSIGN(waiting_, make_next_file(number_));
  }
  uint64_t next_number = number_;
  auto next = make_next_file(next_number);
  if (auto written = snapshot_to(path_of(number_), reason); !written.ok()) {
    if (next.ok()) ::unlink(next->path().c_str());
    return written;
  }
  ++snapshots_;
  named_.clear();
  number_ = next.ok() ? next_number : next_number - 1;  // where the next try begins
  remove_surplus();
  const std::optional<TraceFile> last = std::exchange(waiting_, std::nullopt);
  if (!next.ok()) return next.error();
  waiting_ = std::move(*next);
  return {};
}

// Of what this session wrote, by name: numbers between them may be earlier recordings'. The first
// shows how trouble began, so those behind it go; where only one may stay, it is the newest, which
// somebody has just been told of.
void FlightRecorder::remove_surplus() {
  if (files_max_ == 0) return;
  written_.push_back(written_path_);
  while (written_.size() > files_max_) {
    const auto surplus = written_.begin() + (files_max_ > 1 ? 1 : 0);
    ::unlink(surplus->c_str());
    written_.erase(surplus);
  }
}

void FlightRecorder::note_written(const Result<void>& written) {
  write_fails_ = !written.ok();
  if (!write_fails_) return;
  ++totals_.write_errors;
  last_error_ = written.error();
}

Result<void> FlightRecorder::snapshot_to(const std::string& path, std::string_view reason) {
  not_before_ns_ = clock_().monotonic_ns + kSnapshotIntervalNs;
  look();
  const ClockReading now = clock_();
  session_.now = now;
  session_.ticks_per_second =
      ticks_per_second(session_.start, now).value_or(session_.ticks_per_second);
  Session described = session_;
  described.trigger = std::string(reason);
  const uint64_t passed_now = passed();
  const std::string part = path + ".part";
  auto write = [&]() -> Result<void> {
    KVMTAPE_TRY_ASSIGN(TraceFile file, TraceFile::create(part, true, session_.uuid));
    KVMTAPE_TRY(write_ring_snapshot(file, described, rings_, lost_vcpus_, now));
    if (::rename(part.c_str(), path.c_str()) != 0)
      return Error{ErrorCode::kIo, std::string("cannot be put in place: ") + std::strerror(errno),
                   path, std::nullopt};
    totals_.exits = file.exits();
    totals_.lost = file.lost();
    totals_.bytes = file.bytes();
    return {};
  };
  const auto written = write();
  note_written(written);
  if (!written.ok()) {
    ::unlink(part.c_str());
    return written;
  }
  passed_at_last_ = passed_now;
  written_path_ = path;
  return {};
}

Result<void> FlightRecorder::finish() {
  look();
  // An exit that got no answer because the monitor ended does not show a slow monitor.
  const uint64_t now = ticks_now(clock_);
  auto by_the_end = [now](const Due& due) {
    return due.told.unanswered && due.vcpu->may_end_unanswered(*due.told.unanswered, now);
  };
  std::erase_if(due_, by_the_end);
  const bool fresh = passed() != passed_at_last_ || snapshots_ == 0;
  const std::string why = reasons_due(), end = "end of the recording";
  if (triggers_.end && (fresh || !due_.empty()))
    KVMTAPE_TRY(snapshot(why.empty() ? end : why + "; " + end));
  else if (triggers_.end && !named_.empty() && std::ranges::all_of(named_, by_the_end))
    KVMTAPE_TRY(snapshot_to(written_path_, end));  // it was the end already
  else if (!due_.empty())
    KVMTAPE_TRY(snapshot(why));
  if (waiting_) ::unlink(waiting_->path().c_str());
  return {};
}

// The rings are what is left, and the file that names them.
void FlightRecorder::give_up() {
  if (!waiting_) return;
  const RingContents left = count_rings(session_, rings_, lost_vcpus_, clock_());
  totals_.exits = left.exits;
  totals_.lost = left.lost;
  totals_.bytes = waiting_->bytes();
  written_path_ = waiting_->path();
}

DrainTotals FlightRecorder::totals() const { return totals_; }

}  // namespace kvmtape
