// arm64: the guest ran into a BRK that Linux compiled in: BUG(), KASAN, UBSAN, CFI. It shows as
// KVM_EXIT_DEBUG where the monitor asked for software breakpoints, and the immediate says which.
// arch/arm64/include/asm/brk-imm.h, Linux 6.12. Kprobes and kgdb are no faults.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/arch_names/esr.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint8_t kEcBrk64 = 0x3c;

bool is_fault(uint64_t comment) {
  constexpr uint64_t kFault = 0x100, kBug = 0x800, kKasan = 0x900;
  return comment == kFault || comment == kBug || (comment & 0xff00) == kKasan ||
         (comment & 0xff00) == 0x5500 || (comment & 0xfc00) == 0x8000;
}

class LinuxBrk : public Rule {
 public:
  std::string_view id() const override { return "linux-brk"; }
  std::string_view about() const override {
    return "arm64: the guest met a BRK of Linux: BUG, KASAN, UBSAN or CFI";
  }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    if (exit.reason != kExitDebug || !exit.has_esr) return;
    const Esr esr = decode_esr(exit.esr, exit.esr_has_high);
    if (esr.ec != kEcBrk64) return;
    const uint64_t comment = esr.value_of("comment");
    if (!is_fault(comment)) return;
    count_ += seen.count;
    comment_ = static_cast<uint16_t>(comment);
    place_ = seen.place();
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.is_arm64() || count_ == 0) return;
    const std::string_view meaning = linux_brk_meaning(comment_);
    Finding finding;
    finding.title = fmt::format("The guest's kernel hit BRK #{:#x}: {}", comment_,
                                meaning.empty() ? "one of Linux" : meaning);
    finding.confidence = all.crash != nullptr ? 0.75 : 0.85;
    finding.evidence.push_back(place_);
    if (count_ > 1) finding.details.push_back(fmt::format("{} such exits in all", count_));
    finding.details.push_back("cannot know: a WARN() is a BRK #0x800 too, and the guest goes on");
    finding.next =
        "the address of the instruction leads to file and line in the kernel's bug table; "
        "read the console";
    finding.change = "Linux arch/arm64/include/asm/brk-imm.h";
    findings.push_back(std::move(finding));
  }

 private:
  uint64_t count_ = 0;
  uint16_t comment_ = 0;
  Place place_;
};

}  // namespace

std::unique_ptr<Rule> make_linux_brk_rule() { return std::make_unique<LinuxBrk>(); }

}  // namespace kvmtape
