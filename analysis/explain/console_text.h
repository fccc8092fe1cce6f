// What the guest wrote to its consoles, byte by byte: ports, MMIO registers and the SBI console. It
// is not known which address is a console, so every one that is written to in small pieces is a
// candidate, and those that got text are shown. Memory is bounded. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/explain/finding.h"

namespace kvmtape {

class ConsoleText {
 public:
  struct Console {
    std::string where;                            // "port 0x3f8"
    std::string tail;                             // the last lines
    std::vector<std::pair<size_t, Place>> lines;  // where in `tail` a line begins, and its exit

    // The exit that wrote the line which `at` lies in.
    Place place_of(size_t at) const;
  };

  // So many exits alike in a row, `first` and those behind it.
  void see(Place first, const DecodedExit& decoded, uint64_t count);

  // Those that got text, the one that was written to last at the end.
  std::vector<Console> all() const;
  // Of that one; empty: nothing that looks like text was written.
  std::string tail() const;

 private:
  static constexpr size_t kTailBytes = 4096;  // a Linux oops is 2 to 3 KB
  static constexpr size_t kLinesMax = 256;    // so many begin in twice that, mostly
  static constexpr size_t kCandidates = 8;
  struct Candidate {
    uint64_t key = 0;
    uint64_t printable = 0;
    uint64_t letters = 0;
    uint64_t other = 0;
    uint64_t written_at = 0;  // which of all writes was the last to it
    std::string tail;
    uint64_t dropped = 0;  // bytes in front of `tail`
    bool at_line_start = true;
    std::deque<std::pair<uint64_t, Place>> lines;  // counted from the first byte written
  };
  void put_all(Place first, uint64_t key, std::span<const uint8_t> bytes, uint64_t count);
  void put(Place place, uint64_t key, std::span<const uint8_t> bytes);
  static bool is_text(const Candidate& candidate);

  std::array<Candidate, kCandidates> candidates_;
  size_t used_ = 0;
  uint64_t writes_ = 0;
};

}  // namespace kvmtape
