// The guest polls one register and always gets the same answer, or is trapped at one address again
// and again: it waits for what never comes. Seen in the last exits of a vCPU, where runs are
// folded.
#include <fmt/format.h>

#include <map>

#include "analysis/exit_numbers.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"

namespace kvmtape {
namespace {

// A driver polls a few hundred times when all is well.
constexpr uint64_t kManyReads = 5'000;
constexpr uint64_t kVcpusMax = 4096;

struct Run {
  uint64_t key = 0;    // what is read, and the answer
  uint64_t count = 0;  // up to now
  Place first;
  Place last;
};

// FNV-1a.
uint64_t mixed(uint64_t hash, std::span<const uint8_t> bytes) {
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

class SameAddressLoop : public Rule {
 public:
  std::string_view id() const override { return "same-address-loop"; }
  std::string_view about() const override {
    return "a vCPU does nothing but poll one address, whose answer never changes";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    const bool in = exit.reason == kExitIo && valid_field(exit, "io.direction") == 0;
    const bool read = exit.reason == kExitMmio && valid_field(exit, "mmio.is_write") == 0;
    const bool trapped = exit.reason == kExitDebug;
    if (seen.decoded.moment.ret < 0) return;  // interrupted: it goes on
    if (runs_.size() >= kVcpusMax && !runs_.contains(seen.item.vcpu_index)) return;
    Run& run = runs_[seen.item.vcpu_index];
    if (!in && !read && !trapped) {
      run.count = 0;
      return;
    }
    const auto answer =
        !seen.decoded.has_answer ? std::span<const uint8_t>{}
        : in ? valid_bytes(seen.decoded.answer, seen.decoded.answer_moment, "io.data")
             : valid_bytes(seen.decoded.answer, seen.decoded.answer_moment, "mmio.data");
    const uint64_t key = mixed(fold_key(seen.decoded), answer);
    if (key != run.key || run.count == 0) run = {key, 0, seen.place(), seen.place()};
    ++run.count;
    run.last = seen.place();
  }
  void see_repeat(const Item& item) override {
    auto run = runs_.find(item.vcpu_index);
    if (run == runs_.end() || run->second.count == 0) return;
    run->second.count += item.repeat.count & ~kRepeatUnanswered;
    run->second.last.seq = item.repeat.of_seq + (item.repeat.count & ~kRepeatUnanswered);
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    for (const auto& [index, run] : runs_) {
      if (run.count < kManyReads) continue;
      const VcpuStory* story = all.story_of(run.last);
      if (story == nullptr || story->last.empty()) continue;
      const KeptExit& kept = story->newest;
      Finding finding;
      finding.title = fmt::format(
          "vCPU {} does nothing but this, {} times, and the answer never "
          "changes: {}",
          index, run.count, all.text_of(kept));
      finding.confidence = 0.6;
      finding.evidence = {run.first, run.last};
      finding.next =
          "see which device is there and what bit the guest waits for; is the device's "
          "thread alive?";
      findings.push_back(std::move(finding));
      return;
    }
  }

 private:
  std::map<uint32_t, Run> runs_;
};

}  // namespace

std::unique_ptr<Rule> make_same_address_loop_rule() { return std::make_unique<SameAddressLoop>(); }

}  // namespace kvmtape
