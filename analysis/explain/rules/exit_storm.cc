// One kind of exit makes up nearly all of a vCPU's last second and costs the guest its time: a
// device in a tight loop, an error that the monitor answers by entering again, a debugger's trap.
#include <fmt/format.h>

#include <map>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// An exit to user space takes microseconds: a vCPU that exits more often than this does nothing
// else.
constexpr double kPerSecond = 20'000;
constexpr uint64_t kAtLeast = 20'000;  // in a row, but for others now and then
constexpr size_t kVcpusMax = 4096;

struct Run {
  uint64_t key = 0;
  uint64_t count = 0;
  uint64_t others = 0;  // between, at most a twentieth
  Place first, last;
  int64_t first_ns = 0, last_ns = 0;
};

class ExitStorm : public Rule {
 public:
  std::string_view id() const override { return "exit-storm"; }
  std::string_view about() const override {
    return "one kind of exit fills a vCPU's time until the end";
  }
  std::vector<std::string_view> yields_to() const override {
    return {"guest-panic", "same-address-loop", "emulation-failure"};
  }
  void see(const SeenExit& seen) override {
    if (runs_.size() >= kVcpusMax && !runs_.contains(seen.item.vcpu_index)) return;
    Run& run = runs_[seen.item.vcpu_index];
    const uint64_t key = fold_key(seen.decoded);
    if (key != run.key) {
      run.others += seen.count;
      if (run.others * 20 <= run.count) return;
      run = {key, 0, 0, seen.first(), seen.place(), seen.first_ns, seen.item.time_ns};
    }
    run.count += seen.count;
    run.last = seen.place();
    run.last_ns = seen.item.time_ns;
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.reader.session().clock_name == kNoClock) return;
    for (const auto& [index, run] : runs_) {
      const double seconds = static_cast<double>(elapsed_ns(run.first_ns, run.last_ns)) / 1e9;
      if (run.count < kAtLeast || seconds <= 0) continue;
      const double rate = static_cast<double>(run.count) / seconds;
      const VcpuStory* story = all.story_of(run.last);
      if (rate < kPerSecond || story == nullptr || story->last.empty()) continue;
      Finding finding;
      finding.title = fmt::format("Exit storm on vCPU {}: {} in {:.1f} s ({:.0f} a second) of {}",
                                  index, run.count, seconds, rate, text_of_run(all, *story, run));
      finding.confidence = 0.5;
      finding.evidence = {run.first, run.last};
      finding.next =
          "kvmtape stat says what it costs; the guest's driver or the device in the monitor "
          "asks again and again";
      findings.push_back(std::move(finding));
      return;
    }
  }

 private:
  static std::string text_of_run(const Case& all, const VcpuStory& story, const Run& run) {
    for (const KeptExit& exit : story.last)
      if (exit.key == run.key) return all.text_of(exit);
    return "one kind";
  }

  std::map<uint32_t, Run> runs_;
};

}  // namespace

std::unique_ptr<Rule> make_exit_storm_rule() { return std::make_unique<ExitStorm>(); }

}  // namespace kvmtape
