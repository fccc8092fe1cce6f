// What every fuzzer in this folder is: one source file that defines attack() and seeds();
// fuzzer_main.cc hands libFuzzer the first and writes the second to files. An attack ends the
// process (KVMTAPE_CHECK, a sanitizer) where what it attacks did wrong; bad input that is refused
// is no finding. One thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "schema/base/byte_cursor.h"

namespace kvmtape::fuzz {

using Bytes = std::vector<uint8_t>;

void attack(std::span<const uint8_t> input);
// Good inputs to begin with: those from traces/ and those that no recording has.
std::vector<Bytes> seeds();

// Writes what a ByteCursor reads: seeds are made with the same field order that attacks read.
class InputWriter {
 public:
  template <typename T>
  InputWriter& put(T value) {
    uint8_t bytes[sizeof(T)];
    store_le<T>(bytes, value);
    return put_bytes(bytes);
  }
  InputWriter& put_bytes(std::span<const uint8_t> bytes) {
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Bytes take() { return std::move(input_); }

 private:
  Bytes input_;
};

// Reads every byte, so that the address sanitizer sees a span that reaches too far.
inline void touch(std::span<const uint8_t> bytes) {
  static std::atomic<uint8_t> sink;
  uint8_t sum = 0;
  for (uint8_t byte : bytes) sum = static_cast<uint8_t>(sum + byte);
  sink.store(sum, std::memory_order_relaxed);  // relaxed: only so that the loop is not left out
}

}  // namespace kvmtape::fuzz
