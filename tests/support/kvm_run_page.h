// A kvm_run page as a test wants it: poison everywhere, then what "the kernel" wrote. Owns its
// bytes; a moment() borrows them and lives as long as the page. For one thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "replayer/exit_decoder.h"

namespace kvmtape::testing {

class KvmRunPage {
 public:
  explicit KvmRunPage(DecodeContext context);

  KvmRunPage& reason(uint32_t number) { return at(8, number); }
  KvmRunPage& flags(uint16_t value) { return at(14, value); }
  // Writes an integer of the value's own size.
  template <typename T>
  KvmRunPage& at(size_t offset, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      const size_t place = order() == ByteOrder::kLittle ? i : sizeof(T) - 1 - i;
      bytes_[offset + place] = static_cast<uint8_t>(uint64_t{value} >> (8 * i));
    }
    return *this;
  }
  template <typename T>
  KvmRunPage& in_union(size_t offset, T value) {
    return at(abi::union_offset(context_.architecture) + offset, value);
  }
  KvmRunPage& ret(int32_t value) { return moment_.ret = value, *this; }
  KvmRunPage& reason_is_new() { return moment_.reason_is_new = true, *this; }
  KvmRunPage& answer() { return moment_.is_answer = true, *this; }
  KvmRunPage& data(std::vector<uint8_t> bytes) { return data_ = std::move(bytes), *this; }
  KvmRunPage& cut_to(size_t bytes) { return bytes_.resize(bytes), *this; }

  RawMoment moment() const;
  Exit decoded() const;
  std::string text() const { return exit_text(context_, moment(), decoded()); }

 private:
  ByteOrder order() const { return context_.byte_order; }

  DecodeContext context_;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> data_;
  RawMoment moment_;
};

// "unknown" as a kernel: not known.
DecodeContext context_of(Architecture architecture, std::string_view kernel,
                         ByteOrder order = ByteOrder::kLittle);

// "valid 0x1", "stale", "absent", "unknown", or "missing" when the exit has no such field.
std::string shown(const Exit& exit, std::string_view field, int element = -1);

}  // namespace kvmtape::testing
