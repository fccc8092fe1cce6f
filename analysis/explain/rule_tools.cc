#include "analysis/explain/rule_tools.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <utility>

namespace kvmtape {

Finding crash_finding(const Case& all, std::string title, double confidence) {
  Finding finding;
  finding.title = std::move(title);
  finding.confidence = confidence;
  finding.evidence.push_back(all.crash->exit.place);
  return finding;
}

Finding note_finding(std::string title, double confidence, Place evidence) {
  Finding finding;
  finding.title = std::move(title);
  finding.confidence = confidence;
  finding.is_note = true;
  finding.evidence.push_back(evidence);
  return finding;
}

std::optional<Instruction> instruction_in_memory(const Case& all) {
  if (all.crash == nullptr) return std::nullopt;
  for (const MemorySlice& slice : all.crash->memory) {
    auto found = instructions_in(all.context, slice, 1);
    if (!found.empty()) return std::move(found.front());
  }
  return std::nullopt;
}

bool is_close_to_crash(const Case& all, const Place& place, uint64_t exits_max) {
  if (all.crash == nullptr) return false;
  const Place& crash = all.crash->exit.place;
  return crash.vcpu == place.vcpu && place.seq < crash.seq && crash.seq - place.seq <= exits_max;
}

bool is_close_to_end(const Case& all, const Place& place, uint64_t exits_max) {
  const VcpuStory* story = all.story_of(place);
  const auto last = story != nullptr ? story->last_place() : std::nullopt;
  return last && last->seq - place.seq <= exits_max;
}

int64_t elapsed_ns(int64_t earlier, int64_t later) {
  int64_t difference = 0;
  if (!__builtin_sub_overflow(later, earlier, &difference)) return difference;
  return later < earlier ? INT64_MIN : INT64_MAX;
}

std::string hex_bytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes)
    fmt::format_to(std::back_inserter(text), "{}{:02x}", text.empty() ? "" : " ", byte);
  return text;
}

std::vector<const KeptExit*> exits_up_to_crash(const Case& all, size_t most) {
  std::vector<const KeptExit*> found;
  if (all.crash == nullptr) return found;
  const VcpuStory* story = all.story_of(all.crash->exit.place);
  if (story == nullptr) return found;
  for (auto exit = story->last.rbegin(); exit != story->last.rend() && found.size() < most; ++exit)
    if (exit->place.seq <= all.crash->exit.place.seq) found.push_back(&*exit);
  return found;
}

}  // namespace kvmtape
