// Every architecture whose kvm_run kvmtape can read, for tests that hold for each. As a parameter
// of a suite: INSTANTIATE_TEST_SUITE_P(Architectures, Suite, ::testing::ValuesIn(kArchitectures),
// architecture_suffix).
#pragma once

#include <array>
#include <string>

#include "schema/trace_format.h"

namespace kvmtape::testing {

inline constexpr std::array kArchitectures = {
    Architecture::kX86_64, Architecture::kI386,  Architecture::kAarch64,     Architecture::kRiscv64,
    Architecture::kS390x,  Architecture::kPpc64, Architecture::kLoongarch64, Architecture::kMips64};

// What a test's name ends with.
inline constexpr auto architecture_suffix = [](const auto& instance) {
  return "architecture_" + std::to_string(static_cast<int>(instance.param));
};

}  // namespace kvmtape::testing
