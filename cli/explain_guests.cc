#include "cli/explain_guests.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/rules.h"
#include "cli/human.h"
#include "schema/base/shell_word.h"

namespace kvmtape {
namespace {

std::string indexes(const ProbeGuest& guest) {
  return fmt::format("{}", fmt::join(guest.vcpus, ","));
}

}  // namespace

void print_probe_guests(std::span<const ProbeGuest> guests, std::span<const Finding> notes,
                        const std::string& path, Console& console) {
  const auto losses = std::ranges::find(notes, kLostExitsRule, &Finding::rule);
  const auto trouble = static_cast<uint64_t>(
      std::ranges::count_if(guests, [](const ProbeGuest& guest) { return !guest.causes.empty(); }));
  console.print(console.painted(
      printable(fmt::format("{}: the battery of kvmtape probe: {}, each with vCPUs of its own; {} "
                            "with trouble, which most are there to provoke",
                            path, counted(guests.size(), "guest"), count_text(trouble))),
      trouble == 0 && losses == notes.end() ? "32" : "1"));
  console.print("\n");
  if (losses != notes.end())
    console.print(printable(fmt::format("noted: {} [{}]", losses->title, losses->rule)) + "\n");
  if (trouble == 0) return;
  console.print(fmt::format("\n  {:<8} {:<24} {}\n", "vCPU", "guest", "cause"));
  for (const ProbeGuest& guest : guests) {
    if (guest.causes.empty()) continue;
    const Finding& first = guest.causes.front();
    console.print(
        printable(fmt::format("  {:<8} {:<24} {} [{}, {}]", indexes(guest), guest.name, first.title,
                              confidence_word(first.confidence), first.rule)) +
        "\n");
  }
  const auto one =
      std::ranges::find_if(guests, [](const ProbeGuest& guest) { return !guest.causes.empty(); });
  const std::string next =
      fmt::format("explain one: kvmtape explain --vcpu {} {}", indexes(*one), shell_path(path));
  console.print(fmt::format("\n{}\n", printable(next)));
}

}  // namespace kvmtape
