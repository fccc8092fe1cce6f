// Drain: from the rings to the trace file. One object for a recording, in either of its homes: a
// thread of the monitor that embeds kvmtape, or the `record` process beside it. Whoever owns it
// calls pump() from one thread, sleeping in between: a consumer that spins on a ring costs the vCPU
// more than the capture itself.
//
// A ring's memory goes back to its producer only after the chunk that holds it has been written. If
// the file cannot be written, the encoded chunk is kept and tried again; rings fill up, producers
// count what they drop, the guest runs on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "recorder/drain/clock_reading.h"
#include "recorder/drain/file_series.h"
#include "recorder/drain/guest_memory.h"
#include "recorder/drain/keeper.h"
#include "schema/chunk_codec.h"
#include "schema/ring_reader.h"
#include "schema/session_codec.h"
#include "schema/trace_file.h"

namespace kvmtape {

class Drain final : public Keeper {
 public:
  // `session` is the header as far as it is known; streams and clocks are added as they come.
  // `clock` is what the rings' records are stamped with.
  Drain(TraceFile file, Session session, const FileBounds& bounds = {},
        ClockReader clock = read_clocks);
  ~Drain() override;

  void add_stream(RingHeader* ring) override;
  bool end_stream(RingHeader* ring) override;
  void add_lost_vcpu(const SessionVcpu& vcpu, uint64_t exits_lost) override;
  Session& session() override { return session_; }
  const Session& session() const override { return session_; }
  void note_session_changed() override { session_due_ = true; }
  // From now on guest memory is taken at crash exits (crash_memory.h): system calls of the thread
  // that pumps, on the process that writes the rings.
  void take_crash_memory() { crash_memory_ = true; }

  // Moves what is in the rings into chunks; writes those that are full or whose ring needs room,
  // and everything once a second (a cut). Returns whether an eighth of any ring has come since
  // the last time: the caller then comes back sooner.
  Result<void> begin() override { return flush(); }
  bool pump() override;
  // Writes everything that has been published, with a cut; then to the disk. Exits that wait for
  // their answer stay in the ring.
  Result<void> flush();
  // Everything, the last exit without its answer too; then the footer. No producer may write any
  // more. On error the trace stays unsealed and the rings hold what is not in it.
  Result<void> finish() override;
  void give_up() override;
  Result<void> snapshot(std::string_view) override { return flush(); }

  Result<void> set_paused(bool paused) override;
  bool paused() const override { return paused_; }
  DrainTotals totals() const override;
  const std::string& path() const override { return file_.path(); }
  bool write_fails() const override { return append_fails_ || next_file_fails_ || file_removed_; }
  const std::optional<Error>& last_error() const override { return last_error_; }
  const TraceFile& file() const { return file_; }

 private:
  struct Stream;
  void fill(Stream& stream, bool final);
  void look_for_crashes(Stream& stream, size_t from);
  bool write_stream(Stream& stream);
  bool retry(Stream& stream);
  bool write_session();
  bool append(const std::vector<uint8_t>& chunk, uint64_t lost,
              const std::vector<std::pair<uint32_t, uint32_t>>& reasons);
  bool cut(bool final);
  bool begin_next_file();
  bool replace_deleted_file();
  bool write_lost_vcpus();
  bool finish_stream(Stream& stream);
  void add_last_gap(Stream& stream);
  void end_pause(bool producers_ended);
  void count_ring(Stream& stream);
  void note_failure(const Error& error);

  TraceFile file_;
  Session session_;
  FileBounds bounds_;
  FileSeries series_;
  bool paused_ = false;
  uint64_t bytes_before_ = 0;  // of the files before this one
  bool file_removed_ = false;  // and there could be no other
  ClockReader read_clocks_;
  bool session_due_ = true;
  std::vector<std::unique_ptr<Stream>> streams_;
  uint64_t exits_ended_ = 0, lost_ended_ = 0, stopped_ended_ = 0;  // of streams that have ended
  uint64_t cut_number_ = 0;
  uint64_t chunks_at_cut_ = 0;
  uint64_t chunks_at_session_ = 0;
  uint64_t next_cut_ns_ = 0;
  ClockReading clock_;  // of the last cut
  uint64_t write_errors_ = 0;
  std::vector<std::pair<SessionVcpu, uint64_t>> lost_vcpus_;
  size_t lost_vcpus_written_ = 0;
  uint64_t retry_ns_ = 0;  // after a failed append: when to try again
  std::optional<Error> last_error_;
  bool append_fails_ = false, next_file_fails_ = false;  // the last time
  bool crash_memory_ = false;
  GuestRegions regions_;
  std::vector<uint64_t> slices_;  // scratch
};

}  // namespace kvmtape
