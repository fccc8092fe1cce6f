// One line for people: which part speaks for which exit, and the parts that need no names.
#include <algorithm>

#include "replayer/exit_text_writer.h"
#include "replayer/flag_bits.h"

namespace kvmtape {
namespace {

std::string byte_count(uint64_t bytes) {
  return bytes == 1 ? "1 byte" : fmt::format("{} bytes", bytes);
}

bool is_always_little(Architecture architecture) {
  return architecture == Architecture::kX86_64 || architecture == Architecture::kI386 ||
         architecture == Architecture::kRiscv64 || architecture == Architecture::kLoongarch64;
}

}  // namespace

void ExitText::print_data(std::span<const uint8_t> bytes) const {
  constexpr size_t kShownMax = 16;
  if (is_always_little(context.architecture) && bytes.size() <= sizeof(uint64_t)) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
    return print("{:#x}", value);
  }
  for (size_t i = 0; i < bytes.size() && i < kShownMax; ++i) print("{:02x}", bytes[i]);
  if (bytes.size() > kShownMax) print("..");
}

void ExitText::io() const {
  const Field* size = valid("io.size");
  const Field* count = valid("io.count");
  const Field* direction = valid("io.direction");
  const bool out = direction != nullptr && direction->value == 1;
  print("{} port {} {}",
        direction == nullptr ? "?"
        : out                ? "OUT"
                             : "IN ",
        hex("io.port"), size == nullptr ? "? bytes" : byte_count(size->value));
  if (count != nullptr && count->value != 1) print(" x {}", count->value);
  if (const Field* data = valid("io.data")) {
    print("{}", out ? " " : " = ");
    print_data(raw_bytes(*data, moment));
  }
}

void ExitText::access(std::string_view address, std::string_view len, std::string_view data_name,
                      std::string_view is_write) const {
  const Field* bytes = valid(len);
  const Field* data = valid(data_name);
  const Field* write = valid(is_write);
  const std::string size = bytes == nullptr ? "? bytes" : byte_count(bytes->value);
  if (write != nullptr && write->value != 0) {
    print("write {} ", size);
    if (data != nullptr)
      print_data(raw_bytes(*data, moment));
    else
      print("?");
    print(" to {}", hex(address));
    return;
  }
  print("{} {} from {}", write == nullptr ? "access" : "read", size, hex(address));
  if (data == nullptr) return;
  print(" = ");
  print_data(raw_bytes(*data, moment));
}

// "type KVM_SYSTEM_EVENT_RESET ndata 0x1 data[0] 0x1": what is valid, without the member's name.
void ExitText::fields_of(std::string_view member) const {
  for (const Field& field : exit.all_fields()) {
    if (!field.name.starts_with(member) || field.kind == FieldKind::kBytes) continue;
    if (field.validity != Validity::kValid && field.element > 0) continue;
    if (field.validity == Validity::kAbsent) continue;
    std::string_view name = field.name;
    if (name.size() > member.size()) name.remove_prefix(member.size() + 1);
    if (to.size() != 0) print(" ");
    print("{}", name);
    if (field.element >= 0) print("[{}]", field.element);
    if (field.validity != Validity::kValid)
      print(" ?");
    else if (!field.value_name.empty())
      print(" {}", field.value_name);
    else if (const std::string flags = flag_bits_text(context.architecture, field); !flags.empty())
      print(" {}", flags);
    else
      print(" {:#x}", field.value);
  }
}

std::string exit_text(const DecodeContext& context, const RawMoment& moment, const Exit& exit) {
  fmt::memory_buffer to;
  const ExitText text{context, moment, exit, to};
  if (exit.reason_validity == Validity::kStale) return std::string(exit.reason_why);
  const abi::ExitReason* reason = abi::find_exit_reason(exit.reason);
  const bool is_made_here = reason == nullptr || context.architecture == Architecture::kUnknown ||
                            (reason->architectures & abi::mask_of(context.architecture)) != 0;
  const std::string_view name = without_exit_prefix(exit.name);
  if (!is_made_here)
    text.print("no known KVM of this architecture exits so");
  else if (name == "IO")
    text.io();
  else if (name == "HYPERCALL")
    text.hypercall();
  else if (name == "DEBUG" && context.architecture == Architecture::kAarch64)
    text.debug_arm64();
  else if (name == "DEBUG" && exit.find("debug.arch.exception") != nullptr)
    text.debug_x86();
  else if (name == "MMIO")
    text.access("mmio.phys_addr", "mmio.len", "mmio.data", "mmio.is_write");
  else if (name == "UNKNOWN")
    text.no_reason();
  else if (name == "SHUTDOWN")
    text.print(
        "shutdown: a triple fault, without payload (a SEV-ES guest that asks to end comes as "
        "KVM_EXIT_SYSTEM_EVENT)");
  else if (name == "FAIL_ENTRY")
    text.fail_entry();
  else if (name == "INTR")
    text.print("interrupted by a signal");
  else if (name == "INTERNAL_ERROR")
    text.internal_error();
  else if (name == "PAPR_HCALL")
    text.papr_hcall();
  else if (name == "SYSTEM_EVENT")
    text.system_event();
  else if (name == "ARM_NISV" || name == "ARM_LDST64B" || name == "ARM_SEA")
    text.arm_abort();
  else if (name == "X86_RDMSR" || name == "X86_WRMSR")
    text.msr(name == "X86_WRMSR");
  else if (name == "RISCV_SBI")
    text.sbi();
  else if (name == "LOONGARCH_IOCSR")
    text.access("iocsr_io.phys_addr", "iocsr_io.len", "iocsr_io.data", "iocsr_io.is_write");
  else if (reason != nullptr && !reason->member.empty())
    text.fields_of(reason->member);
  if (exit.reason_validity == Validity::kUnknown)
    text.print("{}{}", to.size() == 0 ? "" : "; ", exit.reason_why);
  return fmt::to_string(to);
}

}  // namespace kvmtape
