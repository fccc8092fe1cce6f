#include "cli/suggest.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <system_error>

#include "recorder/trace_directory.h"

namespace kvmtape {
namespace {

namespace fs = std::filesystem;

// Letters to change, add, drop or swap with their neighbour (Levenshtein and Damerau, of each place
// once), three rows at a time.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(const std::string& typed, const std::vector<std::string>& names) {
  std::string best;
  size_t least = std::max<size_t>(typed.size() / 3, 2) + 1;
  for (const std::string& name : names) {
    const size_t changes = distance(typed, name);
    // Of two changes one is not to the first letter, which is seldom mistyped: export is no import.
    const bool is_near = changes <= 1 || (!typed.empty() && typed.front() == name.front());
    if (is_near && changes < least && changes < name.size()) {
      least = changes;
      best = name;
    }
  }
  return best;
}

std::string nearest_trace(const std::string& path) {
  const fs::path typed(path);
  const std::string stem = typed.stem().string();
  for (const fs::path& folder : {typed.has_parent_path() ? typed.parent_path() : fs::path("."),
                                 fs::path(trace_directory())}) {
    std::vector<std::string> stems;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
      if (entry->path().extension() == ".kvmtape") stems.push_back(entry->path().stem().string());
    const std::string found = nearest_name(stem, stems);
    if (!found.empty()) return (folder / (found + ".kvmtape")).lexically_normal().string();
  }
  return {};
}

}  // namespace kvmtape
