// Opens a recording and walks it: the trace file, and the rings that its recorder left behind (or
// is still writing). Memory is constant in the length of the trace: one chunk a vCPU is decoded at
// a time. Damage never ends the walk: a bad chunk becomes a gap and reading resumes at the next.
//
// Not thread-safe; what a Moment or Item borrows lives until the walk moves on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "replayer/trace_health.h"
#include "schema/base/result.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct VcpuTotals {
  uint32_t index = 0;
  uint32_t id = 0;
  uint64_t exits = 0;
  uint64_t lost = 0;
  uint64_t first_tsc = 0;
  uint64_t last_tsc = 0;
};

// What select() narrows a walk to; empty lists mean all.
struct Selection {
  std::vector<uint32_t> vcpus = {};  // indexes
  std::vector<uint32_t> reasons = {};
  std::optional<std::pair<uint64_t, uint64_t>> seq = {};    // first and last
  std::optional<std::pair<int64_t, int64_t>> time_ns = {};  // from the start of the recording
};

struct Gap {
  uint64_t first_seq = 0;
  uint64_t lost = 0;
  GapReason why = GapReason::kRingFull;
};
std::string_view to_string(GapReason why);  // "ring full"

// Registers, memory slices, control calls: the record and where it stands.
// After next(), members that are of another kind than this one hold anything.
struct Item {
  enum class Kind : uint8_t { kExit, kGap, kRepeat, kMark, kRegisters, kMemory, kOther };
  Kind kind = Kind::kExit;
  uint32_t vcpu_index = 0;
  // kExit, and kRepeat: the exit that it repeats, selected or not; nullptr: that is not here.
  // Registers and memory slices of an exit follow it as items of their own, same seq.
  const RecordedExit* exit = nullptr;
  const StreamDescription* stream = nullptr;
  int64_t time_ns = 0;              // of the exit, or of the record
  std::optional<int64_t> guest_ns;  // in KVM_RUN before this exit; none if it was not seen to begin
  std::optional<int64_t> monitor_ns;  // from exit to answer; none without an answer
  // The others.
  uint64_t seq = 0;  // of the exit that it belongs to or follows
  Gap gap;
  RepeatRecord repeat{};
  std::string_view mark;
  MemorySliceRecord slice{};  // kMemory, and its bytes
  std::span<const uint8_t> slice_bytes;
  const SideRecord* side = nullptr;
};

class TraceReader {
 public:
  struct Options {
    bool with_rings = true;        // take the rings that the trace's header names
    std::string ring_directory;    // instead of the one that the header names; or where that lies
    bool verify_checksums = true;  // of every chunk when it is decoded
  };

  // A trace file, sealed or not; or a session's directory of rings, whose file may be gone: the
  // header's copy there is then the file. Errors: kIo (cannot be read; another directory),
  // kNotATrace, kUnsupported, kCorrupt (no chunk in it can be read). Anything less is health().
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path, const Options& options);
  static Result<std::unique_ptr<TraceReader>> open(const std::string& path) {
    return open(path, Options{});
  }
  ~TraceReader();

  const std::string& path() const;
  const Options& options() const;  // as it was opened
  uint64_t file_bytes() const;
  const Session& session() const;
  const TraceHealth& health() const;
  const std::vector<VcpuTotals>& vcpus() const;  // by index
  uint64_t exits() const;                        // in file and rings, folded ones included
  uint64_t folded() const;                       // of those: equal to one before, only counted
  bool overlaps() const;                         // some exits stand in two chunks
  uint64_t lost() const;
  // From when on it holds what happened: 0, or later where it is the next file of a recording, or a
  // flight recorder's snapshot.
  int64_t begin_ns() const;
  int64_t duration_ns() const;  // from the start of the recording to its last moment
  // Until when it is known to have gone on: longer where nothing happened any more before its
  // recorder wrote the session for the last time, which it does when it ends.
  int64_t recorded_ns() const;
  uint64_t chunk_count() const;

  // Clock of the session: nanoseconds since the recording began.
  int64_t time_ns(uint64_t tsc) const;
  int64_t ticks_to_ns(uint64_t ticks) const;

  // Begins a walk over all vCPUs in order of time; within a vCPU in order of sequence.
  void rewind(const Selection& selection = {});
  // False at the end. What could not be read was handed out as a gap (GapReason::kDamaged).
  bool next(Item& item);
  // After next() gave an exit: what comes next was taken with it, and the exit stays as it is.
  bool taken_follows() const;

  // Counts and times only: calls `visit` for each chunk of exits with its vCPU index. Reads four
  // columns and nothing else (50 million exits/s). Folded exits are not there, and what stands in
  // two chunks is there twice.
  template <typename Visit>
  void summarize(Visit visit) {
    for_each_chunk([&](uint32_t vcpu_index, ChunkDecoder& chunk) -> Result<void> {
      KVMTAPE_TRY_ASSIGN(auto summary, chunk.summarize());
      visit(vcpu_index, summary);
      return {};
    });
  }
  // Every readable chunk of exits, opened, in file order. One that cannot be opened, and one of
  // which `visit` returns an error, is damaged: health() and lost() have it when this returns.
  void for_each_chunk(const std::function<Result<void>(uint32_t, ChunkDecoder&)>& visit);

  // A chunk as it lies in the file or as recovery made it from a ring.
  struct StoredChunk {
    const IndexEntry& entry;
    Result<std::span<const uint8_t>> bytes;  // an error: it cannot be trusted
    uint64_t file_bytes = 0;                 // that it takes in the file; 0: it is from a ring
    uint64_t damaged_bytes = 0;              // of these, that health() counts already
    bool damage_known = false;               // health() counts it already
    uint64_t missing_before = 0;             // exits that are lost in front of it
    uint64_t skip_below = 0;                 // sequences below stand in an earlier chunk
  };
  // All of them in file order, those of rings last, their checksums verified: for who copies a
  // recording. What stands in an earlier chunk as a whole is passed over.
  Result<void> for_each_stored_chunk(const std::function<Result<void>(const StoredChunk&)>& visit);

  // Looks at each chunk that nobody has read yet, of exits at the checksum alone: for who says how
  // a recording is and has looked at a part of it. What it finds is added to health().
  void check();
  // Reads and decodes every chunk; what it finds is added to health().
  void verify();

 private:
  struct State;
  explicit TraceReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvmtape
