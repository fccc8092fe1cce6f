// KVM_EXIT_INTERNAL_ERROR as JSON: what the words of internal.data and the bytes of an instruction
// are, beside the fields.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "analysis/exit_json.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape::testing {
namespace {

DecodeContext on_vmx() {
  DecodeContext context = context_of(Architecture::kX86_64, "6.12");
  context.x86_virtualization = X86Virtualization::kVmx;
  return context;
}

nlohmann::json json_of(const KvmRunPage& page, const DecodeContext& context) {
  const ExitDecoder decoder(context);
  DecodedExit decoded;
  decoded.moment = page.moment();
  decoder.decode(decoded.moment, decoded.exit);
  JsonWriter json;
  json.begin_object();
  write_exit_meaning(json, decoder, decoded);
  json.end_object();
  return nlohmann::json::parse(json.text());
}

TEST(InternalErrorJson, AnEmulationFailureHasItsInstructionAndTheExitThatLedToIt) {
  KvmRunPage page(on_vmx());
  page.reason(17).in_union(0, uint32_t{1}).in_union(4, uint32_t{8}).in_union(8, uint64_t{1});
  page.in_union(16, uint8_t{3}).in_union(17, uint16_t{0x0b0f}).in_union(19, uint8_t{0xf4});
  page.in_union(32, uint64_t{48});
  const auto json = json_of(page, on_vmx());
  EXPECT_EQ(json["fields"]["emulation_failure.insn_bytes"]["value"], "0f0bf4");
  EXPECT_EQ(json["instruction"],
            nlohmann::json::parse(R"({"bytes":"0f0b","text":"ud2","bits":64,"bits_known":true})"));
  EXPECT_EQ(json["internal_data"][0],
            nlohmann::json::parse(R"({"element":3,"slot":"exit_reason","value":"0x30",
                                      "text":"EXIT_REASON_EPT_VIOLATION"})"));
}

TEST(InternalErrorJson, OtherExitsHaveNeither) {
  KvmRunPage page(on_vmx());
  const auto json = json_of(page.reason(5), on_vmx());
  EXPECT_FALSE(json.contains("instruction") || json.contains("internal_data"));
}

}  // namespace
}  // namespace kvmtape::testing
