#include "tests/bench/figures.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace kvmtape::bench {
namespace {

// Enough digits to see by how much, no more.
std::string shown(double value) {
  if (value == 0) return "0";
  if (value >= 1e6) return fmt::format("{:.1f} M", value / 1e6);
  if (value >= 100) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

std::string verdict(const Figure& figure) {
  if (!figure.reason_skipped.empty()) return "skipped: " + figure.reason_skipped;
  if (figure.met()) return "met";
  if (figure.goal == 0) return "MISSED";
  const double by = figure.better == Better::kLower ? figure.value / figure.goal - 1
                                                    : 1 - figure.value / figure.goal;
  return fmt::format("MISSED by {:.0f} %", by * 100);
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

}  // namespace

void Figures::print() const {
  fmt::print("\n{:<72} {:>10} {:>12}  {}\n", "figure", "value", "goal", "");
  for (const Figure& figure : ratios_) {
    const bool skipped = !figure.reason_skipped.empty();
    fmt::print("{:<72} {:>10} {:>2} {:>9}  {}\n",
               figure.unit.empty() ? figure.name : figure.name + ", " + figure.unit,
               skipped ? "-" : shown(figure.value),
               figure.better == Better::kLower ? "<=" : ">=", shown(figure.goal), verdict(figure));
  }
  double load = 0;
  (void)::getloadavg(&load, 1);
  fmt::print("\nOn {}, {} CPUs, load {:.1f} (above 2, times of several threads say little):\n",
             cpu_model(), std::thread::hardware_concurrency(), load);
  for (const std::string& line : notes_) fmt::print("  {}\n", line);
  std::fflush(stdout);
}

Result<void> Figures::write_json(const std::string& path) const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Figure& figure : ratios_) {
    nlohmann::ordered_json row = {{"name", figure.name},
                                  {"value", nullptr},
                                  {"goal", figure.goal},
                                  {"better", figure.better == Better::kLower ? "lower" : "higher"},
                                  {"met", figure.met()}};
    if (figure.reason_skipped.empty())
      row["value"] = figure.value;
    else
      row["skipped"] = figure.reason_skipped;
    rows.push_back(std::move(row));
  }
  std::ofstream file(path);
  file << nlohmann::ordered_json{{"ratios", std::move(rows)}}.dump(2) << '\n';
  file.flush();
  if (!file) return Error{ErrorCode::kIo, "cannot write the figures", path, std::nullopt};
  return {};
}

}  // namespace kvmtape::bench
