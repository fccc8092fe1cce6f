#include "cli/stat_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "cli/human.h"

namespace kvmtape {
namespace {

constexpr size_t kNameWidthMin = 22;
constexpr size_t kNameWidthMax = 34;  // a longer name pushes its line to the right
constexpr std::string_view kDecadeLetters = "n u  m  s";
static_assert(kDecadeLetters.size() == Histogram::kDecades);

// "1.20us", "441us": three digits, no blank.
std::string short_duration_text(uint64_t ns) {
  if (ns < 1000) return fmt::format("{}ns", ns);
  double value = static_cast<double>(ns) / 1e3;
  const char* unit = "us";
  for (const char* next : {"ms", "s"}) {
    if (value < 999.5) break;
    value /= 1e3;
    unit = next;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, decimals, unit);
}

std::string cell(const Histogram& times, uint64_t ns) {
  return fmt::format("{:>8}", times.count() == 0 ? "-" : short_duration_text(ns));
}
std::string count_cell(uint64_t count) { return fmt::format("{:>11}", count_text(count)); }

// The columns behind the name.
using RowText = std::string (*)(const Stat& stat, const StatRow& row);

std::string overview_text(const Stat& stat, const StatRow& row) {
  const auto count = static_cast<double>(row.count);
  const double share = 100.0 * count / static_cast<double>(std::max<uint64_t>(stat.exits, 1));
  const double seconds = static_cast<double>(stat.to_ns - stat.from_ns) / 1e9;
  const std::string rate =
      seconds > 0 ? count_text(static_cast<uint64_t>(count / seconds + 0.5)) : "-";
  const Histogram &guest = row.guest_ns, &monitor = row.monitor_ns;
  return count_cell(row.count) + fmt::format(" {:>6.2f}% {:>9} ", share, rate) +
         cell(guest, guest.quantile(0.5)) + cell(guest, guest.quantile(0.99)) +
         cell(guest, guest.total()) + " " + cell(monitor, monitor.quantile(0.5)) +
         cell(monitor, monitor.quantile(0.99)) + cell(monitor, monitor.max()) +
         cell(monitor, monitor.total()) + "  " + histogram_text(monitor);
}

std::string all_times_text(uint64_t count, const Histogram& times) {
  return count_cell(count) + cell(times, times.min()) + cell(times, times.mean()) +
         cell(times, times.quantile(0.5)) + cell(times, times.quantile(0.99)) +
         cell(times, times.quantile(0.999)) + cell(times, times.max()) +
         cell(times, times.total()) + "  " + histogram_text(times);
}

class StatTable {
 public:
  StatTable(const Stat& stat, size_t top, Console& console)
      : stat_(stat), top_(top), console_(console) {
    for (const StatRow& row : stat.rows)
      width_ = std::max(width_, row.key.empty() ? row.exit.size() : row.key.size() + 2);
    width_ = std::min(width_, kNameWidthMax);
  }

  void print(std::string_view group, const std::string& columns, RowText text) {
    if (!group.empty()) print_line(fmt::format("{:<{}}", "", width_) + std::string(group), "1");
    print_line(fmt::format("{:<{}}", "exit", width_) + columns, "1");
    std::optional<uint32_t> vcpu;
    size_t keys = 0, hidden = 0;
    for (const StatRow& row : stat_.rows) {
      const bool is_key = !row.key.empty();
      if (!is_key) print_hidden(hidden);
      if (row.vcpu != vcpu) print_vcpu(*(vcpu = row.vcpu));
      keys = is_key ? keys + 1 : 0;
      if (keys > top_) {
        ++hidden;
        continue;
      }
      const std::string name =
          fmt::format("{:<{}}", is_key ? "  " + printable(row.key) : row.exit, width_);
      std::string line = (is_key ? name : console_.painted(name, "36")) + text(stat_, row);
      line.erase(line.find_last_not_of(' ') + 1);
      console_.print(line + "\n");
    }
    print_hidden(hidden);
  }

 private:
  void print_line(const std::string& text, std::string_view sgr) {
    console_.print(console_.painted(text, sgr) + "\n");
  }
  void print_hidden(size_t& hidden) {
    if (hidden != 0) console_.print(fmt::format("  {}\n", counted(hidden, "more key")));
    hidden = 0;
  }
  void print_vcpu(uint32_t vcpu) {
    uint64_t exits = 0;
    for (const StatRow& row : stat_.rows)
      if (row.vcpu == vcpu && row.key.empty()) exits += row.count;
    const auto lost = stat_.lost_of.find(vcpu);
    print_line(fmt::format("vCPU {}: {}, {} lost", vcpu, counted(exits, "exit"),
                           count_text(lost == stat_.lost_of.end() ? 0 : lost->second)),
               "1");
  }

  const Stat& stat_;
  const size_t top_;
  Console& console_;
  size_t width_ = kNameWidthMin;
};

void print_all_times(StatTable& table, Console& console) {
  const std::string columns =
      fmt::format("{:>11}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}  {}", "count", "min", "mean", "p50",
                  "p99", "p99.9", "max", "total", kDecadeLetters);
  console.print("time in the monitor, from the exit to the answer:\n");
  table.print("", columns, [](const Stat&, const StatRow& row) {
    return all_times_text(row.count, row.monitor_ns);
  });
  console.print("\ntime in the guest, in KVM_RUN before the exit:\n");
  table.print("", columns, [](const Stat&, const StatRow& row) {
    return all_times_text(row.count, row.guest_ns);
  });
}

}  // namespace

std::string histogram_text(const Histogram& times) {
  constexpr std::string_view kRamp = ".:-=+*#@";
  std::string text;
  for (const uint64_t count : times.by_decade()) {
    const double share =
        static_cast<double>(count) / static_cast<double>(std::max<uint64_t>(times.count(), 1));
    const auto level = static_cast<size_t>(share * static_cast<double>(kRamp.size()));
    text += count == 0 ? ' ' : kRamp[std::min(level, kRamp.size() - 1)];
  }
  return text;
}

void print_stat(const Stat& stat, const StatTableOptions& options, Console& console) {
  StatTable table(stat, options.top, console);
  if (options.all_times) {
    print_all_times(table, console);
  } else {
    table.print(
        fmt::format("{:>30} {:>24} {:>32}", "", "------- guest in -------",
                    "--------- monitor took ---------"),
        fmt::format("{:>11} {:>7} {:>9} {:>8}{:>8}{:>8} {:>8}{:>8}{:>8}{:>8}  {}", "count", "share",
                    "exits/s", "p50", "p99", "total", "p50", "p99", "max", "total", kDecadeLetters),
        overview_text);
  }
  const auto span = static_cast<uint64_t>(std::max<int64_t>(stat.to_ns - stat.from_ns, 0));
  console.print(fmt::format("{}, {} lost, in {}\n", counted(stat.exits, "exit"),
                            count_text(stat.lost), short_duration_text(span)));
}

}  // namespace kvmtape
