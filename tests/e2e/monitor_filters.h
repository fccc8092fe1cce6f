// System call filters of the kinds that monitors install, all of them allow-lists: what is not on
// the list ends the process, so that a recorded monitor that still runs has been asked for nothing
// more. Each is for the calling thread and the threads that it makes.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace kvmtape::testing {

// What a run loop needs and no more, as Firecracker's: installed when everything is set up.
void install_run_loop_filter();
// What small_monitor does from the creation of its VM on, and no more.
void install_small_monitor_filter();
// Kills for those system calls, and allows all others.
void install_filter_against(std::initializer_list<uint32_t> calls);
// Cloud Hypervisor's, of three of its threads. They come in this order, and the second makes the VM
// and the third's thread; whatever is not allowed raises SIGSYS.
void install_cloud_hypervisor_api_filter();
void install_cloud_hypervisor_vmm_filter();
void install_cloud_hypervisor_vcpu_filter();

}  // namespace kvmtape::testing
