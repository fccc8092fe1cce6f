// What can be told of a process by its /proc folder: is it a monitor, what is it called. Any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "recorder/session.h"
#include "schema/base/result.h"

namespace kvmtape {

// Name and command for a recording's header. kUsage: there is no such process, or it is a kernel
// thread or a zombie.
Result<WatchedProcess> describe_process(uint32_t pid);

// An error that says what is wrong, unless the process has a VM or a vCPU of KVM's, or /dev/kvm
// open.
Result<void> check_is_monitor(uint32_t pid, const std::string& name);

// KVM's number of the vCPU that a descriptor of the process stands for; nullopt: it is no vCPU.
std::optional<uint32_t> vcpu_of_descriptor(uint32_t pid, int fd);

// The size of every vCPU's kvm_run mapping on this host; 0 if /dev/kvm cannot be opened.
size_t host_run_bytes();

}  // namespace kvmtape
