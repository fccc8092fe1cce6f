// What every architecture gives the probe's machine; defined in arch/ARCH/prepare.cc. What only one
// of them has stands in its own guests/ARCH/cpu.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvmtape {

class Machine;
class Vcpu;

// Tables in guest memory and VM-wide set-up, before the first vCPU is made.
void prepare_machine(Machine& machine);

// The default mode (x86-64: 64-bit, ring 0, 4 GiB mapped one to one; aarch64: EL1h, MMU off), all
// interrupts masked, the program counter at `entry`, the stack at `stack`.
void prepare_vcpu(Machine& machine, Vcpu& vcpu, uint64_t entry, uint64_t stack);

// How many bytes of kvm_run.s, from its first, KVM reads on the way in without being told to by
// kvm_dirty_regs.
size_t sync_bytes_read();

}  // namespace kvmtape
