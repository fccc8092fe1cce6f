// A ring in plain memory, for tests of the protocol with any index type, and records that carry
// their own number so that whoever reads them can tell what is missing.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <span>

#include "recorder/ring/ring_writer.h"
#include "schema/ring_layout.h"

namespace kvmtape::testing {

// With uint8_t as Index the block numbers wrap after 256 blocks, so the block count must divide
// 256.
template <typename Index>
class MemoryRing {
 public:
  MemoryRing(uint32_t block_count, bool overwrite, uint32_t block_bytes = kBlockBytesMin)
      : bytes_(kRingHeaderBytes + size_t{block_bytes} * block_count),
        memory_(new (std::align_val_t{kRingHeaderBytes}) uint8_t[bytes_]) {
    std::memset(memory_.get(), 0xa5, bytes_);  // a slot's old bytes must never be believed
    header_ = new (memory_.get()) BasicRingHeader<Index>{};
    header_->magic = kRingMagic;
    header_->version = kRingVersion;
    header_->header_bytes = kRingHeaderBytes;
    header_->block_bytes = block_bytes;
    header_->block_count = block_count;
    header_->core_words = kCoreWords;
    header_->overwrite = overwrite ? 1 : 0;
    for (uint32_t slot = 0; slot < block_count; ++slot)
      reinterpret_cast<BlockHeader*>(memory_.get() + kRingHeaderBytes + size_t{slot} * block_bytes)
          ->generation = 0;
  }
  BasicRingHeader<Index>* header() { return header_; }

 private:
  struct Free {
    void operator()(uint8_t* memory) const {
      ::operator delete[](memory, std::align_val_t{kRingHeaderBytes});
    }
  };
  size_t bytes_;
  std::unique_ptr<uint8_t[], Free> memory_;
  BasicRingHeader<Index>* header_;
};

inline uint32_t below(std::mt19937_64& random, uint32_t limit) {
  return static_cast<uint32_t>(random() % limit);
}

// A record of `words` words (at least 3), all of which but the first say `number`. False: dropped.
template <typename Index>
bool put_numbered(BasicRingWriter<Index>& writer, uint64_t number, uint32_t words) {
  writer.set_clock_for_gaps(number);
  uint64_t* out = writer.reserve(words);
  if (out == nullptr) {
    writer.drop();
    return false;
  }
  store_ring_number(out++, record_word(RecordKind::kExit, 0, words, 0));
  for (uint32_t i = 1; i < words; ++i) store_ring_number(out++, number);
  writer.count_exit();
  writer.commit(words);
  return true;
}

// What a consumer of such records finds out: every number seen once, in order, whole, or missing
// and told to be so.
struct NumberedTally {
  uint64_t next = 0;  // the number expected next
  uint64_t seen = 0;
  uint64_t in_gaps = 0;      // told by gap records
  uint64_t overwritten = 0;  // told by the first_seq of a block
  bool good = true;

  void take(std::span<const uint64_t> words) {
    while (good && !words.empty()) {
      const size_t length = words[0] & 0xffff;
      if (length < 3 || length > words.size()) {
        good = false;
        return;
      }
      const auto kind = static_cast<RecordKind>(words[0] >> 16 & 0xff);
      if (kind == RecordKind::kGap) {
        good &= words[2] == next;
        next += words[3];
        in_gaps += words[3];
      } else {
        for (size_t i = 1; i < length; ++i) good &= words[i] == next;
        ++next;
        ++seen;
      }
      words = words.subspan(length);
    }
  }
  // For a batch that begins a block.
  void skip_to(uint64_t first_seq) {
    good &= first_seq >= next;
    overwritten += first_seq - next;
    next = first_seq;
  }
};

}  // namespace kvmtape::testing
