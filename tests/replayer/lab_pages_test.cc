// Every page of every kernel in traces/raw, held against what the program beside it printed.
#include "tests/support/lab_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "replayer/exit_decoder.h"

namespace kvmtape {
namespace {

using testing::lab_page;
using testing::lab_run;
using testing::lab_runs;
using testing::LabPage;
using testing::LabRun;

// exit_reason reads so when KVM did not write it.
constexpr uint32_t kPoisonedReason = 0xaaaaaaaa;

Exit decoded(const LabRun& run, const LabPage& page) {
  Exit exit;
  ExitDecoder(run.context).decode({.kvm_run = page.bytes, .data = {}, .ret = page.ret}, exit);
  return exit;
}

bool is_poison(std::span<const uint8_t> bytes) {
  return !bytes.empty() && std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0xaa; });
}

struct PrintedName {
  const char* printed;
  uint32_t reason;
  const char* field;
  int element = -1;
};
constexpr PrintedName kPrintedNames[] = {
    {"addr", 6, "mmio.phys_addr"},
    {"len", 6, "mmio.len"},
    {"w", 6, "mmio.is_write"},
    {"hsr", 4, "debug.arch.hsr"},
    {"hsr_high", 4, "debug.arch.hsr_high"},
    {"far", 4, "debug.arch.far"},
    {"type", 24, "system_event.type"},
    {"ndata", 24, "system_event.ndata"},
    {"data0", 24, "system_event.data", 0},
    {"nr", 19, "papr_hcall.nr"},
    {"ret", 19, "papr_hcall.ret"},
    {"args", 19, "papr_hcall.args", 0},
    {"ext", 35, "riscv_sbi.extension_id"},
    {"func", 35, "riscv_sbi.function_id"},
    {"args", 35, "riscv_sbi.args", 0},
    {"ret", 35, "riscv_sbi.ret", 0},
    {"esr_iss", 28, "arm_nisv.esr_iss"},
    {"fault_ipa", 28, "arm_nisv.fault_ipa"},
};

uint64_t integer_of(std::span<const uint8_t> bytes, ByteOrder order) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    value = value << 8 | bytes[order == ByteOrder::kBig ? i : bytes.size() - 1 - i];
  return value;
}

TEST(LabPages, EveryReasonIsTheOneThatTheProgramPrinted) {
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      const Exit exit = decoded(run, page);
      EXPECT_EQ(exit.reason, page.reason);
      EXPECT_EQ(exit.reason_validity,
                page.reason == kPoisonedReason ? Validity::kStale : Validity::kValid)
          << exit.reason_why;
    }
  }
}

TEST(LabPages, EveryPrintedFieldIsFoundWithThatValueOrSaysWhyItIsNotBelieved) {
  size_t compared = 0;
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      const Exit exit = decoded(run, page);
      for (const PrintedName& name : kPrintedNames) {
        auto printed = page.printed.find(name.printed);
        if (name.reason != page.reason || printed == page.printed.end()) continue;
        SCOPED_TRACE(run.tag + " page " + std::to_string(page.number) + " " + name.field);
        const Field* field = exit.find(name.field, name.element);
        if (field == nullptr) field = exit.find(name.field);  // a list that is absent as a whole
        ASSERT_NE(field, nullptr);
        const uint64_t value = std::stoull(printed->second, nullptr, 16);
        ++compared;
        if (field->validity == Validity::kValid) {
          EXPECT_EQ(field->value, value);
        } else {
          EXPECT_EQ(field->value, 0u);
          EXPECT_FALSE(field->why.empty());
          if (field->kind == FieldKind::kBytes) continue;
          const RawMoment moment{.kvm_run = page.bytes, .data = {}};
          EXPECT_EQ(integer_of(raw_bytes(*field, moment), run.context.byte_order), value);
        }
      }
    }
  }
  EXPECT_GT(compared, 2000u);
}

TEST(LabPages, EveryPageOfEveryFileHasALineAndEveryLineAPage) {
  std::map<std::string, size_t> pages;
  for (const LabRun& run : lab_runs()) pages[run.tag] = run.pages.size();
  const std::map<std::string, size_t> expected = {
      {"a64-5.10.218-a72", 107}, {"a64-5.10.218-n1", 111}, {"a64-6.1.192-n1", 111},
      {"a64-6.12.117-n1", 115},  {"a64-7.2.13-n1", 115},   {"a64be-5.10.223-n1", 111},
      {"ppc64le-6.12.107", 24},  {"rv64-6.12.107", 55}};
  EXPECT_EQ(pages, expected);
}

TEST(LabPages, FlagsAreThePrintedOnesAndValidOnlyWhereTheKernelWroteThem) {
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      const Exit exit = decoded(run, page);
      EXPECT_EQ(exit.flags, std::stoul(page.printed.at("flags"), nullptr, 16));
      const bool writes = run.context.architecture == Architecture::kAarch64 &&
                          run.context.kernel->major > 5 && page.ret == 0;
      if (!writes && page.printed.at("flags") != "aaaa") continue;
      EXPECT_EQ(exit.flags_validity, writes ? Validity::kValid : Validity::kStale);
    }
  }
}

// "args=1,2,3" and "ret=1,2" name the first elements.
TEST(LabPages, EveryElementOfAPrintedListIsFound) {
  size_t compared = 0;
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      const auto args = page.printed.find("args");
      if (args == page.printed.end()) continue;
      const Exit exit = decoded(run, page);
      std::istringstream list(args->second);
      int element = 0;
      for (std::string word; std::getline(list, word, ','); ++element) {
        SCOPED_TRACE(run.tag + " page " + std::to_string(page.number) + " " + word);
        const Field* field =
            exit.find(page.reason == 19 ? "papr_hcall.args" : "riscv_sbi.args", element);
        ASSERT_NE(field, nullptr);
        EXPECT_EQ(field->value, std::stoull(word, nullptr, 16));
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 8u);
}

TEST(LabPages, MmioWritesShowTheBytesInGuestMemoryOrderAndReadsAreStale) {
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      if (page.reason != 6) continue;
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      const Exit exit = decoded(run, page);
      const Field* data = exit.find("mmio.data");
      ASSERT_NE(data, nullptr);
      const bool is_write = page.printed.at("w") == "1";
      EXPECT_EQ(data->validity, is_write ? Validity::kValid : Validity::kStale);
      const RawMoment moment{.kvm_run = page.bytes, .data = {}};
      std::string hex;
      for (uint8_t byte : raw_bytes(*data, moment)) {
        constexpr char kDigits[] = "0123456789abcdef";
        hex += kDigits[byte >> 4];
        hex += kDigits[byte & 15];
      }
      EXPECT_EQ(hex.size(), 2 * std::stoul(page.printed.at("len")));
      EXPECT_TRUE(page.printed.at("data").starts_with(hex)) << hex;
    }
  }
}

TEST(LabPages, PoisonIsNeverValid) {
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      const Exit exit = decoded(run, page);
      const RawMoment moment{.kvm_run = page.bytes, .data = {}};
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      EXPECT_FALSE(exit.flags == 0xaaaa && exit.flags_validity == Validity::kValid);
      for (const Field& field : exit.all_fields()) {
        if (field.validity != Validity::kValid) continue;
        EXPECT_FALSE(is_poison(raw_bytes(field, moment))) << field.name;
      }
    }
  }
}

// What a kernel wrote into a poisoned page is believed, but for the exceptions that have a reason.
TEST(LabPages, WhatTheKernelWroteIsValid) {
  for (const LabRun& run : lab_runs()) {
    for (const LabPage& page : run.pages) {
      if (!page.poisoned) continue;
      const Exit exit = decoded(run, page);
      const RawMoment moment{.kvm_run = page.bytes, .data = {}};
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      for (const Field& field : exit.all_fields()) {
        if (field.validity == Validity::kValid || is_poison(raw_bytes(field, moment))) continue;
        const bool data_of_a_read = field.name == "mmio.data";
        const bool wrong_far = field.name == "debug.arch.far" && page.test.starts_with("wp");
        const bool zeroed_member = field.name.starts_with("system_event.");
        EXPECT_TRUE(data_of_a_read || wrong_far || zeroed_member) << field.name;
      }
    }
  }
}

TEST(LabPages, HsrHighIsAbsentOn510AndJoinsTheEsrSince61) {
  for (const LabRun& run : lab_runs()) {
    if (run.context.architecture != Architecture::kAarch64) continue;
    const bool old = run.context.kernel->major == 5;
    for (const LabPage& page : run.pages) {
      if (page.reason != 4) continue;
      SCOPED_TRACE(run.tag + " page " + std::to_string(page.number));
      const Exit exit = decoded(run, page);
      EXPECT_EQ(exit.find("debug.arch.hsr_high")->validity,
                old ? Validity::kAbsent : Validity::kValid);
      EXPECT_TRUE(exit.has_esr);
      EXPECT_EQ(exit.esr_has_high, !old);
      EXPECT_EQ(exit.esr, std::stoull(page.printed.at("hsr"), nullptr, 16));
      EXPECT_EQ(exit.flags_validity, old ? Validity::kStale : Validity::kValid);
    }
  }
}

TEST(LabPages, FarOfAWatchpointIsUnknownOn510AndValidSince6133) {
  for (const LabRun& run : lab_runs()) {
    if (run.context.architecture != Architecture::kAarch64) continue;
    const Exit exit = decoded(run, lab_page(run, "wp"));
    EXPECT_EQ(exit.find("debug.arch.far")->validity,
              run.context.kernel->major == 5 ? Validity::kUnknown : Validity::kValid)
        << run.tag;
    const Exit breakpoint = decoded(run, lab_page(run, "hwbp"));
    EXPECT_EQ(breakpoint.find("debug.arch.far")->validity, Validity::kStale) << run.tag;
  }
}

TEST(LabPages, SystemEventsFollowTheLayoutThatTheCapabilityNames) {
  const LabRun& old = lab_run("a64-5.10.218-n1");
  const Exit off = decoded(old, lab_page(old, "system_off"));
  EXPECT_EQ(off.find("system_event.type")->value_name, "KVM_SYSTEM_EVENT_SHUTDOWN");
  EXPECT_EQ(off.find("system_event.flags")->validity, Validity::kValid);
  EXPECT_EQ(off.find("system_event.ndata")->validity, Validity::kAbsent);

  const LabRun& recent = lab_run("a64-7.2.13-n1");
  const Exit reset2 = decoded(recent, lab_page(recent, "system_reset2_arch"));
  EXPECT_EQ(reset2.find("system_event.flags"), nullptr);
  EXPECT_EQ(reset2.find("system_event.ndata")->value, 1u);
  EXPECT_EQ(reset2.find("system_event.data", 0)->value_name,
            "KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2");
  EXPECT_EQ(reset2.find("system_event.data", 1)->validity, Validity::kStale);
}

TEST(LabPages, LinesForPeopleReadAsDocumented) {
  const LabRun& run = lab_run("a64-7.2.13-n1");
  auto text = [&run](std::string_view test) {
    const LabPage& page = lab_page(run, test);
    const RawMoment moment{.kvm_run = page.bytes, .data = {}, .ret = page.ret};
    return exit_text(run.context, moment, decoded(run, page));
  };
  EXPECT_EQ(text("brk"), "BRK #0x1234");
  EXPECT_EQ(text("mmio"), "write 1 byte 88 to 0x9000000");
  EXPECT_EQ(text("wp"), "watchpoint from a lower EL, read at 0x4000099c");
  EXPECT_EQ(text("intr"), "interrupted by a signal");
  EXPECT_EQ(text("immediate"),
            "KVM_RUN returned EINTR for immediate_exit, which leaves exit_reason alone");
  EXPECT_EQ(text("hypercall-smc"), "SMC fast call 0x2 of OEM service, 64-bit");
  EXPECT_EQ(text("system_reset2_arch"), "reset (PSCI SYSTEM_RESET2)");
  EXPECT_EQ(text("nisv-nocap"), "KVM_RUN failed without a reason (errno 38)");
}

}  // namespace
}  // namespace kvmtape
