// The guest's pvpanic driver told the monitor of its panic: port 0x505, bit 0; bit 1: a crash
// kernel was loaded and takes over (docs/specs/pvpanic of QEMU 8). The PCI device lies where its
// BAR says, which is not known here.
#include <fmt/format.h>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kPort = 0x505;
constexpr uint8_t kPanicked = 1, kCrashLoaded = 2;

class Pvpanic : public Rule {
 public:
  std::string_view id() const override { return "pvpanic"; }
  std::string_view about() const override {
    return "the guest's panic notifier wrote to its port (0x505)";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    if (exit.reason != kExitIo || valid_field(exit, "io.port") != kPort ||
        valid_field(exit, "io.direction") != 1)
      return;
    const auto data = valid_bytes(exit, seen.decoded.moment, "io.data");
    if (data.empty() || (data[0] & (kPanicked | kCrashLoaded)) == 0) return;
    value_ = data[0];
    place_ = seen.place();
  }
  void judge(const Case&, std::vector<Finding>& findings) override {
    if (value_ == 0) return;
    Finding finding;
    finding.title = (value_ & kPanicked) != 0
                        ? "The guest's kernel panicked: it told the pvpanic device"
                        : "The guest's kernel crashed and starts its crash kernel: it told the "
                          "pvpanic device";
    finding.confidence = 0.95;
    finding.evidence.push_back(place_);
    finding.next = "read the guest's console and its crash dump";
    finding.change = "QEMU docs/specs/pvpanic";
    findings.push_back(std::move(finding));
  }

 private:
  uint8_t value_ = 0;
  Place place_;
};

}  // namespace

std::unique_ptr<Rule> make_pvpanic_rule() { return std::make_unique<Pvpanic>(); }

}  // namespace kvmtape
