#include "analysis/explain/console_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/explain/kept_exit.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

constexpr uint64_t kMmioKey = uint64_t{1} << 63;  // apart from ports
constexpr uint64_t kSbiKey = uint64_t{1} << 62;

bool is_letter(uint8_t byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9');
}

bool is_printable(uint8_t byte) {
  return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r' || byte == '\t' ||
         byte == 0x1b || byte == '\b';
}

std::string where_text(uint64_t key) {
  if ((key & kMmioKey) != 0) return fmt::format("address {:#x}", key & ~kMmioKey);
  return key == kSbiKey ? std::string("the SBI console") : fmt::format("port {:#x}", key);
}

}  // namespace

void ConsoleText::see(Place first, const DecodedExit& decoded, uint64_t count) {
  const Exit& exit = decoded.exit;
  if (exit.reason_validity != Validity::kValid) return;
  if (exit.reason == kExitIo) {
    const auto port = valid_field(exit, "io.port");
    if (!port || valid_field(exit, "io.direction") != 1 || valid_field(exit, "io.size") != 1)
      return;
    put_all(first, *port, valid_bytes(exit, decoded.moment, "io.data"), count);
  } else if (exit.reason == kExitMmio) {
    const auto address = valid_field(exit, "mmio.phys_addr");
    const auto len = valid_field(exit, "mmio.len");
    if (!address || valid_field(exit, "mmio.is_write") != 1 || !len || *len > 4) return;
    const auto data = valid_bytes(exit, decoded.moment, "mmio.data");
    // A register of 32 bits holds a character alone.
    for (size_t i = 1; i < data.size(); ++i)
      if (data[i] != 0) return;
    if (!data.empty()) put_all(first, *address | kMmioKey, data.first(1), count);
  } else if (exit.reason == kExitRiscvSbi) {
    constexpr uint64_t kPutchar = 1;  // SBI 0.1 console_putchar
    const auto byte = valid_field(exit, "riscv_sbi.args", 0);
    if (valid_field(exit, "riscv_sbi.extension_id") != kPutchar || !byte) return;
    const auto character = static_cast<uint8_t>(*byte);
    put_all(first, kSbiKey, {&character, 1}, count);
  }
}

// Of more than the tail has room for only the last ones.
void ConsoleText::put_all(Place first, uint64_t key, std::span<const uint8_t> bytes,
                          uint64_t count) {
  const uint64_t most = kTailBytes / std::max<size_t>(bytes.size(), 1) + 1;
  const uint64_t end = first.seq + count;
  for (uint64_t seq = end - std::min(count, most); seq != end; ++seq)
    put({first.vcpu, seq}, key, bytes);
}

void ConsoleText::put(Place place, uint64_t key, std::span<const uint8_t> bytes) {
  size_t at = 0;
  while (at < used_ && candidates_[at].key != key) ++at;
  if (at == used_) {
    if (used_ == kCandidates) {  // the emptiest gives way
      at = 0;
      for (size_t i = 1; i < kCandidates; ++i)
        if (candidates_[i].letters < candidates_[at].letters) at = i;
    } else {
      ++used_;
    }
    candidates_[at] = {};
    candidates_[at].key = key;
  }
  Candidate& to = candidates_[at];
  to.written_at = ++writes_;
  for (const uint8_t byte : bytes) {
    is_printable(byte) ? ++to.printable : ++to.other;
    to.letters += is_letter(byte) ? 1 : 0;
    if (!is_printable(byte) || byte == '\r') continue;
    if (to.at_line_start) to.lines.emplace_back(to.dropped + to.tail.size(), place);
    to.at_line_start = byte == '\n';
    to.tail.push_back(static_cast<char>(byte));
  }
  if (to.lines.size() > kLinesMax) to.lines.erase(to.lines.begin(), to.lines.end() - kLinesMax);
  if (to.tail.size() <= 2 * kTailBytes) return;
  to.dropped += to.tail.size() - kTailBytes;
  to.tail.erase(0, to.tail.size() - kTailBytes);
}

// An end of interrupt is 0x20, a space: text has letters.
bool ConsoleText::is_text(const Candidate& candidate) {
  constexpr uint64_t kLeastBytes = 8;
  return candidate.printable >= kLeastBytes && candidate.other * 8 <= candidate.printable &&
         candidate.letters * 2 >= candidate.printable;
}

std::vector<ConsoleText::Console> ConsoleText::all() const {
  std::vector<const Candidate*> found;
  for (size_t i = 0; i < used_; ++i)
    if (is_text(candidates_[i])) found.push_back(&candidates_[i]);
  std::ranges::sort(found, {}, &Candidate::written_at);
  std::vector<Console> consoles;
  for (const Candidate* candidate : found) {
    Console console{where_text(candidate->key), candidate->tail, {}};
    for (const auto& [at, place] : candidate->lines)
      if (at >= candidate->dropped)
        console.lines.emplace_back(at - candidate->dropped, place);
      else
        console.lines = {{0, place}};
    consoles.push_back(std::move(console));
  }
  return consoles;
}

std::string ConsoleText::tail() const {
  const auto consoles = all();
  return consoles.empty() ? std::string() : consoles.back().tail;
}

Place ConsoleText::Console::place_of(size_t at) const {
  Place found = lines.empty() ? Place{} : lines.front().second;
  for (const auto& [begin, place] : lines)
    if (begin <= at) found = place;
  return found;
}

}  // namespace kvmtape
