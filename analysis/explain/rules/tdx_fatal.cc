// KVM_SYSTEM_EVENT_TDX_FATAL: a TDX guest reported a fatal error, often with a message.
#include <fmt/format.h>

#include <vector>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/confidential.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class TdxFatal : public Rule {
 public:
  std::string_view id() const override { return "tdx-fatal"; }
  std::string_view about() const override { return "a TDX guest reported a fatal error"; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitSystemEvent) || all.crash_field("system_event.type") != kEventTdxFatal)
      return;
    std::vector<uint64_t> data;
    for (int i = 0; i < 16; ++i)
      if (const auto word = all.crash_field("system_event.data", i)) data.push_back(*word);
    Finding finding = crash_finding(
        all, fmt::format("The TDX guest reported a fatal error: {}", tdx_fatal_text(data)), 0.95);
    finding.next = "the message is the guest's last word: a kernel panic or its TDX set-up";
    finding.change =
        "TDG.VP.VMCALL<ReportFatalError> of the GHCI; KVM_SYSTEM_EVENT_TDX_FATAL (6.16)";
    finding.kernel_change = "x86-tdx-fatal";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_tdx_fatal_rule() { return std::make_unique<TdxFatal>(); }

}  // namespace kvmtape
