// What the guest wrote to its console, byte by byte: ports, MMIO registers and the SBI console. It
// is not known which address is a console, so every one that is written to in small pieces is a
// candidate, and the one that got the most printable text wins. Memory is bounded. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "analysis/decoded_exit.h"
#include "analysis/explain/finding.h"

namespace kvmtape {

class ConsoleText {
 public:
  void see(Place place, const DecodedExit& decoded);

  // The last lines; empty: nothing that looks like text was written.
  std::string tail() const;
  // Where the last byte was written.
  Place last() const;

 private:
  static constexpr size_t kTailBytes = 4096;  // a Linux oops is 2 to 3 KB
  static constexpr size_t kCandidates = 8;
  struct Candidate {
    uint64_t key = 0;
    uint64_t printable = 0;
    uint64_t other = 0;
    std::string tail;
    Place last;
  };
  void put(Place place, uint64_t key, std::span<const uint8_t> bytes);
  const Candidate* best() const;

  std::array<Candidate, kCandidates> candidates_;
  size_t used_ = 0;
};

}  // namespace kvmtape
