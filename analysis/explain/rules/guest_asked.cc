// The guest asked for its end or a reset through the firmware: PSCI (arm64), SBI (riscv). Nothing
// is wrong with the machine; that riscv guests name a failure as their reason is another matter.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/system_event.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class GuestAsked : public Rule {
 public:
  std::string_view id() const override { return "guest-asked"; }
  std::string_view about() const override {
    return "the guest asked firmware for its end or a reset (PSCI, SBI): nothing is wrong";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitSystemEvent)) return;
    const auto type = all.crash_field("system_event.type");
    if (type != kEventShutdown && type != kEventReset) return;
    std::vector<uint64_t> data;
    for (const char* name : {"system_event.flags", "system_event.data"})
      if (const auto word =
              all.crash_field(name, name == std::string_view("system_event.data") ? 0 : -1))
        data.push_back(*word);
    constexpr uint64_t kSystemFailure = 1;  // SBI_SRST_RESET_REASON_SYS_FAILURE
    const bool failure = all.context.architecture == Architecture::kRiscv64 && !data.empty() &&
                         data.front() == kSystemFailure;
    const std::string text =
        system_event_text(all.context.architecture, static_cast<uint32_t>(*type), data);
    Finding finding = crash_finding(
        all,
        failure ? fmt::format("The guest ended itself and gave a failure as its reason: {}", text)
                : fmt::format("The guest asked for it: {}", text),
        failure ? 0.85 : 0.9);
    finding.is_note = !failure;
    finding.details.push_back(type == kEventReset
                                  ? "a reset: it goes on if the monitor starts it anew"
                                  : "a clean shutdown by all that KVM sees");
    finding.next = failure
                       ? "see the guest's console"
                       : "nothing, unless nobody told the guest to: then its console and watchdogs";
    finding.change = "Arm DEN0022 (PSCI) SYSTEM_OFF and SYSTEM_RESET; SBI SRST";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_guest_asked_rule() { return std::make_unique<GuestAsked>(); }

}  // namespace kvmtape
