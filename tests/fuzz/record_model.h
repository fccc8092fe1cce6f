// What snapshot.h says that records mean, in the plainest way: a second opinion on ChunkEncoder and
// ChunkDecoder, which must hand back what this keeps. Slow, and it takes only what the encoder has
// taken.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_codec.h"
#include "schema/snapshot.h"

namespace kvmtape::fuzz {

struct ModelMoment {
  uint64_t tsc = 0;
  std::vector<uint64_t> kvm_run;
  std::vector<uint8_t> data;
};

struct ModelItem {
  bool is_exit = false;
  uint64_t seq = 0;  // of the exit; else of the exit that follows
  // An exit's:
  int32_t ret = 0;
  uint64_t previous_tsc = 0;
  ModelMoment exit, answer;
  bool has_answer = false;
  // Another record's:
  RecordKind kind{};
  uint64_t tsc = 0;
  bool belongs_to_exit = false;
  std::vector<uint64_t> payload;
};

class RecordModel {
 public:
  explicit RecordModel(uint32_t core_words) : core_words_(core_words) {}

  // One whole record that the encoder took.
  void add(std::span<const uint64_t> record);
  // What has been added since the last take(), as a chunk hands it out.
  std::vector<ModelItem> take();
  uint64_t next_seq() const { return next_seq_; }

 private:
  void add_moment(RecordKind kind, std::span<const uint64_t> record);
  void add_repeat(std::span<const uint64_t> payload, uint64_t tsc);
  void add_side(RecordKind kind, uint64_t tsc, std::vector<uint64_t> payload);
  void add_gap(uint64_t lost, uint64_t why, uint64_t tsc);

  uint32_t core_words_;
  std::array<uint64_t, kCoreWordsS390> core_{};
  std::array<uint64_t, kSyncWords> sync_{};
  std::vector<uint8_t> exit_data_;
  bool answer_open_ = false;
  size_t open_exit_ = 0;  // in items_
  uint64_t next_seq_ = 0;
  uint64_t lost_total_ = 0;
  uint64_t previous_tsc_ = 0;
  std::vector<ModelItem> items_;
  std::vector<ModelItem> held_;  // what stands between the open exit and its answer
};

}  // namespace kvmtape::fuzz
