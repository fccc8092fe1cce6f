// One line for people. Prints values that may be believed, and says of the others that they may
// not.
#include <fmt/format.h>

#include <iterator>

#include "replayer/exit_decoder.h"

namespace kvmtape {
namespace {

using Buffer = fmt::memory_buffer;

template <typename... Arguments>
void print(Buffer& to, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(to), format, std::forward<Arguments>(arguments)...);
}

// The value if it may be believed, "?" otherwise.
std::string hex(const Exit& exit, std::string_view name, int element = -1) {
  const Field* field = exit.find(name, element);
  if (field == nullptr || field->validity != Validity::kValid) return "?";
  return fmt::format("{:#x}", field->value);
}

const Field* valid(const Exit& exit, std::string_view name, int element = -1) {
  const Field* field = exit.find(name, element);
  return field != nullptr && field->validity == Validity::kValid ? field : nullptr;
}

std::string byte_count(uint64_t bytes) {
  return bytes == 1 ? "1 byte" : fmt::format("{} bytes", bytes);
}

bool is_always_little(Architecture architecture) {
  return architecture == Architecture::kX86_64 || architecture == Architecture::kI386 ||
         architecture == Architecture::kRiscv64 || architecture == Architecture::kLoongarch64;
}

// A number where the guest can only be little-endian, otherwise the bytes as they lie in memory.
void print_data(Buffer& to, Architecture architecture, std::span<const uint8_t> bytes) {
  constexpr size_t kShownMax = 16;
  if (is_always_little(architecture) && bytes.size() <= sizeof(uint64_t)) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
    return print(to, "{:#x}", value);
  }
  for (size_t i = 0; i < bytes.size() && i < kShownMax; ++i) print(to, "{:02x}", bytes[i]);
  if (bytes.size() > kShownMax) print(to, "..");
}

struct TextOf {
  const DecodeContext& context;
  const RawMoment& moment;
  const Exit& exit;
  Buffer& to;

  void io() const {
    const Field* size = valid(exit, "io.size");
    const Field* count = valid(exit, "io.count");
    const Field* direction = valid(exit, "io.direction");
    const bool out = direction != nullptr && direction->value == 1;
    print(to, "{} port {} {}",
          direction == nullptr ? "?"
          : out                ? "OUT"
                               : "IN ",
          hex(exit, "io.port"), size == nullptr ? "? bytes" : byte_count(size->value));
    if (count != nullptr && count->value != 1) print(to, " x {}", count->value);
    if (const Field* data = valid(exit, "io.data")) {
      print(to, "{}", out ? " " : " = ");
      print_data(to, context.architecture, raw_bytes(*data, moment));
    }
  }

  void access(std::string_view address, std::string_view len, std::string_view data_name,
              std::string_view is_write) const {
    const Field* bytes = valid(exit, len);
    const Field* data = valid(exit, data_name);
    const Field* write = valid(exit, is_write);
    const std::string size = bytes == nullptr ? "? bytes" : byte_count(bytes->value);
    if (write != nullptr && write->value != 0) {
      print(to, "write {} ", size);
      if (data != nullptr)
        print_data(to, context.architecture, raw_bytes(*data, moment));
      else
        print(to, "?");
      print(to, " to {}", hex(exit, address));
      return;
    }
    print(to, "{} {} from {}", write == nullptr ? "access" : "read", size, hex(exit, address));
    if (data == nullptr) return;
    print(to, " = ");
    print_data(to, context.architecture, raw_bytes(*data, moment));
  }

  void debug_arm64() const {
    if (!exit.has_esr) return print(to, "debug exception, hsr ?");
    const uint32_t iss = exit.esr & 0x1ffffff;
    switch ((exit.esr >> 26) & 0x3f) {
      case 0x30:
        return print(to, "hardware breakpoint");
      case 0x32:
        return print(to, "single step{}", (iss & 0x40) != 0 ? " of a load-exclusive" : "");
      case 0x34:
        return print(to, "watchpoint, {} at {}", (iss & 0x40) != 0 ? "write" : "read",
                     hex(exit, "debug.arch.far"));
      case 0x38:
        return print(to, "BKPT #{:#x}", iss & 0xffff);
      case 0x3a:
        return print(to, "vector catch");
      case 0x3c:
        return print(to, "BRK #{:#x}", iss & 0xffff);
      default:
        return print(to, "debug exception, ESR {:#x}", exit.esr);
    }
  }

  void debug_x86() const {
    const Field* exception = valid(exit, "debug.arch.exception");
    const uint64_t vector = exception == nullptr ? ~uint64_t{0} : exception->value;
    print(to, "{} at {}",
          vector == 1   ? "#DB"
          : vector == 3 ? "#BP"
                        : "debug exception",
          hex(exit, "debug.arch.pc"));
    if (vector == 1)
      print(to, " dr6 {} dr7 {}", hex(exit, "debug.arch.dr6"), hex(exit, "debug.arch.dr7"));
  }

  void internal_error() const {
    const Field* suberror = valid(exit, "internal.suberror");
    if (suberror == nullptr) return print(to, "internal error, not described by this kernel");
    if (!suberror->value_name.empty())
      print(to, "{}", suberror->value_name);
    else
      print(to, "suberror {:#x}", suberror->value);
    if (const Field* insn = valid(exit, "emulation_failure.insn_bytes")) {
      print(to, ", instruction");
      for (uint8_t byte : raw_bytes(*insn, moment)) print(to, " {:02x}", byte);
      return;
    }
    const Field* ndata = valid(exit, "internal.ndata");
    for (const Field& field : exit.all_fields()) {
      if (field.name != "internal.data" || field.validity != Validity::kValid) continue;
      const std::string_view slot =
          ndata == nullptr ? std::string_view{}
                           : internal_data_slot(context, static_cast<uint32_t>(suberror->value),
                                                static_cast<uint32_t>(ndata->value), field.element);
      print(to, ", {} {:#x}", slot.empty() ? "data" : slot, field.value);
    }
  }

  // "type KVM_SYSTEM_EVENT_RESET ndata 0x1 data[0] 0x1": what is valid, without the member's name.
  void fields_of(std::string_view member) const {
    for (const Field& field : exit.all_fields()) {
      if (!field.name.starts_with(member) || field.kind == FieldKind::kBytes) continue;
      if (field.validity != Validity::kValid && field.element > 0) continue;
      if (field.validity == Validity::kAbsent) continue;
      std::string_view name = field.name;
      if (name.size() > member.size()) name.remove_prefix(member.size() + 1);
      if (to.size() != 0) print(to, " ");
      print(to, "{}", name);
      if (field.element >= 0) print(to, "[{}]", field.element);
      if (field.validity != Validity::kValid)
        print(to, " ?");
      else if (!field.value_name.empty())
        print(to, " {}", field.value_name);
      else
        print(to, " {:#x}", field.value);
    }
  }
};

}  // namespace

std::string exit_text(const DecodeContext& context, const RawMoment& moment, const Exit& exit) {
  Buffer to;
  const TextOf text{context, moment, exit, to};
  if (exit.reason_validity == Validity::kStale) {
    print(to, "{}", exit.reason_why);
    return fmt::to_string(to);
  }
  const abi::ExitReason* reason = abi::find_exit_reason(exit.reason);
  switch (exit.reason) {
    case 2:
      text.io();
      break;
    case 4:
      if (context.architecture == Architecture::kAarch64)
        text.debug_arm64();
      else if (exit.find("debug.arch.exception") != nullptr)
        text.debug_x86();
      else
        text.fields_of("debug");
      break;
    case 6:
      text.access("mmio.phys_addr", "mmio.len", "mmio.data", "mmio.is_write");
      break;
    case 8:
      print(to, "shutdown: a triple fault; this exit has no payload");
      break;
    case 10:
      print(to, "interrupted by a signal");
      break;
    case 17:
      text.internal_error();
      break;
    case 38:
      text.access("iocsr_io.phys_addr", "iocsr_io.len", "iocsr_io.data", "iocsr_io.is_write");
      break;
    default:
      if (reason != nullptr && !reason->member.empty()) text.fields_of(reason->member);
      break;
  }
  if (exit.reason_validity == Validity::kUnknown)
    print(to, "{}{}", to.size() == 0 ? "" : "; ", exit.reason_why);
  return fmt::to_string(to);
}

}  // namespace kvmtape
