// A watchdog device of a PC that the guest armed and then no longer fed, for longer than it waits:
// the monitor resets, stops or kills the guest, and nothing in the guest says so.
//
// ib700: a byte to port 0x443 starts it anew with 30 - 2 * (bits 3:0) seconds, any to 0x441 stops
// it (hw/watchdog/wdt_ib700.c, QEMU 2.11; drivers/watchdog/ib700wdt.c, Linux). TCO timer of the
// ICH9: words at 0x660, where SeaBIOS and OVMF put it: +0 feeds it, bit 11 of +8 stops it, +0x12 is
// how many times 0.6 s it waits, and it acts when it has waited twice (hw/acpi/tco.c, QEMU 2.11).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "analysis/explain/reset_ports.h"
#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kIb700Stop = 0x441, kIb700Feed = 0x443;
constexpr uint64_t kTcoFeed = 0x660, kTcoControl = 0x668, kTcoTicks = 0x672;
constexpr uint16_t kTcoHalted = 1u << 11, kTcoTicksMask = 0x3ff;

struct Dog {
  const char* name;
  int64_t waits_ns = 0;
  bool armed = false;
  Place fed;
  int64_t fed_ns = 0;

  bool is_due(int64_t now_ns) const {
    return armed && waits_ns != 0 && elapsed_ns(fed_ns, now_ns) > waits_ns;
  }
};

class Watchdog : public Rule {
 public:
  std::string_view id() const override { return "watchdog"; }
  std::string_view about() const override {
    return "a watchdog (ib700, TCO) was armed and not fed for longer than it waits";
  }
  // Why it was not fed any more.
  std::vector<std::string_view> yields_to() const override {
    return {"guest-panic", "pvpanic", "hlt-interrupts-off", "same-address-loop"};
  }
  void see(const SeenExit& seen) override {
    const Exit& exit = seen.decoded.exit;
    if (exit.reason == kExitShutdown || exit.reason == kExitSystemEvent) return stop_all(seen);
    if (exit.reason != kExitIo || valid_field(exit, "io.direction") != 1) return;
    const auto port = valid_field(exit, "io.port");
    const auto data = valid_bytes(exit, seen.decoded.moment, "io.data");
    if (!port || data.empty()) return;
    const auto word = static_cast<uint16_t>(data[0] | (data.size() > 1 ? data[1] << 8 : 0));
    switch (*port) {
      case kIb700Feed:
        ib700_.waits_ns = (30 - 2 * (word & 0xf)) * kSecond;
        return feed(ib700_, seen);
      case kIb700Stop:
        return stop(ib700_, seen);
      case kTcoTicks:
        tco_.waits_ns = 2 * (word & kTcoTicksMask) * (kSecond * 6 / 10);
        return;
      case kTcoControl:
        return (word & kTcoHalted) != 0 ? stop(tco_, seen) : feed(tco_, seen);
      case kTcoFeed:
        if (tco_.armed) feed(tco_, seen);
        return;
      default:
        if ((ib700_.armed || tco_.armed) && !reset_request(seen.decoded).empty()) stop_all(seen);
    }
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    // Any vCPU may be the one that feeds it.
    if (all.reader.session().clock_name == kNoClock || !all.has_every_vcpu()) return;
    for (Dog* dog : {&ib700_, &tco_})
      if (dog->is_due(all.reader.recorded_ns())) note_due(*dog, all.reader.recorded_ns());
    if (!due_) return;
    const double waited = static_cast<double>(elapsed_ns(due_->fed_ns, until_ns_)) / kSecond;
    Finding finding;
    finding.title = fmt::format(
        "The guest's watchdog came due: {} was not fed for {:.0f} s, and waits {:.0f} s",
        due_->name, waited, static_cast<double>(due_->waits_ns) / kSecond);
    finding.confidence = 0.6;
    if (all.lost != 0 || !all.uncounted_losses().empty() ||
        !all.reader.session().left_out.empty()) {
      finding.confidence = 0.2;
      finding.details.push_back(
          "cannot know: whether it was fed by an exit that is not in this recording");
    }
    finding.evidence.push_back(due_->fed);
    finding.details.push_back(
        "what the monitor did then (reset, stop, inject an NMI) is its configuration, and in no "
        "exit");
    finding.details.push_back(
        "cannot know: whether the guest was paused meanwhile: its clock and its watchdog stand "
        "then");
    finding.next =
        "the monitor's log and its watchdog action (QEMU: -action watchdog); what the vCPUs did "
        "after it was fed for the last time";
    finding.change =
        due_->name == ib700_.name ? "QEMU hw/watchdog/wdt_ib700.c" : "QEMU hw/acpi/tco.c";
    findings.push_back(std::move(finding));
  }

 private:
  // How far apart those of a repeat are is not known: it was fed all the while.
  void feed(Dog& dog, const SeenExit& seen) {
    if (dog.is_due(seen.first_ns)) note_due(dog, seen.first_ns);
    dog.armed = true;
    dog.fed = seen.place();
    dog.fed_ns = seen.item.time_ns;
  }
  void stop(Dog& dog, const SeenExit& seen) {
    if (dog.is_due(seen.first_ns)) note_due(dog, seen.first_ns);
    dog.armed = false;
  }
  // A machine that is reset has its watchdogs off.
  void stop_all(const SeenExit& seen) {
    stop(ib700_, seen);
    stop(tco_, seen);
  }
  void note_due(const Dog& dog, int64_t until_ns) {
    due_ = dog;
    until_ns_ = until_ns;
  }

  Dog ib700_{.name = "ib700 (port 0x443)", .fed = {}}, tco_{.name = "TCO (port 0x660)", .fed = {}};
  std::optional<Dog> due_;
  int64_t until_ns_ = 0;
};

}  // namespace

std::unique_ptr<Rule> make_watchdog_rule() { return std::make_unique<Watchdog>(); }

}  // namespace kvmtape
