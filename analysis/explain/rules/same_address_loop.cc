// The guest polls one register and always gets the same answer, or is trapped at one address again
// and again: it waits for what never comes. Seen in the last exits of a vCPU, where runs are
// folded.
#include <fmt/format.h>

#include <map>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// A driver polls a few hundred times when all is well.
constexpr uint64_t kManyReads = 5'000;
constexpr uint64_t kVcpusMax = 4096;

struct Run {
  uint64_t asked = 0;  // what is read
  uint64_t key = 0;    // and the answer
  uint64_t count = 0;  // up to now
  bool is_trap = false;
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
    const uint64_t asked = fold_key(seen.decoded);
    // The last exit of a recording mostly has no answer any more.
    const bool is_like =
        trapped || seen.decoded.has_answer ? mixed(asked, answer) == run.key : asked == run.asked;
    if (!is_like || run.count == 0)
      run = {asked, mixed(asked, answer), 0, trapped, seen.first(), seen.place()};
    run.count += seen.count;
    run.last = seen.place();
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    for (const auto& [index, run] : runs_) {
      if (run.count < kManyReads) continue;
      const VcpuStory* story = all.story_of(run.last);
      if (story == nullptr || story->last.empty()) continue;
      Finding finding;
      finding.title =
          run.is_trap
              ? fmt::format("vCPU {} is trapped at one place and gets no further, {} times: {}",
                            index, run.count, text_of_run(all, *story, run))
              : fmt::format(
                    "vCPU {} does nothing but poll, {} times, and the answer never changes: {}",
                    index, run.count, text_of_run(all, *story, run));
      finding.confidence = 0.6;
      finding.evidence = {run.first, run.last};
      finding.next =
          run.is_trap
              ? "the debugger has to step over its breakpoint before it resumes"
              : "see which device is there and what bit the guest waits for; is the device's "
                "thread alive?";
      findings.push_back(std::move(finding));
      return;
    }
  }

 private:
  // The last exit itself may have no answer any more; those before it are folded into one that has.
  static std::string text_of_run(const Case& all, const VcpuStory& story, const Run& run) {
    for (const KeptExit& exit : story.last)
      if (exit.key == run.asked) return all.text_of(exit);
    return all.text_of(story.newest);
  }

  std::map<uint32_t, Run> runs_;
};

}  // namespace

std::unique_ptr<Rule> make_same_address_loop_rule() { return std::make_unique<SameAddressLoop>(); }

}  // namespace kvmtape
