#include "analysis/explain/rules.h"

namespace kvmtape {

std::vector<std::unique_ptr<Rule>> all_rules() {
  std::vector<std::unique_ptr<Rule>> rules;
  rules.push_back(make_guest_panic_rule());
  rules.push_back(make_pvpanic_rule());
  rules.push_back(make_guest_crash_event_rule());
  rules.push_back(make_tdx_fatal_rule());
  rules.push_back(make_sev_termination_rule());
  rules.push_back(make_reset_requested_rule());
  rules.push_back(make_watchdog_rule());
  rules.push_back(make_msr_refused_rule());
  rules.push_back(make_jump_astray_rule());
  rules.push_back(make_triple_fault_rule());
  rules.push_back(make_emulation_failure_rule());
  rules.push_back(make_delivery_event_rule());
  rules.push_back(make_simul_ex_rule());
  rules.push_back(make_unexpected_exit_reason_rule());
  rules.push_back(make_vmx_entry_failure_rule());
  rules.push_back(make_svm_invalid_rule());
  rules.push_back(make_cpu_unsupported_rule());
  rules.push_back(make_memory_fault_rule());
  rules.push_back(make_arm_sea_rule());
  rules.push_back(make_external_abort_rule());
  rules.push_back(make_serror_rule());
  rules.push_back(make_nisv_rule());
  rules.push_back(make_linux_brk_rule());
  rules.push_back(make_run_failed_rule());
  rules.push_back(make_os_lock_rule());
  rules.push_back(make_notify_window_rule());
  rules.push_back(make_unhandled_access_rule());
  rules.push_back(make_same_address_loop_rule());
  rules.push_back(make_exit_storm_rule());
  rules.push_back(make_monitor_killed_rule());
  rules.push_back(make_monitor_away_rule());
  rules.push_back(make_hlt_interrupts_off_rule());
  rules.push_back(make_silent_guest_rule());
  rules.push_back(make_guest_asked_rule());
  rules.push_back(make_clean_shutdown_rule());
  rules.push_back(make_lost_exits_rule());
  rules.push_back(make_stale_hsr_high_rule());
  rules.push_back(make_esr_sign_extension_rule());
  return rules;
}

}  // namespace kvmtape
