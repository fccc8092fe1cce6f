// The list of rules, in the order in which equally likely findings stand in a report: what names a
// cause more exactly comes first. Each make_...() is defined in the file of its rule,
// rules/NAME.cc.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "analysis/explain/rule.h"

namespace kvmtape {

std::vector<std::unique_ptr<Rule>> all_rules();

// Its note says how far the whole report may be trusted.
inline constexpr std::string_view kLostExitsRule = "lost-exits";

std::unique_ptr<Rule> make_guest_panic_rule();
std::unique_ptr<Rule> make_pvpanic_rule();
std::unique_ptr<Rule> make_guest_crash_event_rule();
std::unique_ptr<Rule> make_tdx_fatal_rule();
std::unique_ptr<Rule> make_sev_termination_rule();
std::unique_ptr<Rule> make_reset_requested_rule();
std::unique_ptr<Rule> make_watchdog_rule();
std::unique_ptr<Rule> make_msr_refused_rule();
std::unique_ptr<Rule> make_jump_astray_rule();
std::unique_ptr<Rule> make_triple_fault_rule();
std::unique_ptr<Rule> make_emulation_failure_rule();
std::unique_ptr<Rule> make_delivery_event_rule();
std::unique_ptr<Rule> make_simul_ex_rule();
std::unique_ptr<Rule> make_unexpected_exit_reason_rule();
std::unique_ptr<Rule> make_vmx_entry_failure_rule();
std::unique_ptr<Rule> make_svm_invalid_rule();
std::unique_ptr<Rule> make_cpu_unsupported_rule();
std::unique_ptr<Rule> make_memory_fault_rule();
std::unique_ptr<Rule> make_arm_sea_rule();
std::unique_ptr<Rule> make_external_abort_rule();
std::unique_ptr<Rule> make_serror_rule();
std::unique_ptr<Rule> make_nisv_rule();
std::unique_ptr<Rule> make_linux_brk_rule();
std::unique_ptr<Rule> make_run_failed_rule();
std::unique_ptr<Rule> make_os_lock_rule();
std::unique_ptr<Rule> make_notify_window_rule();
std::unique_ptr<Rule> make_unhandled_access_rule();
std::unique_ptr<Rule> make_same_address_loop_rule();
std::unique_ptr<Rule> make_exit_storm_rule();
std::unique_ptr<Rule> make_monitor_killed_rule();
std::unique_ptr<Rule> make_monitor_away_rule();
std::unique_ptr<Rule> make_hlt_interrupts_off_rule();
std::unique_ptr<Rule> make_silent_guest_rule();
std::unique_ptr<Rule> make_guest_asked_rule();
std::unique_ptr<Rule> make_clean_shutdown_rule();
std::unique_ptr<Rule> make_lost_exits_rule();
std::unique_ptr<Rule> make_stale_hsr_high_rule();
std::unique_ptr<Rule> make_esr_sign_extension_rule();

}  // namespace kvmtape
