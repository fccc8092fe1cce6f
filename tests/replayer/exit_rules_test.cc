#include <gtest/gtest.h>

#include <initializer_list>

#include "replayer/flag_bits.h"
#include "replayer/internal_data.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;
using testing::KvmRunPage;
using testing::shown;

const DecodeContext kX86 = context_of(Architecture::kX86_64, "6.12.117");

KvmRunPage port_io(uint8_t direction, uint8_t size, uint32_t count) {
  KvmRunPage page(kX86);
  page.reason(2).in_union(0, direction).in_union(1, size).in_union(2, uint16_t{0x3f8});
  return page.in_union(4, count).in_union(8, uint64_t{4096});
}

TEST(PortIo, DataOfAnOutIsValidAndLiesOutsideKvmRun) {
  KvmRunPage page = port_io(1, 1, 1);
  page.data({0x41});
  const Exit exit = page.decoded();
  const Field* data = exit.find("io.data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->validity, Validity::kValid);
  EXPECT_TRUE(data->in_data);
  EXPECT_EQ(raw_bytes(*data, page.moment())[0], 0x41);
  EXPECT_EQ(exit.find("io.direction")->value_name, "KVM_EXIT_IO_OUT");
  EXPECT_EQ(page.text(), "OUT port 0x3f8 1 byte 0x41");
}

TEST(PortIo, DataOfAnInIsStaleAtTheExitAndValidInTheAnswer) {
  KvmRunPage page = port_io(0, 2, 2);
  page.data({1, 2, 3, 4});
  EXPECT_EQ(shown(page.decoded(), "io.data"), "stale");
  EXPECT_EQ(page.text(), "IN  port 0x3f8 2 bytes x 2");
  page.answer();
  EXPECT_EQ(shown(page.decoded(), "io.data"), "valid, 4 bytes");
  EXPECT_EQ(page.text(), "IN  port 0x3f8 2 bytes x 2 = 0x4030201");
}

TEST(PortIo, DataThatWasNotRecordedOrCannotBeThereIsUnknown) {
  EXPECT_EQ(shown(port_io(1, 1, 1).decoded(), "io.data"), "unknown");
  EXPECT_EQ(shown(port_io(1, 4, 0xffffffff).data({1}).decoded(), "io.data"), "unknown");
  KvmRunPage outside = port_io(1, 1, 1);
  outside.data({1}).in_union(8, uint64_t{1} << 40);
  EXPECT_EQ(shown(outside.decoded(), "io.data"), "unknown");
}

TEST(PortIo, ValuesThatNoKernelWritesAreUnknownAndSoIsTheData) {
  const auto why = [](const KvmRunPage& page, const char* name) {
    const Exit exit = page.decoded();
    EXPECT_EQ(shown(exit, name), "unknown") << name;
    EXPECT_EQ(shown(exit, "io.data"), "unknown") << name;
    return std::string(exit.find(name)->why);
  };
  EXPECT_EQ(why(port_io(2, 1, 1).data({0x41}), "io.direction"),
            "neither KVM_EXIT_IO_IN nor KVM_EXIT_IO_OUT");
  for (const uint8_t size : std::initializer_list<uint8_t>{0, 3, 8, 0xaa})
    EXPECT_EQ(why(port_io(1, size, 1).data({1, 2, 3, 4, 5, 6, 7, 8}), "io.size"),
              "no port access is of this size, only of 1, 2 or 4");
  EXPECT_EQ(why(port_io(1, 1, 0).data({0x41}), "io.count"),
            "0: KVM does not exit for an empty access");
  EXPECT_EQ(why(port_io(1, 4, 1025).data({0x41}), "io.count"),
            "io.size times io.count is more than a page");
  EXPECT_EQ(why(port_io(1, 1, 1).data({0x41}).in_union(8, uint64_t{12288}), "io.data_offset"),
            "io.data_offset is not the page behind kvm_run");
  DecodeContext no_page_bytes = kX86;
  no_page_bytes.page_bytes = 0;  // x86 has pages of 4096 bytes whether or not anybody says so
  KvmRunPage far(no_page_bytes);
  far.reason(2).in_union(0, uint8_t{1}).in_union(1, uint8_t{1}).in_union(4, uint32_t{1});
  EXPECT_EQ(why(far.data({0x41}).in_union(8, uint64_t{1} << 40), "io.data_offset"),
            "io.data_offset is not the page behind kvm_run");
  EXPECT_EQ(shown(far.in_union(8, uint64_t{4096}).decoded(), "io.data_offset"), "valid 0x1000");
  EXPECT_EQ(port_io(2, 3, 0).text(), "? port 0x3f8 ? bytes");
}

TEST(Mmio, DataIsTheFirstLenBytesAndOfAReadOnlyInTheAnswer) {
  KvmRunPage page(kX86);
  page.reason(6).in_union(0, uint64_t{0xfee000b0}).in_union(8, uint32_t{0x12345678});
  page.in_union(16, uint32_t{4}).in_union(20, uint8_t{1});
  EXPECT_EQ(shown(page.decoded(), "mmio.data"), "valid, 4 bytes");
  EXPECT_EQ(page.text(), "write 4 bytes 0x12345678 to 0xfee000b0");
  page.in_union(20, uint8_t{0});
  EXPECT_EQ(shown(page.decoded(), "mmio.data"), "stale");
  EXPECT_EQ(page.text(), "read 4 bytes from 0xfee000b0");
  EXPECT_EQ(shown(page.answer().decoded(), "mmio.data"), "valid, 4 bytes");
}

TEST(Mmio, ALengthThatNoKernelWritesIsNotBelieved) {
  for (const uint32_t len : {9u, 0u}) {
    KvmRunPage page(kX86);
    page.reason(6).in_union(16, len).in_union(20, uint8_t{1});
    EXPECT_EQ(shown(page.decoded(), "mmio.data"), "unknown") << len;
    EXPECT_EQ(shown(page.decoded(), "mmio.len"), "unknown") << len;
  }
}

TEST(Mmio, ADirectionThatIsNeitherReadNorWriteIsNotBelieved) {
  KvmRunPage page(context_of(Architecture::kLoongarch64, "6.12"));
  page.reason(38).in_union(0, uint64_t{0x1040}).in_union(16, uint32_t{4}).in_union(20, uint8_t{2});
  EXPECT_EQ(shown(page.decoded(), "iocsr_io.is_write"), "unknown");
  EXPECT_EQ(shown(page.decoded(), "iocsr_io.data"), "unknown");
  EXPECT_EQ(page.text(), "access 4 bytes from 0x1040");
}

TEST(Hypercall, X86HasThreeArgumentsAndFlagsSince64) {
  KvmRunPage page(kX86);
  page.reason(3).in_union(0, uint64_t{12}).in_union(64, uint64_t{1});
  const Exit exit = page.decoded();
  EXPECT_EQ(exit.find("hypercall.nr")->value_name, "KVM_HC_MAP_GPA_RANGE");
  EXPECT_EQ(shown(exit, "hypercall.args", 3), "stale");
  EXPECT_EQ(shown(exit, "hypercall.ret"), "stale");
  EXPECT_EQ(exit.find("hypercall.flags")->value_name, "KVM_EXIT_HYPERCALL_LONG_MODE");
  EXPECT_EQ(shown(exit, "hypercall.longmode"), "missing");
}

TEST(Hypercall, BeforeTheFlagsThereIsALongmode) {
  KvmRunPage page(context_of(Architecture::kX86_64, "6.3"));
  page.reason(3).in_union(64, uint32_t{1});
  EXPECT_EQ(shown(page.decoded(), "hypercall.longmode"), "valid 0x1");
  EXPECT_EQ(shown(page.decoded(), "hypercall.flags"), "absent");
  KvmRunPage unknown(context_of(Architecture::kX86_64, "unknown"));
  unknown.reason(3).in_union(64, uint32_t{1});
  EXPECT_EQ(shown(unknown.decoded(), "hypercall.longmode"), "valid 0x1");
  EXPECT_EQ(shown(unknown.decoded(), "hypercall.flags"), "unknown");
}

TEST(Hypercall, CameAfterThisKernelBeforeArm64AndX86HandedCallsOver) {
  KvmRunPage arm64(context_of(Architecture::kAarch64, "6.1"));
  arm64.reason(3).in_union(0, uint64_t{0xc4000003});
  EXPECT_EQ(shown(arm64.decoded(), "hypercall.nr"), "unknown");
  EXPECT_EQ(std::string(arm64.decoded().find("hypercall.nr")->why).substr(0, 24),
            "this exit came after the");
  EXPECT_EQ(arm64.text(), "hypercall ?");
  KvmRunPage x86(context_of(Architecture::kX86_64, "5.13"));
  EXPECT_EQ(shown(x86.reason(3).decoded(), "hypercall.nr"), "unknown");
}

TEST(Hypercall, OnlyValidFlagsTellHvcFromSmc) {
  KvmRunPage page(context_of(Architecture::kAarch64, "unknown"));
  page.reason(3).in_union(0, uint64_t{0xc4000003}).in_union(64, uint64_t{1});
  EXPECT_EQ(page.text(), "HVC or SMC PSCI_CPU_ON (64-bit)");
}

TEST(Hypercall, FlagsOfABigEndianKernelAreReadAsOneWord) {
  KvmRunPage page(context_of(Architecture::kAarch64, "7.2", ByteOrder::kBig));
  page.reason(3).flags(0).in_union(64, uint64_t{1});
  EXPECT_EQ(page.decoded().find("hypercall.flags")->value_name, "KVM_HYPERCALL_EXIT_SMC");
}

KvmRunPage internal_error(uint32_t suberror, uint32_t ndata) {
  KvmRunPage page(kX86);
  page.reason(17).in_union(0, suberror).in_union(4, ndata);
  return page;
}

TEST(InternalError, InstructionBytesNeedNdataAndTheirFlag) {
  KvmRunPage page = internal_error(1, 3);
  page.in_union(8, uint64_t{1}).in_union(16, uint8_t{2}).in_union(17, uint16_t{0x0b0f});
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.insn_bytes"), "valid, 2 bytes");
  EXPECT_EQ(page.text(), "KVM_INTERNAL_ERROR_EMULATION, insn 0f 0b ud2");
  page.in_union(4, uint32_t{2});
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.insn_bytes"), "stale");
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.flags"), "valid 0x1");
  page.in_union(4, uint32_t{0});
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.flags"), "stale");
  EXPECT_EQ(shown(page.decoded(), "internal.data", 0), "stale");
}

// A kernel without these words says ndata 0: one that does not has them.
TEST(InternalError, OfAnEmulationFailureNdataTellsTheLayoutWithoutTheKernel) {
  KvmRunPage page(context_of(Architecture::kX86_64, "unknown"));
  page.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{8}).in_union(8, uint64_t{1});
  page.in_union(16, uint8_t{15}).in_union(17, uint16_t{0x0b0f});
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.flags"), "valid 0x1");
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.insn_size"), "valid 0xf");
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.insn_bytes"), "valid, 15 bytes");
  page.in_union(4, uint32_t{0});
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.flags"), "stale");
  EXPECT_EQ(shown(page.decoded(), "emulation_failure.insn_bytes"), "stale");
}

TEST(InternalError, ASizeBeyondFifteenMovesNoWord) {
  DecodeContext amd = context_of(Architecture::kX86_64, "6.1");
  amd.x86_virtualization = X86Virtualization::kSvm;
  KvmRunPage page(amd);
  page.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{8}).in_union(8, uint64_t{1});
  page.in_union(16, uint64_t{0x909090909090f410}).in_union(32, uint64_t{0x400});
  EXPECT_EQ(page.text(), "KVM_INTERNAL_ERROR_EMULATION, exit_code 0x400 SVM_EXIT_NPF");
  const Exit exit = page.decoded();
  EXPECT_EQ(internal_word(amd, exit, *exit.find("internal.data", 1)).slot, "");
}

// An emulation failure whose bytes KVM fetched are these.
KvmRunPage failed_at(const std::vector<uint8_t>& bytes) {
  KvmRunPage page = internal_error(1, 3);
  page.in_union(8, uint64_t{1}).in_union(16, static_cast<uint8_t>(bytes.size()));
  for (size_t i = 0; i < bytes.size(); ++i) page.in_union(17 + i, bytes[i]);
  return page;
}

TEST(InternalError, TheInstructionIsReadAsTheGuestsCodeSegmentSays) {
  // dec eax; nop in 32-bit code, a REX prefix and nop in 64-bit code.
  KvmRunPage page = failed_at({0x48, 0x90});
  EXPECT_TRUE(page.text().ends_with(", insn 48 90 nop (read as 64-bit code)")) << page.text();
  page.at(288, uint64_t{2});  // kvm_valid_regs: KVM_SYNC_X86_SREGS
  page.at(304 + 144 + 17, uint8_t{1}).at(304 + 144 + 19, uint8_t{0});  // cs.db, cs.l
  EXPECT_TRUE(page.text().ends_with(", insn 48 dec eax")) << page.text();
}

TEST(InternalError, BytesThatAreNoInstructionAreShownAll) {
  const std::string text = failed_at({0x66, 0x0f}).text();
  EXPECT_TRUE(text.ends_with(", insn 66 0f (no instruction)")) << text;
}

TEST(InternalError, EmulationFailureIsAbsentBefore514AndLeftOutForOtherSuberrors) {
  KvmRunPage old(context_of(Architecture::kX86_64, "5.10"));
  old.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{0});
  EXPECT_EQ(shown(old.decoded(), "emulation_failure.flags"), "absent");
  EXPECT_EQ(shown(internal_error(3, 4).decoded(), "emulation_failure.flags"), "missing");
}

// A delivery event with five words, of a kernel and a host.
std::string delivery_slots(std::string_view kernel, X86Virtualization host, uint32_t ndata) {
  DecodeContext context = context_of(Architecture::kX86_64, kernel);
  context.x86_virtualization = host;
  KvmRunPage page(context);
  page.reason(17).in_union(0, uint32_t{3}).in_union(4, ndata);
  const Exit exit = page.decoded();
  std::string slots;
  for (uint32_t i = 0; i < ndata; ++i) {
    const Field* field = exit.find("internal.data", static_cast<int>(i));
    const std::string_view slot = internal_word(context, exit, *field).slot;
    if (i != 0) slots += ' ';
    slots += slot.empty() ? "?" : slot;
  }
  return slots;
}

TEST(InternalError, DeliveryEventWordsAreNamedAsThisKernelAndProcessorFillThem) {
  constexpr auto kNone = X86Virtualization::kUnknown, kVmx = X86Virtualization::kVmx,
                 kSvm = X86Virtualization::kSvm;
  constexpr std::string_view kWithGpa =
      "vectoring_info exit_reason exit_qualification gpa last_cpu";
  EXPECT_EQ(delivery_slots("5.8", kNone, 4), "vectoring_info exit_reason exit_qualification gpa");
  EXPECT_EQ(delivery_slots("6.13", kNone, 4),
            "vectoring_info exit_reason exit_qualification last_cpu");
  EXPECT_EQ(delivery_slots("unknown", kNone, 4), "vectoring_info exit_reason exit_qualification ?");
  EXPECT_EQ(delivery_slots("6.13", kNone, 5), kWithGpa);  // SVM had none
  EXPECT_EQ(delivery_slots("6.14", kVmx, 5), kWithGpa);
  EXPECT_EQ(delivery_slots("6.14", kSvm, 5), "exit_info_2 exit_code exit_info_1 gpa last_cpu");
  EXPECT_EQ(delivery_slots("6.14", kNone, 5), "info2 exit_reason info1 gpa last_cpu");
  EXPECT_EQ(delivery_slots("unknown", kVmx, 5), kWithGpa);
  EXPECT_EQ(delivery_slots("6.14", kVmx, 4), "? ? ? ?");
}

TEST(InternalError, ExitReasonsAndEventsAreNamedWhereTheProcessorIsKnown) {
  DecodeContext context = kX86;
  KvmRunPage delivery(context);
  delivery.reason(17).in_union(0, uint32_t{3}).in_union(4, uint32_t{4});
  delivery.in_union(8, uint64_t{0x80000b0e})
      .in_union(16, uint64_t{48})
      .in_union(24, uint64_t{0x182});
  delivery.in_union(32, uint64_t{3});
  EXPECT_EQ(delivery.text(),
            "KVM_INTERNAL_ERROR_DELIVERY_EV, vectoring_info 0x80000b0e hardware exception #PF with "
            "error code, exit_reason 0x30 EXIT_REASON_EPT_VIOLATION, exit_qualification 0x182, "
            "last_cpu 0x3");
  delivery.in_union(4, uint32_t{1}).in_union(0, uint32_t{9});
  EXPECT_EQ(delivery.text(), "suberror 0x9, data[0] 0x80000b0e");
  static constexpr std::string_view kHead = "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, ";
  const auto unexpected = [](X86Virtualization host, uint64_t reason) {
    DecodeContext of_host = kX86;
    of_host.x86_virtualization = host;
    KvmRunPage page(of_host);
    page.reason(17).in_union(0, uint32_t{4}).in_union(4, uint32_t{2}).in_union(8, reason);
    return page.in_union(16, uint64_t{1}).text().substr(kHead.size());
  };
  EXPECT_EQ(unexpected(X86Virtualization::kVmx, 75),
            "exit_reason 0x4b EXIT_REASON_NOTIFY, last_cpu 0x1");
  EXPECT_EQ(unexpected(X86Virtualization::kVmx, 0x8000ff0000000006),  // TDX_SEAMCALL_UD
            "exit_reason 0x8000ff0000000006, last_cpu 0x1");
  EXPECT_EQ(unexpected(X86Virtualization::kSvm, 0x400),
            "exit_code 0x400 SVM_EXIT_NPF, last_cpu 0x1");
  EXPECT_EQ(unexpected(X86Virtualization::kUnknown, 75), "exit_reason 0x4b, last_cpu 0x1");
}

TEST(InternalError, AnEmulationFailureSaysWhatLedToItSince516) {
  DecodeContext context = kX86;
  context.x86_virtualization = X86Virtualization::kVmx;
  KvmRunPage page(context);
  page.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{6}).in_union(8, uint64_t{0});
  for (size_t word = 1; word < 6; ++word) page.in_union(8 + 8 * word, uint64_t{0});
  page.in_union(16, uint64_t{49});
  EXPECT_EQ(page.text(),
            "KVM_INTERNAL_ERROR_EMULATION, exit_reason 0x31 EXIT_REASON_EPT_MISCONFIG");
  const Exit exit = page.decoded();
  EXPECT_EQ(internal_word(context, exit, *exit.find("internal.data", 2)).slot,
            "exit_qualification");
  context.kernel = parse_kernel_release("5.15");
  EXPECT_EQ(internal_word(context, exit, *exit.find("internal.data", 1)).slot, "");
}

TEST(InternalError, OtherArchitecturesDoNotFillItIn) {
  KvmRunPage page(context_of(Architecture::kAarch64, "6.12"));
  page.reason(17).flags(0);
  for (const char* field : {"internal.suberror", "internal.ndata"})
    EXPECT_EQ(shown(page.decoded(), field), "stale");
  EXPECT_EQ(shown(page.decoded(), "internal.data", 0), "stale");
}

TEST(Unions, TheSelectorChoosesTheView) {
  KvmRunPage hyperv(kX86);
  hyperv.reason(27).in_union(0, uint32_t{1}).in_union(8, uint32_t{0x40000080});
  EXPECT_EQ(shown(hyperv.decoded(), "hyperv.u.synic.msr"), "valid 0x40000080");
  EXPECT_EQ(shown(hyperv.decoded(), "hyperv.u.hcall.input"), "missing");
  KvmRunPage tdx(context_of(Architecture::kX86_64, "6.16"));
  tdx.reason(40).in_union(8, uint64_t{0x10002}).in_union(24, uint64_t{0x1000});
  EXPECT_EQ(shown(tdx.decoded(), "tdx.get_quote.gpa"), "valid 0x1000");
  EXPECT_EQ(shown(tdx.decoded(), "tdx.unknown.ret"), "missing");
}

TEST(Unions, HypervAndXenLieFourBytesEarlierOnI386) {
  KvmRunPage hyperv(context_of(Architecture::kI386, "5.4"));
  hyperv.reason(27).in_union(0, uint32_t{1}).in_union(4, uint32_t{0x40000080});
  EXPECT_EQ(shown(hyperv.decoded(), "hyperv.u.synic.msr"), "valid 0x40000080");
  KvmRunPage padded(context_of(Architecture::kI386, "5.8"));
  padded.reason(27).in_union(0, uint32_t{1}).in_union(8, uint32_t{0x40000080});
  EXPECT_EQ(shown(padded.decoded(), "hyperv.u.synic.msr"), "valid 0x40000080");
  KvmRunPage xen(context_of(Architecture::kI386, "6.12"));
  xen.reason(34).in_union(0, uint32_t{1}).in_union(12, uint64_t{29});
  EXPECT_EQ(shown(xen.decoded(), "xen.u.hcall.input"), "valid 0x1d");
}

TEST(ArmSea, AddressesAreValidAsFnvAndTheFlagSay) {
  KvmRunPage page(context_of(Architecture::kAarch64, "6.19"));
  page.reason(41).flags(0).in_union(0, uint64_t{1}).in_union(8, uint64_t{0x92000410});
  page.in_union(16, uint64_t{0}).in_union(24, uint64_t{0x1000});
  EXPECT_EQ(shown(page.decoded(), "arm_sea.gva"), "stale");
  EXPECT_EQ(shown(page.decoded(), "arm_sea.gpa"), "valid 0x1000");
  EXPECT_TRUE(page.decoded().has_esr);
  page.in_union(0, uint64_t{0}).in_union(8, uint64_t{0x92000010});
  EXPECT_EQ(shown(page.decoded(), "arm_sea.gva"), "valid 0x0");
  EXPECT_EQ(shown(page.decoded(), "arm_sea.gpa"), "stale");
}

TEST(ArmSea, OfAKernelBeforeItHasNoEsr) {
  KvmRunPage page(context_of(Architecture::kAarch64, "6.18"));
  page.reason(41).flags(0).in_union(8, uint64_t{0x92000010});
  EXPECT_EQ(shown(page.decoded(), "arm_sea.esr"), "unknown");
  EXPECT_FALSE(page.decoded().has_esr);
}

TEST(ArmNisv, IsNotTakenForAnEsr) {
  KvmRunPage page(context_of(Architecture::kAarch64, "6.12"));
  page.reason(28).flags(0).in_union(0, uint64_t{0x45}).in_union(8, uint64_t{0x9000040});
  EXPECT_FALSE(page.decoded().has_esr);
  EXPECT_EQ(shown(page.decoded(), "arm_nisv.esr_iss"), "valid 0x45");
}

TEST(FailEntry, TheReasonIsNamedAsTheHostsProcessorCountsThem) {
  constexpr auto kVmx = X86Virtualization::kVmx, kSvm = X86Virtualization::kSvm;
  const auto said = [](X86Virtualization host, uint64_t reason) {
    DecodeContext context = kX86;
    context.x86_virtualization = host;
    KvmRunPage page(context);
    page.reason(9).in_union(0, reason).in_union(8, uint32_t{3});
    const Exit exit = page.decoded();
    const Field* field = exit.find("fail_entry.hardware_entry_failure_reason");
    return std::pair(page.text(), std::string(field->value_name));
  };
  using Said = std::pair<std::string, std::string>;
  EXPECT_EQ(
      said(kVmx, 0x80000021),
      Said("entry failed: reason 0x80000021 EXIT_REASON_INVALID_STATE (VM entry failed: invalid "
           "guest state), cpu 0x3",
           "EXIT_REASON_INVALID_STATE"));
  EXPECT_EQ(said(kVmx, 0x7ff).first, "entry failed: reason 0x7ff, cpu 0x3");
  EXPECT_EQ(said(kVmx, 0x8000ff0080000021),  // of a TDX module
            Said("entry failed: reason 0x8000ff0080000021, cpu 0x3", ""));
  EXPECT_EQ(said(kSvm, 0x7ff).first, "entry failed: reason 0x7ff, cpu 0x3");
  EXPECT_EQ(said(kVmx, 7).second, "VM entry with invalid control fields");
  EXPECT_EQ(said(kSvm, UINT32_MAX).second, "SVM_EXIT_ERR");
  EXPECT_EQ(said(kSvm, UINT64_MAX).second, "SVM_EXIT_ERR");
  EXPECT_EQ(said(kSvm, 8).second, "SVM_EXIT_READ_CR8");
  EXPECT_EQ(
      said(X86Virtualization::kUnknown, 0x80000021),
      Said("entry failed: reason 0x80000021 (of VMX or of SVM: the host's vendor is not known), "
           "cpu 0x3",
           ""));
}

TEST(FailEntry, CpuCameWith59AndPpcDoesNotWriteIt) {
  auto cpu = [](Architecture architecture, std::string_view kernel) {
    KvmRunPage page(context_of(architecture, kernel));
    return shown(page.reason(9).in_union(8, uint32_t{3}).decoded(), "fail_entry.cpu");
  };
  EXPECT_EQ(cpu(Architecture::kX86_64, "5.8"), "absent");
  EXPECT_EQ(cpu(Architecture::kX86_64, "5.9"), "valid 0x3");
  EXPECT_EQ(cpu(Architecture::kX86_64, "unknown"), "unknown");
  EXPECT_EQ(cpu(Architecture::kPpc64, "6.12"), "stale");
}

TEST(S390, TschDescribesAnInterruptionOnlyIfOneWasDequeued) {
  KvmRunPage page(context_of(Architecture::kS390x, "6.12", ByteOrder::kBig));
  page.reason(22).at(32, uint64_t{0x0705}).in_union(0, uint16_t{1}).in_union(16, uint8_t{0});
  EXPECT_EQ(shown(page.decoded(), "s390_tsch.subchannel_id"), "stale");
  EXPECT_EQ(shown(page.decoded(), "psw_mask"), "valid 0x705");
  page.in_union(16, uint8_t{1});
  EXPECT_EQ(shown(page.decoded(), "s390_tsch.subchannel_id"), "valid 0x1");
}

TEST(Flags, TheSameBitMeansAnotherThingOnEachArchitecture) {
  auto name = [](Architecture architecture, uint32_t reason) -> std::string {
    KvmRunPage page(context_of(architecture, "6.12"));
    const Exit exit = page.reason(reason).flags(1).decoded();
    return exit.flag_name_count == 0 ? std::string(to_string(exit.flags_validity))
                                     : std::string(exit.flag_names[0]);
  };
  EXPECT_EQ(name(Architecture::kX86_64, 5), "KVM_RUN_X86_SMM");
  EXPECT_EQ(name(Architecture::kAarch64, 4), "KVM_DEBUG_ARCH_HSR_HIGH_VALID");
  EXPECT_EQ(name(Architecture::kPpc64, 16), "KVM_RUN_PPC_NMI_DISP_FULLY_RECOV");
  EXPECT_EQ(name(Architecture::kPpc64, 6), "stale");
  EXPECT_EQ(name(Architecture::kRiscv64, 6), "stale");
}

TEST(Flags, OfAnExitAreAllNamedWhereSeveralAreSet) {
  const auto bits = [](Architecture architecture, uint32_t reason, std::string_view name,
                       size_t offset, uint32_t value) {
    KvmRunPage page(context_of(architecture, "7.2"));
    const Exit exit = page.reason(reason).in_union(offset, uint64_t{value}).flags(0).decoded();
    return flag_bits_text(architecture, *exit.find(name));
  };
  EXPECT_EQ(bits(Architecture::kAarch64, 3, "hypercall.flags", 64, 3),
            "KVM_HYPERCALL_EXIT_SMC|KVM_HYPERCALL_EXIT_16BIT");
  EXPECT_EQ(bits(Architecture::kAarch64, 3, "hypercall.flags", 64, 2), "");  // has a name alone
  EXPECT_EQ(bits(Architecture::kX86_64, 37, "notify.flags", 0, 3),
            "KVM_NOTIFY_CONTEXT_INVALID|0x2");
  EXPECT_EQ(bits(Architecture::kX86_64, 39, "memory_fault.flags", 0, 9),
            "KVM_MEMORY_EXIT_FLAG_PRIVATE|0x1");
  EXPECT_EQ(bits(Architecture::kX86_64, 39, "memory_fault.flags", 0, 1), "");
  EXPECT_EQ(bits(Architecture::kX86_64, 39, "memory_fault.gpa", 8, 9), "");
  KvmRunPage page(kX86);
  page.reason(37).in_union(0, uint32_t{3});
  EXPECT_EQ(page.text(), "flags KVM_NOTIFY_CONTEXT_INVALID|0x2");
}

TEST(Flags, ABitThatTheKernelCannotSetYetIsNotBelieved) {
  const auto flags = [](std::string_view kernel, uint16_t value) {
    return KvmRunPage(context_of(Architecture::kX86_64, kernel)).reason(5).flags(value).decoded();
  };
  const Exit exit = flags("5.10", 2);
  EXPECT_EQ(exit.flags, 2);
  EXPECT_EQ(exit.flags_validity, Validity::kUnknown);
  EXPECT_EQ(exit.flags_why,
            "a bit that came after the kernel that is named: a backport, or garbage");
  EXPECT_EQ(exit.flag_name_count, 0);
  EXPECT_EQ(flags("5.12", 2).flags_validity, Validity::kValid);
  EXPECT_EQ(flags("6.1", 4).flags_validity, Validity::kUnknown);
  EXPECT_EQ(flags("6.11", 4).flags_validity, Validity::kValid);
  EXPECT_EQ(flags("unknown", 4).flags_validity, Validity::kValid);
}

TEST(Flags, BitsThatNoKernelSetsAreNotBelieved) {
  EXPECT_EQ(KvmRunPage(kX86).reason(5).flags(0xaaaa).decoded().flags_validity, Validity::kUnknown);
  EXPECT_EQ(KvmRunPage(kX86).reason(5).flags(7).decoded().flags_validity, Validity::kValid);
  const auto arm64 = [](uint32_t reason, uint16_t flags) {
    KvmRunPage page(context_of(Architecture::kAarch64, "6.1"));
    return page.reason(reason).flags(flags).decoded();
  };
  EXPECT_EQ(arm64(6, 0xaaaa).flags_validity, Validity::kUnknown);
  EXPECT_EQ(arm64(6, 0).flags_validity, Validity::kValid);
  EXPECT_EQ(arm64(6, 1).flags_validity, Validity::kUnknown);
  EXPECT_EQ(arm64(6, 1).flags_why, "arm64 sets flags for KVM_EXIT_DEBUG only");
}

TEST(Flags, OnPpcAreTheDispositionOfAnNmiSince413) {
  const auto nmi = [](std::string_view kernel, uint16_t flags) {
    KvmRunPage page(context_of(Architecture::kPpc64, kernel, ByteOrder::kBig));
    return page.reason(16).flags(flags).decoded().flags_validity;
  };
  EXPECT_EQ(nmi("4.9", 3), Validity::kStale);
  EXPECT_EQ(nmi("4.13", 3), Validity::kValid);
  EXPECT_EQ(nmi("4.13", 0xaaaa), Validity::kUnknown);
  EXPECT_EQ(nmi("unknown", 3), Validity::kUnknown);
}

TEST(Header, WhatKvmCannotHaveWrittenIsUnknown) {
  KvmRunPage page(kX86);  // of poison
  page.reason(5);
  for (const char* name : {"ready_for_interrupt_injection", "if_flag", "cr8", "apic_base"})
    EXPECT_EQ(shown(page.decoded(), name), "unknown") << name;
  page.at(12, uint8_t{1}).at(13, uint8_t{0}).at(16, uint64_t{15}).at(24, uint64_t{0xfee00d00});
  EXPECT_EQ(shown(page.decoded(), "ready_for_interrupt_injection"), "valid 0x1");
  EXPECT_EQ(shown(page.decoded(), "if_flag"), "valid 0x0");
  EXPECT_EQ(shown(page.decoded(), "cr8"), "valid 0xf");
  EXPECT_EQ(shown(page.decoded(), "apic_base"), "valid 0xfee00d00");
}

// ARM_EXCEPTION_HYP_GONE sets the reason alone; an unsupported CPU writes both fields.
TEST(FailEntry, OnArm64IsWrittenForAnUnsupportedCpuOnly) {
  const auto decoded = [](std::string_view kernel, uint64_t reason) {
    KvmRunPage page(context_of(Architecture::kAarch64, kernel));
    return page.reason(9).in_union(0, reason).in_union(8, uint32_t{3}).decoded();
  };
  constexpr const char* kReason = "fail_entry.hardware_entry_failure_reason";
  EXPECT_EQ(shown(decoded("6.1", 1), kReason), "valid 0x1");
  EXPECT_EQ(shown(decoded("6.1", 1), "fail_entry.cpu"), "valid 0x3");
  EXPECT_EQ(decoded("6.1", 1).find(kReason)->value_name, "KVM_EXIT_FAIL_ENTRY_CPU_UNSUPPORTED");
  for (const char* kernel : {"5.10", "6.1", "7.2", "unknown"}) {
    EXPECT_EQ(shown(decoded(kernel, 0xaaaaaaaaaaaaaaaa), kReason), "stale") << kernel;
    EXPECT_EQ(shown(decoded(kernel, 0xaaaaaaaaaaaaaaaa), "fail_entry.cpu"), "stale") << kernel;
  }
  EXPECT_EQ(shown(decoded("5.10", 1), kReason), "stale");
  EXPECT_EQ(shown(decoded("5.10", 1), "fail_entry.cpu"), "stale");
  EXPECT_EQ(shown(decoded("unknown", 1), kReason), "unknown");
  EXPECT_EQ(shown(decoded("unknown", 1), "fail_entry.cpu"), "unknown");
}

TEST(Shutdown, HasNoPayload) {
  KvmRunPage page(kX86);
  page.reason(8);
  const Exit exit = page.decoded();
  for (const Field& field : exit.all_fields())
    EXPECT_LT(field.offset, abi::union_offset(Architecture::kX86_64)) << field.name;
  EXPECT_TRUE(page.text().starts_with("shutdown: a triple fault, without payload"));
}

TEST(Answers, WhatTheMonitorFillsInIsValidThere) {
  KvmRunPage rdmsr(kX86);
  rdmsr.reason(29).in_union(16, uint64_t{0x10});
  EXPECT_EQ(shown(rdmsr.decoded(), "msr.data"), "stale");
  EXPECT_EQ(shown(rdmsr.answer().decoded(), "msr.data"), "valid 0x10");
  KvmRunPage hcall(context_of(Architecture::kPpc64, "6.12"));
  hcall.reason(19).in_union(8, uint64_t{0});
  EXPECT_EQ(shown(hcall.decoded(), "papr_hcall.ret"), "stale");
  EXPECT_EQ(shown(hcall.answer().decoded(), "papr_hcall.ret"), "valid 0x0");
}

TEST(ExitNames, NumbersAndNamesAreFoundBothWays) {
  EXPECT_EQ(exit_reason_name(2), "KVM_EXIT_IO");
  EXPECT_EQ(exit_reason_name(44), "");
  EXPECT_EQ(exit_reason_number("KVM_EXIT_IO"), 2);
  EXPECT_EQ(exit_reason_number("io"), 2);
  EXPECT_EQ(exit_reason_number("44"), 44);
  EXPECT_EQ(exit_reason_number("KVM_EXIT_"), -1);
  EXPECT_EQ(exit_reason_number("nonsense"), -1);
}

TEST(KernelRelease, OnlyTheUpstreamPartCounts) {
  EXPECT_EQ(parse_kernel_release("6.1.0-49-amd64"), (KernelVersion{6, 1, 0, 0}));
  EXPECT_EQ(parse_kernel_release("5.18.0-rc3"), (KernelVersion{5, 18, 0, 3}));
  EXPECT_EQ(parse_kernel_release("5.18-rc3+"), (KernelVersion{5, 18, 0, 3}));
  EXPECT_EQ(parse_kernel_release("5.18.0-051800-generic"), (KernelVersion{5, 18, 0, 0}));
  EXPECT_EQ(parse_kernel_release("unknown"), std::nullopt);
  EXPECT_EQ(parse_kernel_release(""), std::nullopt);
  EXPECT_FALSE(parse_kernel_release("5.18-rc3")->at_least(5, 18));
  EXPECT_TRUE(parse_kernel_release("7.2")->at_least(6, 19));
}

TEST(KernelRelease, ACandidateIsOneInTheWordsOfEachDistribution) {
  const KernelVersion rc4{5, 18, 0, 4};
  EXPECT_EQ(parse_kernel_release("5.18.0-0.rc4.20220427git46cf2c613f4b10e.36.fc37.x86_64"), rc4);
  EXPECT_EQ(parse_kernel_release("5.18.0-051800rc4-generic"), rc4);
  EXPECT_EQ(parse_kernel_release("5.18~rc4-1~exp1"), rc4);
  EXPECT_EQ(parse_kernel_release("5.18.rc4"), rc4);
  EXPECT_EQ(parse_kernel_release("5.18.0.rc4"), rc4);
  EXPECT_FALSE(parse_kernel_release("6.1-rc")->at_least(6, 1));  // some candidate
  EXPECT_FALSE(parse_kernel_release("6.1-rc0")->at_least(6, 1));
}

TEST(KernelRelease, OneThatTakesPartsOfLaterKernelsIsNotSaidToLackThem) {
  EXPECT_TRUE(parse_kernel_release("5.14.0-427.13.1.el9_4.x86_64")->rebased);
  EXPECT_TRUE(parse_kernel_release("4.18.0-553.el8")->rebased);
  EXPECT_TRUE(parse_kernel_release("5.15.0-205.149.5.1.el9uek.x86_64")->rebased);
  EXPECT_TRUE(parse_kernel_release("5.14.0-0.rc3.30.el9.x86_64")->rebased);
  for (const char* upstream :
       {"6.1.10-1.el9.elrepo.x86_64", "6.1.0-49-amd64", "6.1.0.else", "6.1.0.el"})
    EXPECT_FALSE(parse_kernel_release(upstream)->rebased) << upstream;
  const KernelFacts facts(context_of(Architecture::kAarch64, "5.14.0-427.13.1.el9_4.aarch64"));
  EXPECT_EQ(facts.since(5, 14), Known::kYes);
  EXPECT_EQ(facts.since(5, 15), Known::kMaybe);
  EXPECT_EQ(facts.watchpoint_far, Known::kMaybe);
}

}  // namespace
}  // namespace kvmtape
