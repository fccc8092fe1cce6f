// What ChunkDecoder hands out, back into the records that ChunkEncoder takes: for who copies a
// chunk in part, or changed. One chunk, one thread.
//
// The decoder hands out an exit with its answer and then the records that stand between the two, so
// the answer is kept back until something else comes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "schema/chunk_codec.h"

namespace kvmtape {

class RecordWriter {
 public:
  // Of a stream whose kvm_run has so many core words.
  explicit RecordWriter(uint32_t core_words) : core_words_(core_words) {}

  void add(const RecordedExit& exit);
  void add(const SideRecord& side);
  void finish();  // the answer that was kept back

  // Records so far; the caller takes them from the front.
  std::vector<uint64_t>& words() { return words_; }

 private:
  void append_moment(RecordKind kind, const RecordedExit& exit, std::vector<uint64_t>& to);
  void append_sync(std::span<const uint8_t> sync, std::vector<uint64_t>& to);

  uint32_t core_words_;
  std::array<uint64_t, kSyncWords> sync_{};  // as the encoder has it
  std::vector<uint64_t> words_;
  std::vector<uint64_t> answer_;
};

}  // namespace kvmtape
