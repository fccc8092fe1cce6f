#include "analysis/explain/console_text.h"

#include "analysis/explain/exit_numbers.h"
#include "analysis/explain/kept_exit.h"

namespace kvmtape {
namespace {

constexpr uint64_t kMmioKey = uint64_t{1} << 63;  // apart from ports
constexpr uint64_t kSbiKey = uint64_t{1} << 62;

bool is_text(uint8_t byte) {
  return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r' || byte == '\t' ||
         byte == 0x1b || byte == '\b';
}

}  // namespace

void ConsoleText::see(Place place, const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  if (exit.reason_validity != Validity::kValid) return;
  if (exit.reason == kExitIo) {
    const auto port = valid_field(exit, "io.port");
    if (!port || valid_field(exit, "io.direction") != 1 || valid_field(exit, "io.size") != 1)
      return;
    put(place, *port, valid_bytes(exit, decoded.moment, "io.data"));
  } else if (exit.reason == kExitMmio) {
    const auto address = valid_field(exit, "mmio.phys_addr");
    const auto len = valid_field(exit, "mmio.len");
    if (!address || valid_field(exit, "mmio.is_write") != 1 || !len || *len > 4) return;
    const auto data = valid_bytes(exit, decoded.moment, "mmio.data");
    // A register of 32 bits holds a character alone.
    for (size_t i = 1; i < data.size(); ++i)
      if (data[i] != 0) return;
    if (!data.empty()) put(place, *address | kMmioKey, data.first(1));
  } else if (exit.reason == kExitRiscvSbi) {
    constexpr uint64_t kPutchar = 1;  // SBI 0.1 console_putchar
    const auto byte = valid_field(exit, "riscv_sbi.args", 0);
    if (valid_field(exit, "riscv_sbi.extension_id") != kPutchar || !byte) return;
    const auto character = static_cast<uint8_t>(*byte);
    put(place, kSbiKey, {&character, 1});
  }
}

void ConsoleText::put(Place place, uint64_t key, std::span<const uint8_t> bytes) {
  size_t at = 0;
  while (at < used_ && candidates_[at].key != key) ++at;
  if (at == used_) {
    if (used_ == kCandidates) {  // the emptiest gives way
      at = 0;
      for (size_t i = 1; i < kCandidates; ++i)
        if (candidates_[i].printable < candidates_[at].printable) at = i;
    } else {
      ++used_;
    }
    candidates_[at] = {};
    candidates_[at].key = key;
  }
  Candidate& to = candidates_[at];
  to.last = place;
  for (const uint8_t byte : bytes) {
    is_text(byte) ? ++to.printable : ++to.other;
    if (is_text(byte) && byte != '\r') to.tail.push_back(static_cast<char>(byte));
  }
  if (to.tail.size() > 2 * kTailBytes) to.tail.erase(0, to.tail.size() - kTailBytes);
}

const ConsoleText::Candidate* ConsoleText::best() const {
  constexpr uint64_t kLeastBytes = 8;
  const Candidate* found = nullptr;
  for (size_t i = 0; i < used_; ++i) {
    const Candidate& candidate = candidates_[i];
    if (candidate.printable < kLeastBytes || candidate.other * 8 > candidate.printable) continue;
    if (found == nullptr || candidate.printable > found->printable) found = &candidate;
  }
  return found;
}

std::string ConsoleText::tail() const {
  const Candidate* found = best();
  return found == nullptr ? std::string() : found->tail;
}

Place ConsoleText::last() const {
  const Candidate* found = best();
  return found == nullptr ? Place{} : found->last;
}

}  // namespace kvmtape
