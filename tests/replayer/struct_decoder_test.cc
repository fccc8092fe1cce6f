#include "replayer/struct_decoder.h"

#include <gtest/gtest.h>

#include "replayer/struct_text.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;

std::string shown(const std::vector<Field>& fields, std::string_view name, int element = -1) {
  Exit exit;
  for (const Field& field : fields) {
    if (field.name != name || field.element != element) continue;
    exit.fields[0] = field;
    exit.field_count = 1;
  }
  return testing::shown(exit, name, element);
}

std::vector<Field> decoded(const DecodeContext& context, std::string_view name,
                           const std::vector<uint8_t>& bytes) {
  auto fields = decode_struct(context, name, bytes);
  EXPECT_TRUE(fields.ok());
  return fields.ok() ? *fields : std::vector<Field>{};
}

TEST(VcpuEventsX86, FlagsSayWhatIsReported) {
  std::vector<uint8_t> bytes(64, 0);
  bytes[0] = 1;      // exception.injected
  bytes[1] = 14;     // exception.nr
  bytes[20] = 0x0c;  // SHADOW, SMM
  bytes[11] = 2;
  const auto fields = decoded(context_of(Architecture::kX86_64, "6.12"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(fields, "exception.nr"), "valid 0xe");
  EXPECT_EQ(shown(fields, "interrupt.shadow"), "valid 0x2");
  EXPECT_EQ(shown(fields, "nmi.pending"), "stale");
  EXPECT_EQ(shown(fields, "nmi.masked"), "valid 0x0");
  EXPECT_EQ(shown(fields, "sipi_vector"), "stale");
  EXPECT_EQ(shown(fields, "exception_payload"), "stale");
  EXPECT_EQ(shown(fields, "triple_fault.pending"), "stale");
  bytes[20] = 0x01;  // NMI_PENDING
  const auto nmi = decoded(context_of(Architecture::kX86_64, "6.12"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(nmi, "nmi.pending"), "valid 0x0");
}

TEST(VcpuEventsX86, GrewWithTheKernel) {
  const std::vector<uint8_t> bytes(64, 0xff);
  const auto old = decoded(context_of(Architecture::kX86_64, "4.19"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(old, "exception.pending"), "absent");
  EXPECT_EQ(shown(old, "smi.smm"), "valid 0xff");
  const auto later = decoded(context_of(Architecture::kX86_64, "5.17"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(later, "exception.pending"), "valid 0xff");
  EXPECT_EQ(shown(later, "triple_fault.pending"), "absent");
}

TEST(VcpuEventsArm64, ExtDabtPendingCameWith55AndAnEsrNeedsASError) {
  std::vector<uint8_t> bytes(64, 0);
  bytes[8] = 0x11;
  auto fields = decoded(context_of(Architecture::kAarch64, "5.3"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(fields, "exception.ext_dabt_pending"), "absent");
  EXPECT_EQ(shown(fields, "exception.serror_esr"), "stale");
  bytes[0] = bytes[1] = 1;
  fields = decoded(context_of(Architecture::kAarch64, "5.10"), "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(fields, "exception.ext_dabt_pending"), "valid 0x0");
  EXPECT_EQ(shown(fields, "exception.serror_esr"), "valid 0x11");
  EXPECT_EQ(shown(fields, "exception.ext_iabt_pending"), "missing");
}

TEST(VcpuEventsArm64, UnmergedLayoutsAreSelectedByNameOnly) {
  std::vector<uint8_t> bytes(64, 0);
  bytes[3] = bytes[4] = 1;
  bytes[16] = 0x10;
  DecodeContext context = context_of(Architecture::kAarch64, "7.3");
  context.abi_variant = "arm64-ext-abt-esr";
  const auto fields = decoded(context, "kvm_vcpu_events", bytes);
  EXPECT_EQ(shown(fields, "exception.ext_iabt_pending"), "valid 0x1");
  EXPECT_EQ(shown(fields, "exception.ext_abt_esr"), "valid 0x10");
  context.abi_variant = "no-such";
  auto refused = decode_struct(context, "kvm_vcpu_events", bytes);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("arm64-ext-iabt"), std::string::npos);
}

TEST(GuestDebug, HardwareRegistersCountOnlyWhenAskedFor) {
  std::vector<uint8_t> bytes(72, 0);
  bytes[0] = 1;
  const DecodeContext context = context_of(Architecture::kX86_64, "6.12");
  EXPECT_EQ(shown(decoded(context, "kvm_guest_debug", bytes), "arch.debugreg", 7), "stale");
  bytes[2] = 2;  // KVM_GUESTDBG_USE_HW_BP
  EXPECT_EQ(shown(decoded(context, "kvm_guest_debug", bytes), "arch.debugreg", 7), "valid 0x0");
}

TEST(DebugRegs, AreReadInTheKernelsOrder) {
  std::vector<uint8_t> bytes(128, 0);
  bytes[8] = 0x34;
  bytes[40] = 0x01;
  const auto fields = decoded(context_of(Architecture::kX86_64, "6.12"), "kvm_debugregs", bytes);
  EXPECT_EQ(shown(fields, "db", 1), "valid 0x34");
  EXPECT_EQ(shown(fields, "dr7"), "valid 0x1");
}

// Of the one field called so in `bytes` of a struct.
std::string text_of(Architecture architecture, std::string_view name,
                    const std::vector<uint8_t>& bytes, std::string_view field_name) {
  for (const Field& field : decoded(context_of(architecture, "6.12"), name, bytes))
    if (field.name == field_name) return struct_field_text(architecture, name, field);
  return "missing";
}

TEST(StructText, TheSameControlBitHasAnotherNameOnEachArchitecture) {
  const auto control = [](Architecture architecture) {
    std::vector<uint8_t> bytes(*struct_bytes(architecture, "kvm_guest_debug"), 0);
    const size_t low = architecture == Architecture::kS390x ? 3 : 0;
    bytes[low] = 1;
    bytes[low == 0 ? 2 : 1] = 1;
    DecodeContext context = context_of(architecture, "6.12");
    if (low != 0) context.byte_order = ByteOrder::kBig;
    for (const Field& field : decoded(context, "kvm_guest_debug", bytes))
      if (field.name == "control") return struct_field_text(architecture, "kvm_guest_debug", field);
    return std::string();
  };
  EXPECT_EQ(control(Architecture::kX86_64), "KVM_GUESTDBG_ENABLE|KVM_GUESTDBG_USE_SW_BP");
  EXPECT_EQ(control(Architecture::kS390x), "KVM_GUESTDBG_ENABLE|KVM_GUESTDBG_USE_HW_BP");
  EXPECT_EQ(control(Architecture::kRiscv64), "KVM_GUESTDBG_ENABLE|0x10000");
}

TEST(StructText, RegistersHaveTheirBitsAndPlainNumbersHaveNone) {
  std::vector<uint8_t> debug(128, 0);
  debug[33] = 0x40;  // dr6: BS
  EXPECT_NE(text_of(Architecture::kX86_64, "kvm_debugregs", debug, "dr6").find("single step"),
            std::string::npos);
  std::vector<uint8_t> events(64, 0);
  events[11] = 2;
  events[20] = 4;
  EXPECT_EQ(text_of(Architecture::kX86_64, "kvm_vcpu_events", events, "interrupt.shadow"),
            "KVM_X86_SHADOW_INT_STI");
  EXPECT_EQ(text_of(Architecture::kX86_64, "kvm_vcpu_events", events, "exception.nr"), "");
}

TEST(StructText, LengthsAreThoseOfTheCompiledStructs) {
  EXPECT_EQ(struct_bytes(Architecture::kX86_64, "kvm_vcpu_events"), 64u);
  EXPECT_EQ(struct_bytes(Architecture::kX86_64, "kvm_debugregs"), 128u);
  EXPECT_EQ(struct_bytes(Architecture::kX86_64, "kvm_sregs"), 312u);
  EXPECT_EQ(struct_bytes(Architecture::kAarch64, "kvm_regs"), 864u);
  EXPECT_EQ(struct_bytes(Architecture::kPpc64, "kvm_guest_debug"), 264u);
  EXPECT_EQ(struct_bytes(Architecture::kRiscv64, "kvm_guest_debug"), 8u);
  EXPECT_EQ(struct_bytes(Architecture::kRiscv64, "kvm_sregs"), std::nullopt);
}

TEST(Structs, ShortBytesAndUnknownNamesAreSaidClearly) {
  const DecodeContext context = context_of(Architecture::kX86_64, "6.12");
  const auto fields = decoded(context, "kvm_regs", std::vector<uint8_t>(20, 1));
  EXPECT_EQ(shown(fields, "rbx"), "valid 0x101010101010101");
  EXPECT_EQ(shown(fields, "rcx"), "unknown");
  auto refused = decode_struct(context, "kvm_nonsense", {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("kvm_sregs"), std::string::npos);
  EXPECT_FALSE(decode_struct(context_of(Architecture::kPpc64, "6.12"), "kvm_debugregs", {}).ok());
}

TEST(SyncRegs, AreValidAsKvmValidRegsSays) {
  const DecodeContext context = context_of(Architecture::kX86_64, "6.12");
  std::vector<uint8_t> page(4096, 0);
  page[288] = 1;  // KVM_SYNC_X86_REGS
  page[304] = 0x2a;
  auto fields = decode_sync_regs(context, {.kvm_run = page, .data = {}});
  EXPECT_EQ(shown(fields, "regs.rax"), "valid 0x2a");
  EXPECT_EQ(shown(fields, "sregs.cr0"), "stale");
  EXPECT_EQ(shown(fields, "events.flags"), "stale");
  fields = decode_sync_regs(context, {.kvm_run = page, .data = {}, .ret = -22});
  EXPECT_EQ(shown(fields, "regs.rax"), "unknown");
  EXPECT_TRUE(
      decode_sync_regs(context, {.kvm_run = std::span(page).first(288), .data = {}}).empty());
}

TEST(SyncRegs, BitsThatKvmRunRefusesMakeNothingValid) {
  const DecodeContext context = context_of(Architecture::kX86_64, "6.12");
  const std::vector<uint8_t> poison(4096, 0xaa);
  for (const Field& field : decode_sync_regs(context, {.kvm_run = poison, .data = {}}))
    EXPECT_NE(field.validity, Validity::kValid) << field.name;
}

TEST(SyncRegs, OfS390LieBehindThePswWords) {
  const DecodeContext context = context_of(Architecture::kS390x, "6.12", ByteOrder::kBig);
  std::vector<uint8_t> page(4096, 0);
  page[310] = 0x04;  // KVM_SYNC_BPBC
  page[311] = 0x02;  // KVM_SYNC_GPRS
  page[320 + 15] = 0x2a;
  page[320 + 1420] = 0x80;
  const auto fields = decode_sync_regs(context, {.kvm_run = page, .data = {}});
  EXPECT_EQ(shown(fields, "gprs", 0), "valid 0x2a");
  EXPECT_EQ(shown(fields, "bpbc"), "valid 0x1");
  EXPECT_EQ(shown(fields, "prefix"), "stale");
}

}  // namespace
}  // namespace kvmtape
