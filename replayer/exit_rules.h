// The validity rules that do not belong to one architecture: each exit's in one function, which
// names what users see as the reason. Called by the decoder only.
#pragma once

#include "replayer/rule_view.h"

namespace kvmtape {

// Whether exit_reason is of this KVM_RUN, and if not what it is; run_failure.cc.
void judge_exit_reason(const RuleView& view);

void judge_io(const RuleView& view);  // port_and_mmio.cc
// An access of struct mmio, or of iocsr_io, which has its layout.
struct AccessFields {
  std::string_view data, len, is_write;
};
inline constexpr AccessFields kMmio = {"mmio.data", "mmio.len", "mmio.is_write"};
void judge_access(const RuleView& view, const AccessFields& names);
void judge_system_event(const RuleView& view);    // system_event.cc
void judge_internal_error(const RuleView& view);  // internal_error.cc

inline constexpr std::string_view kFilledByMonitor = "the monitor fills it in; see the answer";

}  // namespace kvmtape
