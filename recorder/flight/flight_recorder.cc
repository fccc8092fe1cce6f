#include "recorder/flight/flight_recorder.h"

#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "recorder/drain/clock_reading.h"
#include "recorder/flight/ring_snapshot.h"

namespace kvmtape {
namespace {

// A guest that does not stop crashing must not fill the disk with copies of one history.
constexpr uint64_t kSnapshotIntervalNs = 1'000'000'000;
constexpr size_t kReasonBytesMax = 200;

}  // namespace

FlightRecorder::FlightRecorder(TraceFile file, Session session, const Triggers& triggers,
                               uint32_t files_max, ClockReader clock)
    : first_path_(file.path()),
      session_(std::move(session)),
      triggers_(triggers),
      clock_(clock),
      files_max_(files_max),
      waiting_(std::move(file)),
      written_path_(first_path_) {}

void FlightRecorder::add_stream(RingHeader* ring) {
  rings_.push_back(ring);
  if (ring->vcpu_index != kSessionStream)
    watches_.push_back(std::make_unique<VcpuWatch>(ring, triggers_, session_.ticks_per_second));
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

Result<void> FlightRecorder::write_header() {
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  KVMTAPE_TRY(waiting_->append(chunk));
  session_due_ = false;
  return waiting_->sync();
}

Result<void> FlightRecorder::begin_next_file() {
  waiting_.reset();
  for (;;) {
    auto file = TraceFile::create(path_of(++number_), false, session_.uuid);
    if (!file.ok() && file.error().code == ErrorCode::kUsage) continue;  // an earlier recording's
    if (!file.ok()) return file.error();
    waiting_ = std::move(*file);
    break;
  }
  // number_ - 1 have been written.
  if (files_max_ != 0 && number_ - 1 > files_max_)
    ::unlink(path_of(number_ - 1 - files_max_).c_str());
  return write_header();
}

uint64_t FlightRecorder::produced() const {
  uint64_t exits = 0;
  for (const auto& watch : watches_) exits += watch->exits();
  return exits;
}

void FlightRecorder::look() {
  const uint64_t now = clock_().ticks;
  for (auto& watch : watches_)
    if (auto told = watch->look(now); told && !paused_ && due_.size() < kReasonBytesMax)
      due_ += (due_.empty() ? "" : "; ") + *told;
}

bool FlightRecorder::pump() {
  if (session_due_ && waiting_ && !write_header().ok()) ++totals_.write_errors;
  const bool was_due = !due_.empty();
  look();
  // What follows a crash, its registers and the monitor's answer, is published by the next time.
  if (was_due && monotonic_now_ns() >= not_before_ns_) {
    const std::string reason = due_;
    if (snapshot(reason).ok()) due_.clear();
  }
  return !due_.empty() && !was_due;
}

// Beside the waiting file first, then in its place: what is there under its name is always either
// the header, with the rings, or the whole snapshot.
Result<void> FlightRecorder::snapshot(std::string_view reason) {
  not_before_ns_ = monotonic_now_ns() + kSnapshotIntervalNs;
  look();
  const ClockReading now = clock_();
  session_.now = now;
  session_.ticks_per_second =
      ticks_per_second(session_.start, now).value_or(session_.ticks_per_second);
  Session described = session_;
  described.trigger = std::string(reason);
  const uint64_t produced_now = produced();
  const std::string path = path_of(number_), part = path + ".part";
  auto write = [&]() -> Result<void> {
    KVMTAPE_TRY_ASSIGN(TraceFile file, TraceFile::create(part, true, session_.uuid));
    KVMTAPE_TRY(write_ring_snapshot(file, described, rings_, lost_vcpus_, now));
    if (::rename(part.c_str(), path.c_str()) != 0)
      return Error{ErrorCode::kIo, std::string("cannot be put in place: ") + std::strerror(errno),
                   path, std::nullopt};
    totals_.exits = file.exits();
    totals_.lost = file.lost();
    totals_.bytes += file.bytes();
    return {};
  };
  if (auto written = write(); !written.ok()) {
    ::unlink(part.c_str());
    ++totals_.write_errors;
    return written;
  }
  produced_in_last_ = produced_now;
  written_path_ = path;
  return begin_next_file();
}

Result<void> FlightRecorder::finish() {
  look();
  if (!due_.empty()) KVMTAPE_TRY(snapshot(due_));
  if (triggers_.end && (produced() != produced_in_last_ || number_ == 1))
    KVMTAPE_TRY(snapshot("end of the recording"));
  if (waiting_) ::unlink(waiting_->path().c_str());
  return {};
}

DrainTotals FlightRecorder::totals() const { return totals_; }

}  // namespace kvmtape
