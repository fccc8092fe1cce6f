// What led to the crash, in the order of the clock: the last exits of its vCPU and of the others,
// runs folded into a line, with what the monitor injected and the marks between them. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/explain/case.h"

namespace kvmtape {

struct HistoryLine {
  int64_t time_ns = 0;
  const KeptExit* exit = nullptr;  // one of these three
  const Injection* injection = nullptr;
  const Mark* mark = nullptr;
  bool is_crash = false;
};

// At most `most` lines, the last ones up to the crash (or the end), at least half of them of the
// crash's vCPU if it has so many. They borrow `all`.
std::vector<HistoryLine> history_of(const Case& all, size_t most);

// What is kept of an exit by its place; nothing: it is no longer in the window of its vCPU.
struct NamedExit {
  int64_t time_ns = 0;
  const OwnedExit* bytes = nullptr;
};
std::optional<NamedExit> exit_at(const Case& all, const Place& place);
// Whether one of the lines is of that exit, or has it folded.
bool is_in(const std::vector<HistoryLine>& lines, const Place& place);

// "KVM_EXIT_IO" and "OUT port 0x3f8 1 byte 0x41" of the line.
std::string name_text(const Case& all, const HistoryLine& line);
std::string body_text(const Case& all, const HistoryLine& line);

}  // namespace kvmtape
