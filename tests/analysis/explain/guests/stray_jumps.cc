// Guests that execute what is no code of theirs.
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

constexpr uint64_t kElsewhere = 12u << 20;  // where `map` puts the guest's memory as well

KVMTAPE_GUEST_CODE(call_null, R"(
    out %al, $0x80
    xor %eax, %eax
    call *%rax
)");

// As kernels do, it leaves the pages around address 0 unmapped.
void null_pointer_called(Stage& stage) {
  OneVcpu guest(stage, call_null);
  map(guest.machine, kElsewhere, 0);
  unmap(guest.machine, 0);
  kvm_regs regs = get_regs(guest.vcpu);
  regs.rip = kElsewhere + kCodeAddress;
  regs.rsp = kElsewhere + kStackTop;
  set_regs(guest.vcpu, regs);
  run(guest.vcpu);
}

// Memory at 0 is zeros up to the GDT, whose second word is no instruction.
void null_pointer_called_with_memory_there(Stage& stage) { run_code(stage, call_null); }

KVMTAPE_GUEST_CODE(jump_to_unmapped, R"(
    out %al, $0x80
    mov $0x7f0012345678, %rax
    jmp *%rax
)");

void jump_to_what_is_not_mapped(Stage& stage) { run_code(stage, jump_to_unmapped); }

// A fault in code that is mapped elsewhere than its memory lies is no stray jump.
KVMTAPE_GUEST_CODE(undefined_elsewhere, R"(
    out %al, $0x80
    ud2
)");

void a_fault_in_code_that_is_mapped_high(Stage& stage) {
  OneVcpu guest(stage, undefined_elsewhere);
  map(guest.machine, kElsewhere, 0);
  empty_idt(guest.vcpu);
  set_ip(guest.vcpu, kElsewhere + kCodeAddress);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(jump_to_hole, R"(
    out %al, $0x80
    mov $0xd0000000, %ebx
    jmp *%rbx
)");

void jump_into_a_hole(Stage& stage) { run_code(stage, jump_to_hole); }

void jump_into_a_hole_in_protected_mode(Stage& stage) {
  OneVcpu guest(stage, jump_to_hole);
  enter_protected_mode(guest.vcpu);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(smash_stack, R"(
    out %al, $0x80
    movl $0xd0001234, %eax
    push %rax
    ret
)");

void return_through_a_smashed_stack(Stage& stage) { run_code(stage, smash_stack); }

KVMTAPE_GUEST_CODE(real_mode_far_jump, R"(
    .code16
    outb %al, $0x80
    ljmp $0xa000, $0x10
)");

void far_jump_in_real_mode(Stage& stage) {
  OneVcpu guest(stage, real_mode_far_jump, {.memory_bytes = 512 * 1024});
  enter_real_mode(guest.vcpu, kCodeAddress);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(nops, R"(
    nop
    nop
    nop
    nop
)");

// Firmware whose last jump is missing.
void off_the_end_of_memory(Stage& stage) {
  constexpr size_t kMemory = 1u << 20;
  OneVcpu guest(stage, nops, {.memory_bytes = kMemory});
  guest.machine.load_code(nops, kMemory - nops.size());
  set_ip(guest.vcpu, kMemory - nops.size());
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(jump_to_zeros, R"(
    out %al, $0x80
    mov $0x20000, %eax
    mov $0xf0000, %ebx
    jmp *%rbx
)");

// A kernel that was never loaded: zeros are "add %al, (%rax)", up to the end of memory.
void through_zeros(Stage& stage) {
  OneVcpu guest(stage, jump_to_zeros, {.memory_bytes = 1u << 20});
  run(guest.vcpu);
}

// The monitor takes the memory away from under the code.
KVMTAPE_GUEST_CODE(two_outs, R"(
    out %al, $0x80
    out %al, $0x81
)");

void code_in_a_removed_slot(Stage& stage) {
  OneVcpu guest(stage, two_outs);
  run(guest.vcpu, nothing_there, 1);
  kvm_userspace_memory_region region = {};
  guest.machine.call(KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);
  guest.machine.add_memory(0, 64u << 20, guest.machine.at(0), 1u << 20);
  run(guest.vcpu);
}

const RealGuest kStrayJumps[] = {
    {"a null pointer is called",
     {"jump-astray"},
     "triple-fault",
     "a null pointer was called",
     null_pointer_called},
    {"a null pointer is called where memory is",
     {"jump-astray"},
     "triple-fault",
     "",
     null_pointer_called_with_memory_there},
    {"a jump to what is not mapped",
     {"jump-astray"},
     "triple-fault",
     "0x7f0012345678, where nothing is mapped",
     jump_to_what_is_not_mapped},
    {"a fault in code that is mapped elsewhere than its memory lies",
     {"triple-fault"},
     "",
     "the IDT is empty",
     a_fault_in_code_that_is_mapped_high},
    {"a jump to where no memory is",
     {"jump-astray"},
     "emulation-failure",
     "where it has no memory",
     jump_into_a_hole},
    {"the same in protected mode",
     {"jump-astray"},
     "emulation-failure",
     "0xd0000000, where it has no memory",
     jump_into_a_hole_in_protected_mode},
    {"a return through a smashed stack",
     {"jump-astray"},
     "emulation-failure",
     "0xd0001234",
     return_through_a_smashed_stack},
    {"a far jump in real mode, to video memory",
     {"jump-astray"},
     "emulation-failure",
     "0xa0010",
     far_jump_in_real_mode},
    {"firmware runs off the end of memory",
     {"jump-astray"},
     "emulation-failure",
     "off the end of its memory at 0x100000",
     off_the_end_of_memory},
    {"a kernel that was never loaded",
     {"jump-astray"},
     "emulation-failure",
     "zeros, which execute",
     through_zeros},
    {"the monitor removed the slot that the code was in",
     {"jump-astray", "triple-fault", "delivery-event"},
     "",
     "the monitor removed",
     code_in_a_removed_slot},
};

}  // namespace

std::span<const RealGuest> stray_jumps() { return kStrayJumps; }

}  // namespace kvmtape::testing
