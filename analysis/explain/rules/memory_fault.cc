// KVM_RUN failed with EFAULT or EHWPOISON: the host could not give the guest a page. With
// KVM_EXIT_MEMORY_FAULT (6.8, 16f95f3b95ca) KVM says which one; without, only that there was one.
#include <fmt/format.h>

#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kPrivate = 1 << 3;  // KVM_MEMORY_EXIT_FLAG_PRIVATE

class MemoryFault : public Rule {
 public:
  std::string_view id() const override { return "memory-fault"; }
  std::string_view about() const override {
    return "the host could not give the guest a page of its memory (EFAULT, EHWPOISON)";
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (all.crash == nullptr) return;
    const int32_t error = errno_of(all.decoded_crash.moment.ret);
    if (error != kErrorFault && error != kErrorHwPoison) return;
    if (all.crash->kind == CrashKind::kHandled && all.crash->exits_behind != 0) return;
    if (all.crashed_by(kExitMemoryFault)) return judge_known(all, error, findings);
    judge_unknown(all, error, findings);
  }

 private:
  static void judge_known(const Case& all, int32_t error, std::vector<Finding>& findings) {
    const auto gpa = all.crash_field("memory_fault.gpa");
    const auto flags = all.crash_field("memory_fault.flags");
    if (!gpa || !flags) return judge_unknown(all, error, findings);
    const bool is_private = (*flags & kPrivate) != 0;
    Finding finding = crash_finding(
        all,
        error == kErrorHwPoison
            ? fmt::format("The host's memory behind guest physical {:#x} is poisoned: a hardware "
                          "memory error",
                          *gpa)
            : fmt::format(
                  "The guest's {} access to {:#x} was not given memory, and the monitor did "
                  "not mend it",
                  is_private ? "private" : "shared", *gpa),
        0.9);
    if (all.slots.is_outside(*gpa))
      finding.details.push_back("no recorded memory slot holds this address");
    if (error == kErrorFault)
      finding.details.push_back(
          is_private
              ? "the page is shared (KVM_SET_MEMORY_ATTRIBUTES), or guest_memfd has none there"
              : "the page is private (KVM_SET_MEMORY_ATTRIBUTES), or the memory behind the "
                "slot cannot be reached");
    finding.next = error == kErrorHwPoison
                       ? "see the host's dmesg for memory errors; the monitor has to pass the "
                         "machine check on to the guest"
                       : "see whether the monitor converts pages on KVM_EXIT_MEMORY_FAULT, and its "
                         "mapping of this range";
    finding.change = "KVM_EXIT_MEMORY_FAULT, 16f95f3b95ca (6.8); KVM_CAP_MEMORY_FAULT_INFO";
    finding.kernel_change = all.is_arm64() ? "arm64-memory-fault" : "x86-memory-fault";
    findings.push_back(std::move(finding));
  }
  static void judge_unknown(const Case& all, int32_t error, std::vector<Finding>& findings) {
    Finding finding = crash_finding(
        all,
        error == kErrorHwPoison
            ? std::string("KVM_RUN failed with EHWPOISON: the host's memory behind the guest is "
                          "poisoned")
            : std::string("KVM_RUN failed with EFAULT: the host could not reach memory behind the "
                          "guest"),
        error == kErrorHwPoison ? 0.9 : 0.8);
    finding.details.push_back(
        "cannot know: which address: this kernel did not say (KVM_EXIT_MEMORY_FAULT is of 6.8)");
    finding.next = error == kErrorHwPoison
                       ? "see the host's dmesg for memory errors"
                       : "see the mapping behind the memory slots: unmapped, a truncated file, "
                         "mprotect, no huge pages left, userfaultfd without a handler";
    finding.change = "KVM_CAP_MEMORY_FAULT_INFO (6.8) hands over address and kind";
    finding.kernel_change = all.is_arm64() ? "arm64-memory-fault" : "x86-memory-fault";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_memory_fault_rule() { return std::make_unique<MemoryFault>(); }

}  // namespace kvmtape
