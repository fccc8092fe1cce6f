// A PC guest switched itself off through ACPI (SLP_EN in PM1a_CNT), or QEMU's isa-debug-exit, as
// its last exit: nothing is wrong. Where PM1a_CNT lies is the monitor's choice; these are QEMU's
// and crosvm's (hw/acpi/piix4.c and ich9.c of QEMU 8; 0xb004 of older machine types).
#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kPowerPorts[] = {0x604, 0xb004, 0x404};
constexpr uint16_t kSleepEnable = 1 << 13;

class CleanShutdown : public Rule {
 public:
  std::string_view id() const override { return "clean-shutdown"; }
  std::string_view about() const override {
    return "the guest switched itself off: nothing is wrong";
  }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    if (exit.reason != kExitIo || valid_field(exit, "io.direction") != 1) return;
    const auto port = valid_field(exit, "io.port");
    const auto data = valid_bytes(exit, seen.decoded.moment, "io.data");
    if (!port || data.size() < 2) return;
    const auto value = static_cast<uint16_t>(data[0] | data[1] << 8);
    if ((value & kSleepEnable) == 0 ||
        std::ranges::find(kPowerPorts, *port) == std::end(kPowerPorts))
      return;
    found_ = true;
    place_ = seen.place();
    port_ = *port;
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!found_ || (all.crash != nullptr && all.crash->kind == CrashKind::kFatal)) return;
    constexpr uint64_t kFewMore = 8;
    if (!is_close_to_end(all, place_, kFewMore)) return;
    Finding finding = note_finding(
        fmt::format("The guest switched itself off through ACPI (port {:#x}): nothing is wrong",
                    port_),
        0.9, place_);
    finding.next = "nothing, unless nobody told the guest to";
    finding.change = "ACPI, PM1 control registers: SLP_EN";
    findings.push_back(std::move(finding));
  }

 private:
  bool found_ = false;
  Place place_;
  uint64_t port_ = 0;
};

}  // namespace

std::unique_ptr<Rule> make_clean_shutdown_rule() { return std::make_unique<CleanShutdown>(); }

}  // namespace kvmtape
