// A signal ended the monitor, which `record` saw and marked: the guest's last exit is then not why
// it ended. Signals that a program brings upon itself are a cause; those that somebody sends, the
// host's OOM killer among them, are a note, since that may have been meant.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/mark_text.h"

namespace kvmtape {
namespace {

struct Meaning {
  std::string_view signal;
  std::string_view text;
  std::string_view next;
};
constexpr std::string_view kCore = "see its core dump (coredumpctl) and the last lines of its log";
constexpr Meaning kCrashes[] = {
    {"SIGSEGV", "it crashed itself", kCore},
    {"SIGABRT", "it gave up by itself (abort, an assertion)", kCore},
    {"SIGILL", "it crashed itself, or trapped on purpose", kCore},
    {"SIGTRAP", "it trapped, and nobody debugged it", kCore},
    {"SIGFPE", "it crashed itself", kCore},
    {"SIGBUS", "memory that it had mapped could not be read",
     "a truncated file or full hugetlbfs or tmpfs behind guest memory, a memory error (dmesg)"},
    {"SIGSYS", "a seccomp filter forbade a system call",
     "the host's audit log (ausearch -m seccomp) names the call; see the monitor's sandbox"},
};

class MonitorKilled : public Rule {
 public:
  std::string_view id() const override { return "monitor-killed"; }
  std::string_view about() const override { return "a signal ended the monitor"; }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    const auto mark = std::ranges::find_if(all.marks.rbegin(), all.marks.rend(), [](const Mark& m) {
      return m.text.starts_with(kMonitorKilledMark);
    });
    const auto last = last_exit(all);
    if (mark == all.marks.rend() || !last) return;
    const std::string signal = mark->text.substr(kMonitorKilledMark.size());
    const Meaning* crash = std::ranges::find(kCrashes, signal, &Meaning::signal);
    const bool is_crash = crash != std::end(kCrashes);
    const bool guest_died = all.crash != nullptr && all.crash->kind == CrashKind::kFatal;
    Finding finding = note_finding(fmt::format("The monitor was killed by {}", signal),
                                   is_crash && !guest_died ? 0.9 : 0.6, *last);
    finding.is_note = !is_crash;
    if (is_crash) finding.title += fmt::format(": {}", crash->text);
    if (guest_died)
      finding.details.push_back(
          fmt::format("after {}, which may be why", to_string(all.crash->exit.place)));
    finding.next = is_crash ? std::string(crash->next)
                   : signal == "SIGKILL"
                       ? "if nobody meant it: the host's OOM killer (dmesg), a memory cgroup's "
                         "limit, a watchdog of the management"
                       : "nothing, if somebody meant it";
    finding.change = "signal(7)";
    findings.push_back(std::move(finding));
  }

 private:
  static std::optional<Place> last_exit(const Case& all) {
    const VcpuStory* latest = nullptr;
    for (const auto& [index, story] : all.vcpus)
      if (story.exits != 0 &&
          (latest == nullptr || story.newest.last_time_ns > latest->newest.last_time_ns))
        latest = &story;
    return latest == nullptr ? std::nullopt : latest->last_place();
  }
};

}  // namespace

std::unique_ptr<Rule> make_monitor_killed_rule() { return std::make_unique<MonitorKilled>(); }

}  // namespace kvmtape
