// What holds for every table. That each rises is proved where it stands, by static_assert; here are
// the lookups and what the compiler does not see.
#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <utility>

#include "replayer/arch_names/confidential.h"
#include "replayer/arch_names/esr_tables.h"
#include "replayer/arch_names/hypercalls.h"
#include "replayer/arch_names/msr_names.h"
#include "replayer/arch_names/named_value.h"
#include "replayer/arch_names/papr.h"
#include "replayer/arch_names/psci.h"
#include "replayer/arch_names/sbi.h"
#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/system_event.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/arch_names/x86_registers.h"

namespace kvmtape {
namespace {

const std::pair<const char*, NamedValues> kTables[] = {
    {"esr fault statuses", all_fault_statuses()},
    {"ghcb requests", all_ghcb_msr_requests()},
    {"hyperv calls", all_hyperv_calls()},
    {"iocsr", all_iocsrs()},
    {"kvm hypercalls", all_kvm_hypercalls()},
    {"low msrs", low_msrs()},
    {"high msrs", high_msrs()},
    {"papr hcalls", all_papr_hcalls()},
    {"papr returns", all_papr_returns()},
    {"sbi extensions", all_sbi_extensions()},
    {"smccc functions", all_smccc_functions()},
    {"svm exit codes", all_svm_exit_codes()},
    {"system events", all_system_event_types()},
    {"tdvmcalls", all_tdvmcalls()},
    {"vmx exit reasons", all_vmx_exit_reasons()},
    {"vmx instruction errors", all_vmx_instruction_errors()},
    {"xen hypercalls", all_xen_hypercalls()},
    {"exceptions", all_exceptions()},
    {"eflags", all_eflags_bits()},
    {"cr0", all_cr0_bits()},
    {"cr4", all_cr4_bits()},
    {"efer", all_efer_bits()},
};

TEST(Tables, RiseAndFindEveryRow) {
  for (const auto& [name, table] : kTables) {
    EXPECT_FALSE(table.empty()) << name;
    EXPECT_TRUE(strictly_rising(table)) << name;
    for (const NamedValue& row : table) EXPECT_EQ(name_of(table, row.value), row.name) << name;
  }
}

TEST(Tables, HoldPrintableNames) {
  for (const auto& [name, table] : kTables) {
    for (const NamedValue& row : table) {
      EXPECT_FALSE(row.name.empty()) << name << ' ' << row.value;
      for (char c : row.name) EXPECT_TRUE(std::isprint(static_cast<unsigned char>(c))) << name;
    }
  }
}

TEST(Tables, FindNothingBetweenRows) {
  constexpr NamedValue kSparse[] = {{2, "two"}, {5, "five"}};
  EXPECT_EQ(name_of(kSparse, 1), "");
  EXPECT_EQ(name_of(kSparse, 3), "");
  EXPECT_EQ(name_of(kSparse, 6), "");
  EXPECT_EQ(name_of({}, 0), "");
}

TEST(Tables, RefuseToRiseWhenARowRepeatsOrFalls) {
  constexpr NamedValue kRepeats[] = {{2, "two"}, {2, "again"}};
  constexpr NamedValue kFalls[] = {{2, "two"}, {1, "one"}};
  EXPECT_FALSE(strictly_rising(kRepeats));
  EXPECT_FALSE(strictly_rising(kFalls));
}

TEST(BitNames, ShowUnnamedBitsInHex) {
  constexpr NamedValue kBits[] = {{0, "A"}, {63, "Z"}};
  EXPECT_EQ(bit_names(kBits, 0), "0");
  EXPECT_EQ(bit_names(kBits, uint64_t{1} << 63 | 1), "A|Z");
  EXPECT_EQ(bit_names(kBits, 0x31), "A|0x30");
  EXPECT_EQ(bit_names(kBits, 0x30), "0x30");
}

}  // namespace
}  // namespace kvmtape
