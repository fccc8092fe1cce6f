// What decoding will need to know about this host: kernel, CPU, KVM's capabilities, names. Read
// once when a session opens; never fails, what cannot be read stays empty.
#pragma once

#include "schema/session_codec.h"

namespace kvmtape {

// Architecture, byte order, kernel, page size, CPU facts, host, monitor. `clock_name` too.
void fill_host_facts(Session& session);

// Asks KVM_CHECK_EXTENSION for every number that any kernel knows, of the VM when vm_fd is valid,
// else of the system (marked system-wide). Both -1: none.
void fill_capabilities(Session& session, int kvm_fd, int vm_fd);

}  // namespace kvmtape
