// Reads that no device answered: all bits ones, or the data of the access before, because the
// monitor left the buffer as it was (Cloud Hypervisor up to 2026 did so for addresses without a
// device). A guest that believes such a value goes wrong later. One read of ones is how buses are
// probed. A device that answers with the bytes that stood in the buffer leaves the same recording.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr size_t kVcpusMax = 4096;
constexpr uint64_t kPolled = 1'000;   // reads of one address, each answered with ones
constexpr uint64_t kCloseExits = 16;  // so near to the crash it may have led there

// The PCI configuration ports and the serial ports are probed by reading what may not be there.
bool is_probed(uint64_t port) {
  return (port >= 0xcf8 && port <= 0xcff) || port == 0x3fd || port == 0x2fd || port == 0x3ed ||
         port == 0x2ed || port == 0x64 || port == 0x60 || port == 0x71;
}

// A byte, or a word of like bytes, is the same as the one before by chance often enough.
bool is_telling(std::span<const uint8_t> data) {
  if (data.size() < sizeof(uint32_t)) return false;
  size_t zeroes = 0;
  for (const uint8_t byte : data) zeroes += byte == 0 ? 1 : 0;
  const bool is_pattern = data[0] == data[2] && data[1] == data[3];  // as of an empty screen
  return zeroes * 2 <= data.size() && !is_pattern;
}

struct Access {
  bool is_read = false;
  bool is_port = false;
  uint64_t address = 0;
  std::span<const uint8_t> before, after;
};

// Within a device's memory, a screen that scrolls, the data before and behind a read are alike.
bool is_far(uint64_t last_address, const Access& access) {
  constexpr uint64_t kWindow = 128 << 10;  // VGA's
  const uint64_t distance =
      std::max(last_address, access.address) - std::min(last_address, access.address);
  return access.is_port ? distance != 0 : distance >= kWindow;
}

std::optional<Access> access_of(const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  if (decoded.moment.ret < 0 || exit.reason_validity != Validity::kValid) return std::nullopt;
  Access access;
  access.is_port = exit.reason == kExitIo;
  if (!access.is_port && exit.reason != kExitMmio) return std::nullopt;
  const auto address = valid_field(exit, access.is_port ? "io.port" : "mmio.phys_addr");
  const auto is_write = valid_field(exit, access.is_port ? "io.direction" : "mmio.is_write");
  if (!address || !is_write) return std::nullopt;
  access.address = *address;
  access.is_read = *is_write == 0;
  const std::string_view data = access.is_port ? "io.data" : "mmio.data";
  if (const Field* field = exit.find(data)) access.before = raw_bytes(*field, decoded.moment);
  if (access.is_read && decoded.has_answer)
    access.after = valid_bytes(decoded.answer, decoded.answer_moment, data);
  return access;
}

// One address, as often as it was answered so in a row.
struct Seen {
  uint64_t count = 0;
  bool is_port = false;
  uint64_t address = 0;
  Place first, last;
  std::string value;
  uint64_t word = 0;  // the same as a number
};

struct OfVcpu {
  Seen ones, stale;
  bool had_access = false;
  bool last_is_port = false;
  uint64_t last_address = 0;
};

class UnhandledAccess : public Rule {
 public:
  std::string_view id() const override { return "unhandled-access"; }
  std::string_view about() const override {
    return "reads were answered with all ones, or with the data of the access before";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void see(const SeenExit& seen) override {
    const auto access = access_of(seen.decoded);
    if (!access) return;
    if (vcpus_.size() >= kVcpusMax && !vcpus_.contains(seen.item.vcpu_index)) return;
    OfVcpu& vcpu = vcpus_[seen.item.vcpu_index];
    if (access->is_read && !access->after.empty()) {
      const bool ones = std::ranges::all_of(access->after, [](uint8_t b) { return b == 0xff; });
      const bool elsewhere = vcpu.had_access && is_far(vcpu.last_address, *access);
      const bool untouched = std::ranges::equal(access->before, access->after);
      if (ones && !(access->is_port && is_probed(access->address))) count(vcpu.ones, seen, *access);
      if (untouched && elsewhere && is_telling(access->after) &&
          vcpu.last_is_port == access->is_port)
        count_stale(vcpu.stale, seen, *access);
    }
    vcpu.had_access = true;
    vcpu.last_is_port = access->is_port;
    vcpu.last_address = access->address;
  }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    for (const auto& [index, vcpu] : vcpus_) {
      if (vcpu.stale.count != 0) judge_stale(all, vcpu.stale, findings);
      if (vcpu.ones.count != 0) judge_ones(all, vcpu.ones, findings);
    }
  }

 private:
  static std::string place_text(const Seen& seen) {
    return fmt::format("{} {:#x}", seen.is_port ? "port" : "address", seen.address);
  }
  static void note_value(Seen& to, std::span<const uint8_t> bytes) {
    bytes = bytes.first(std::min(bytes.size(), sizeof to.word));
    to.value = hex_bytes(bytes);
    to.word = 0;
    for (size_t i = 0; i < bytes.size(); ++i) to.word |= uint64_t{bytes[i]} << 8 * i;
  }
  // The guest took what it read for an address, and jumped or went there.
  static std::string use_of_value(const Case& all, const Seen& seen) {
    if (!is_close_to_crash(all, seen.last, kCloseExits) || all.at_crash.empty()) return {};
    if (all.at_crash.get("rip") == seen.word) return "jumped to it";
    if (all.crashed_by(kExitShutdown) && all.at_crash.get("cr2") == seen.word)
      return "used it as an address (CR2)";
    return {};
  }
  static void count(Seen& to, const SeenExit& seen, const Access& access) {
    if (to.count == 0 || to.address != access.address || to.is_port != access.is_port)
      to = {0, access.is_port, access.address, seen.first(), {}, {}};
    to.count += seen.count;
    to.last = seen.place();
    note_value(to, access.after);
  }
  static void count_stale(Seen& to, const SeenExit& seen, const Access& access) {
    if (to.count == 0) to.first = seen.place();
    ++to.count;
    to.is_port = access.is_port;
    to.address = access.address;
    to.last = seen.place();
    note_value(to, access.after);
  }
  static void tell_use(const Case& all, const Seen& seen, Finding& finding) {
    const std::string use = use_of_value(all, seen);
    if (use.empty()) return;
    constexpr double kCertain = 0.95;
    finding.title += fmt::format(", and the guest {}", use);
    finding.confidence = kCertain;
    finding.evidence.push_back(all.crash->exit.place);
  }
  // Once may be chance: a register that holds what was just written elsewhere.
  static void judge_stale(const Case& all, const Seen& seen, std::vector<Finding>& findings) {
    const bool close = is_close_to_crash(all, seen.last, kCloseExits);
    constexpr uint64_t kNoChance = 8;
    if (!close && seen.count < kNoChance) return;
    Finding finding;
    finding.title = fmt::format(
        "A read from {} was answered with the very bytes that the access before had left in "
        "the buffer ({})",
        place_text(seen), seen.value);
    finding.confidence = (close ? 0.55 : 0.45) + (seen.count >= kNoChance ? 0.15 : 0);
    finding.evidence = {seen.first};
    if (seen.last != seen.first) finding.evidence.push_back(seen.last);
    tell_use(all, seen, finding);
    finding.details.push_back(
        fmt::format("{} so in all; the buffer did not change, which looks alike where a device "
                    "answers with the same bytes",
                    seen.count == 1 ? "1 read" : fmt::format("{} reads", seen.count)));
    finding.next =
        "see whether the monitor has a device there: without one it must answer with ones, or the "
        "guest believes a random value";
    finding.change = "Cloud Hypervisor issue 7415, mended by PR 8237 (2026)";
    findings.push_back(std::move(finding));
  }
  static void judge_ones(const Case& all, const Seen& seen, std::vector<Finding>& findings) {
    const bool close = is_close_to_crash(all, seen.last, kCloseExits);
    const bool polled = seen.count >= kPolled;
    if (!close && !polled) return;
    Finding finding;
    finding.title = fmt::format("No device answered {} read{} from {}: all bits were ones",
                                seen.count, seen.count == 1 ? "" : "s", place_text(seen));
    finding.confidence = polled ? 0.65 : 0.4;
    finding.evidence = {seen.first};
    if (seen.last != seen.first) finding.evidence.push_back(seen.last);
    tell_use(all, seen, finding);
    if (!seen.is_port && all.slots.find(seen.address) != nullptr)
      finding.details.push_back("a memory slot holds this address by now");
    finding.next = "see which driver reads there, and whether the monitor has that device";
    findings.push_back(std::move(finding));
  }

  std::map<uint32_t, OfVcpu> vcpus_;
};

}  // namespace

std::unique_ptr<Rule> make_unhandled_access_rule() { return std::make_unique<UnhandledAccess>(); }

}  // namespace kvmtape
