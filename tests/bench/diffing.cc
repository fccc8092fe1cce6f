#include "tests/bench/diffing.h"

#include <filesystem>

#include "tests/bench/child_process.h"
#include "tests/bench/edited_recordings.h"
#include "tests/bench/stopwatch.h"

namespace kvmtape::bench {
namespace {

constexpr uint64_t kExits = 10'000'000;

DiffCost compare(const std::string& original, const std::string& directory, double share) {
  const std::string edited = directory + "/edited.kvmtape";
  DiffCost cost{share, 0, 0, 0, {}};
  if (auto written = write_edited_recording(edited, kExits, share); !written.ok()) {
    cost.reason_skipped = written.error().to_string();
    return cost;
  }
  const Stopwatch watch;
  const ProgramRun run = run_program({KVMTAPE_TOOL, "diff", original, edited}, directory);
  constexpr int kDifferent = 1;
  cost.seconds = watch.seconds();
  if (run.status != kDifferent) cost.reason_skipped = "kvmtape diff: " + run.error_text;
  cost.cpu_seconds = run.cpu_seconds;
  cost.peak_bytes = run.peak_bytes;
  std::filesystem::remove(edited);
  return cost;
}

}  // namespace

std::vector<DiffCost> measure_diff(const std::string& directory) {
  const std::string original = directory + "/original.kvmtape";
  const auto written = write_edited_recording(original, kExits, 0);
  std::vector<DiffCost> costs;
  for (const double share : {0.001, 0.05, 0.5})
    costs.push_back(written.ok() ? compare(original, directory, share)
                                 : DiffCost{share, 0, 0, 0, written.error().to_string()});
  std::filesystem::remove(original);
  return costs;
}

}  // namespace kvmtape::bench
