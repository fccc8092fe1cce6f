// "registers" of an exit in the JSON lines: by name beside the bytes, and nothing that must not be
// shown.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/exit_json.h"
#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"
#include "tests/support/arm64_registers.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape::testing {
namespace {

struct Given {
  RegisterSet set;
  std::vector<uint64_t> words;
  RegisterStatus status = RegisterStatus::kTaken;
  uint32_t error = 0;
};

// "registers" of an exit that these records stand with.
nlohmann::json written(const DecodeContext& context, const std::vector<Given>& records) {
  RegisterSets sets;
  for (const Given& given : records) {
    const auto& [set, words, status, error] = given;
    std::vector<uint8_t> payload(sizeof(RegistersRecord) + words.size() * kWordBytes);
    store_le(&payload[offsetof(RegistersRecord, set)], static_cast<uint16_t>(set));
    store_le(&payload[offsetof(RegistersRecord, status)], static_cast<uint16_t>(status));
    store_le(&payload[offsetof(RegistersRecord, error)], error);
    store_le(&payload[offsetof(RegistersRecord, bytes)],
             static_cast<uint32_t>(words.size() * kWordBytes));
    for (size_t i = 0; i < words.size(); ++i)
      store_le(&payload[sizeof(RegistersRecord) + i * kWordBytes], words[i]);
    SideRecord record;
    record.kind = RecordKind::kRegisters;
    record.payload = payload;
    const auto view = registers_view(record);
    EXPECT_TRUE(view.has_value());
    if (view) sets[view->set].join(*view, context.byte_order);
  }
  JsonWriter json;
  json.begin_object();
  write_registers(json, context, sets);
  json.end_object();
  return nlohmann::json::parse(json.text())["registers"];
}

nlohmann::json written(const DecodeContext& context, RegisterSet set,
                       const std::vector<uint64_t>& words) {
  return written(context, {{set, words}});
}

TEST(RegisterJson, AStructHasItsFieldsByName) {
  const auto regs = written(context_of(Architecture::kX86_64, "6.12"), RegisterSet::kRegs,
                            std::vector<uint64_t>(18, 0x2a))["kvm_regs"];
  EXPECT_EQ(regs["fields"]["rip"]["value"], "0x2a");
  EXPECT_EQ(regs["bytes"].get<std::string>().size(), 2u * 144u);
}

constexpr uint64_t kPointer = 0xffff800012345678;

TEST(RegisterJson, AKernelPointerIn510sMdccintIsNotShownAnywhere) {
  const auto all = written(context_of(Architecture::kAarch64, "5.10"), RegisterSet::kOneReg,
                           {kMdccint, kPointer, kMdscr, 0x2000});
  const auto& fields = all["kvm_one_reg"]["fields"];
  EXPECT_EQ(fields["MDSCR_EL1"]["value"], "0x2000");
  EXPECT_TRUE(fields["MDCCINT_EL1"]["value"].is_null());
  EXPECT_EQ(fields["MDCCINT_EL1"]["validity"], "unknown");
  EXPECT_EQ(all.dump().find("78563412"), std::string::npos);
}

// A crash exit has core and system registers in one record, the debug registers in another.
TEST(RegisterJson, RecordsOfOneSetAreOne) {
  constexpr uint64_t kPc = 0x6030000000100040;
  const auto all = written(context_of(Architecture::kAarch64, "6.12"),
                           {{RegisterSet::kOneReg, {kPc, 0x1000}},
                            {RegisterSet::kOneReg, {kMdscr, 0x2000, kPc, 0x3000}}});
  EXPECT_EQ(all["kvm_one_reg"]["fields"]["PC"]["value"], "0x1000") << all;
  EXPECT_EQ(all["kvm_one_reg"]["fields"]["MDSCR_EL1"]["value"], "0x2000");
  EXPECT_EQ(all["kvm_one_reg"]["bytes"].get<std::string>().size(), 2u * 48u);
}

TEST(RegisterJson, WhatTheKernelRefusedAndWhatWasWithheldAreSaidToBe) {
  const DecodeContext context = context_of(Architecture::kAarch64, "6.12");
  const auto all =
      written(context, {{RegisterSet::kOneReg, {kMdscr, 0}},
                        {RegisterSet::kOneReg, {kOslsr}, RegisterStatus::kRefused, 2},
                        {RegisterSet::kOneReg, {kMdccint}, RegisterStatus::kRedacted}});
  const auto& set = all["kvm_one_reg"];
  EXPECT_EQ(set["status"], "taken");
  EXPECT_TRUE(set["fields"]["OSLSR_EL1"]["value"].is_null());
  EXPECT_EQ(set["fields"]["OSLSR_EL1"]["validity"], "absent");
  EXPECT_EQ(set["fields"]["OSLSR_EL1"]["why"], "the kernel refused it: ENOENT");
  EXPECT_EQ(set["fields"]["MDCCINT_EL1"]["validity"], "unknown");
  const auto none =
      written(context, {{RegisterSet::kOneReg, {kOslsr}, RegisterStatus::kRefused, 2}});
  EXPECT_EQ(none["kvm_one_reg"]["status"], "refused");
  EXPECT_EQ(none["kvm_one_reg"]["errno"], "ENOENT");
}

TEST(RegisterJson, MsrsHaveTheirNames) {
  const auto all =
      written(context_of(Architecture::kX86_64, "6.12"), RegisterSet::kMsrs, {0xc0000080, 0xd01});
  EXPECT_EQ(all["kvm_msrs"]["fields"]["MSR_EFER"]["value"], "0xd01");
}

}  // namespace
}  // namespace kvmtape::testing
