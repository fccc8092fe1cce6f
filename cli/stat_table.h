// What `stat` prints for people: a line for each exit and each key, narrow enough for a mail, in
// ASCII. One thread.
#pragma once

#include <cstddef>
#include <string>

#include "analysis/stat.h"
#include "cli/console.h"

namespace kvmtape {

struct StatTableOptions {
  size_t top = 10;         // keys shown below each exit
  bool all_times = false;  // every statistic, in two tables
};

void print_stat(const Stat& stat, const StatTableOptions& options, Console& console);

// One character for each power of ten: ' ' none, '.' some, then more and more up to '@'.
std::string histogram_text(const Histogram& times);

}  // namespace kvmtape
