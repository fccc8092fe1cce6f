// FlightRecorder: the last exits stay in overwriting rings, nothing of them is written until a
// trigger. From the start a file lies there with nothing but the session's header, which names the
// rings: should all processes be killed, it and the rings are the recording. A snapshot replaces it
// by a complete, sealed trace whose header says why; the next file then waits for the next trigger:
// vm.kvmtape, vm.2.kvmtape, vm.3.kvmtape.
//
// One thread at a time, its owner's; see keeper.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "recorder/drain/clock_reading.h"
#include "recorder/drain/keeper.h"
#include "recorder/flight/ring_snapshot.h"
#include "recorder/flight/trigger.h"
#include "recorder/flight/vcpu_watch.h"
#include "schema/ring_reader.h"
#include "schema/trace_file.h"

namespace kvmtape {

class FlightRecorder final : public Keeper {
 public:
  // `file` is the first, still empty. At most `files_max` snapshots are kept, the first and the
  // newest; 0: all.
  // `clock` is what the rings' records are stamped with.
  FlightRecorder(TraceFile file, Session session, const Triggers& triggers, uint32_t files_max,
                 ClockReader clock = read_clocks);
  ~FlightRecorder() override;

  // As Drain's; before the first add_stream().
  void take_crash_memory() { crash_memory_ = true; }
  // Who knows whether a ring's producer has died without saying that it ended. Asked of one from
  // which nothing comes, before it is called slow or silent.
  using HasDied = std::function<bool(const RingHeader& ring)>;
  void ask_who_has_died(HasDied has_died) { has_died_ = std::move(has_died); }
  void add_stream(RingHeader* ring) override;
  void add_lost_vcpu(const SessionVcpu& vcpu, uint64_t exits_lost) override;
  Session& session() override { return session_; }
  const Session& session() const override { return session_; }
  void note_session_changed() override { session_due_ = true; }

  Result<void> begin() override { return write_header(*waiting_); }
  bool pump() override;
  Result<void> snapshot(std::string_view reason) override;
  // The producers count what they leave out: it never comes into a ring, where whoever is killed
  // next would leave it behind. Triggers are not heeded.
  Result<void> set_paused(bool paused) override;
  bool paused() const override { return paused_; }
  Result<void> finish() override;
  void give_up() override;

  DrainTotals totals() const override;
  std::optional<FlightTotals> flight_totals() const override {
    return FlightTotals{produced(), lost(), snapshots_};
  }
  bool write_fails() const override { return write_fails_; }
  const std::optional<Error>& last_error() const override { return last_error_; }
  const std::string& path() const override { return written_path_; }

 private:
  Result<void> write_header(TraceFile& file);
  Result<TraceFile> make_next_file(uint64_t& number);
  void look();
  Result<void> snapshot_to(const std::string& path, std::string_view reason);
  std::string reasons_due() const;
  void look_for_regions();
  uint64_t produced() const;
  uint64_t lost() const;
  uint64_t passed() const;
  std::string path_of(uint64_t number) const;
  void remove_surplus();
  void note_written(const Result<void>& written);

  std::string first_path_;
  Session session_;
  Triggers triggers_;
  ClockReader clock_;
  uint32_t files_max_;
  std::optional<TraceFile> waiting_;  // holds the header alone
  uint64_t number_ = 1;               // of it
  bool session_due_ = true;
  std::vector<SnapshotRing> rings_;
  HasDied has_died_;
  struct Watched;  // of a vCPU
  std::vector<std::unique_ptr<Watched>> watched_;
  bool crash_memory_ = false;
  std::optional<RingReader> calls_;  // the session's ring, where crash memory is taken
  GuestRegions regions_;
  std::vector<std::pair<SessionVcpu, uint64_t>> lost_vcpus_;

  bool paused_ = false;
  struct Due {
    Told told;
    const VcpuWatch* vcpu;
  };
  std::vector<Due> due_;    // what triggered and is not written yet
  uint64_t more_due_ = 0;   // beyond those that are named
  std::vector<Due> named_;  // in the last snapshot, if that came of a trigger
  uint64_t not_before_ns_ = 0;
  uint64_t passed_at_last_ = 0;  // snapshot
  std::string written_path_;
  std::deque<std::string> written_;  // snapshots that are kept, oldest first, where that is bounded
  uint64_t snapshots_ = 0;
  DrainTotals totals_;
  bool write_fails_ = false;  // the last time
  std::optional<Error> last_error_;
};

}  // namespace kvmtape
