// Small traces made in memory, and what a reader says of them, in the words of the tests.
//
//   TraceBuilder trace;
//   trace.add_exits(0, 3).cut().add_exits(1, 2).seal();
//   EXPECT_THAT(read_all(trace.write_to(path)).seqs(0), ElementsAre(0, 1, 2));
//
// Every exit is made from its vCPU and sequence (exit_image), so that a reader's bytes can be told
// from invented ones.
//
// A copy is for damaging: it shares the encoders, so that only one of the two may get more exits.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "recorder/import/moment_writer.h"
#include "replayer/trace_reader.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"

namespace kvmtape::testing {

using RunImage = std::array<uint8_t, kCoreWords * kWordBytes>;

// kvm_run of exit `seq` as KVM left it, and as the monitor left it.
RunImage exit_image(uint32_t vcpu, uint64_t seq);
RunImage answer_image(uint32_t vcpu, uint64_t seq);
std::vector<uint8_t> exit_data(uint32_t vcpu, uint64_t seq);
uint64_t exit_tsc(uint32_t vcpu, uint64_t seq);  // rising with seq; vCPUs interleave
inline constexpr uint64_t kAnswerTicks = 40;

class TraceBuilder {
 public:
  explicit TraceBuilder(std::string ring_directory = {});

  // What the header says; to be changed before the first exit, since chunks repeat part of it.
  Session& edit_session() { return session_; }

  // One exit as it is given, with its answer if it has one. Ticks never fall.
  struct GivenExit {
    int32_t ret = 0;
    uint64_t tsc = 0;
    std::vector<uint8_t> run, data;  // `run`: the core, or that and the sync area
    bool answered = true;
    uint64_t answer_tsc = 0;
    std::vector<uint8_t> answer_run, answer_data;
  };
  TraceBuilder& add_exit(uint32_t vcpu, const GivenExit& exit);
  // From now on an exit that is given and equals the one before it, as does its answer, is folded
  // into a repeat, as in the ring of a flight recorder.
  TraceBuilder& fold_repeats() { return folds_ = true, *this; }
  // What is added next is not earlier.
  TraceBuilder& advance_to(uint64_t ticks) {
    latest_ = latest_ < ticks ? ticks : latest_;
    return *this;
  }
  // Exits of `vcpu` behind those it has, each with its answer.
  TraceBuilder& add_exits(uint32_t vcpu, uint32_t count);
  // A record of any kind: `payload`, as numbers, behind the header.
  TraceBuilder& add_record(uint32_t vcpu, RecordKind kind, int32_t ret,
                           std::vector<uint64_t> payload);
  TraceBuilder& add_gap(uint32_t vcpu, uint64_t lost, GapReason why);
  TraceBuilder& add_mark(const std::string& text);  // in the session's stream
  TraceBuilder& flush(uint32_t vcpu);               // ends its chunk
  TraceBuilder& cut();                              // flushes all and writes a cut
  TraceBuilder& split_index();                      // writes the index so far
  TraceBuilder& seal();                             // cut, session, index, trailer
  TraceBuilder& append_chunk(const std::vector<uint8_t>& chunk);

  // Damage.
  TraceBuilder& flip_byte(uint64_t offset, uint8_t bits = 0xff);
  TraceBuilder& truncate_at(uint64_t bytes);

  const Uuid& session() const { return session_.uuid; }
  std::vector<uint8_t>& bytes() { return bytes_; }
  // Where the chunk with this number among those of `type` begins.
  uint64_t offset_of(ChunkType type, size_t number = 0) const;
  // Where vCPU `vcpu`'s ring had been read when chunks were written.
  TraceBuilder& ring_position(uint32_t vcpu, uint64_t block, uint64_t bytes);
  std::string write_to(const std::string& path) const;

 private:
  struct Stream {
    explicit Stream(const StreamDescription& description) : encoder(description) {}
    ChunkEncoder encoder;
    MomentWriter writer;
    uint64_t next_seq = 0;
    uint64_t lost_written = 0;
    uint64_t ring_block = 0, ring_bytes = 0;
    std::optional<GivenExit> last;  // may be repeated
    RepeatRecord run{};             // that is not written yet
    uint64_t run_answer_tsc = 0;
  };
  Stream& stream(uint32_t vcpu);
  static bool extends_run(Stream& to, const GivenExit& exit);
  static void end_run(Stream& of);
  void put(uint32_t vcpu, const std::vector<uint64_t>& words);
  ClockReading clock() const;

  Session session_;
  std::map<uint32_t, std::shared_ptr<Stream>> streams_;
  std::vector<uint8_t> bytes_;
  TraceIndex index_;
  std::vector<IndexEntry> offsets_;  // of chunks in indexes written already
  uint64_t cut_number_ = 0;
  uint64_t latest_ = 0;
  bool folds_ = false;
};

// One item of a walk, its bytes copied.
struct SeenItem {
  Item::Kind kind{};
  uint32_t vcpu = 0;
  uint64_t seq = 0;
  int64_t time_ns = 0;
  std::optional<int64_t> guest_ns, monitor_ns;
  uint32_t reason = 0;
  int32_t ret = 0;
  std::vector<uint8_t> kvm_run, data, answer_kvm_run, answer_data;
  Gap gap;
  RepeatRecord repeat{};
  std::string mark;
  RecordKind record{};
};

struct SeenTrace {
  std::optional<Error> error;  // it could not be opened
  std::vector<SeenItem> items;
  TraceHealth health;
  uint64_t exits = 0, lost = 0;  // what the reader says before the walk

  std::vector<uint64_t> seqs(uint32_t vcpu) const;  // of the exits
  std::vector<Gap> gaps(uint32_t vcpu) const;
  uint64_t exit_count() const;
  // Whether every exit is one that TraceBuilder made, in order and only once; else what is wrong.
  std::string invented() const;
};

SeenTrace read_all(const std::string& path, const TraceReader::Options& options = {},
                   const Selection& selection = {});

// The numbers of exits from `first` on, without `end`.
inline std::vector<uint64_t> seq_range(uint64_t first, uint64_t end) {
  std::vector<uint64_t> seqs;
  for (; first < end; ++first) seqs.push_back(first);
  return seqs;
}

}  // namespace kvmtape::testing
