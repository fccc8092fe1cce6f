// Exceptions that could not be delivered, each for a reason of its own.
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

constexpr uint8_t kDoubleFault = 8, kPageFault = 14;

KVMTAPE_GUEST_CODE(undefined_instruction, R"(
    out %al, $0x80
    ud2
)");

KVMTAPE_GUEST_CODE(halt, R"(
    hlt
)");

void no_idt(Stage& stage) { run_without_idt(stage, undefined_instruction); }

void no_idt_in_protected_mode(Stage& stage) {
  OneVcpu guest(stage, undefined_instruction);
  enter_protected_mode(guest.vcpu);
  empty_idt(guest.vcpu);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(real_mode_interrupt, R"(
    .code16
    mov $0x7f, %al
    outb %al, $0x80
    ud2
)");

void no_interrupt_table_in_real_mode(Stage& stage) {
  OneVcpu guest(stage, real_mode_interrupt);
  enter_real_mode(guest.vcpu, kCodeAddress);
  empty_idt(guest.vcpu);
  run(guest.vcpu);
}

void gates_not_present(Stage& stage) {
  run_code(stage, undefined_instruction);  // its IDT is a page of zeros
}

KVMTAPE_GUEST_CODE(lose_page_table, R"(
    out %al, $0x80
    mov $0x900000000, %rbx
    mov %rbx, %cr3
1:  jmp 1b
)");

void lost_page_table(Stage& stage) { run_code(stage, lose_page_table); }

KVMTAPE_GUEST_CODE(load_idt_from_hole, R"(
    movw $0xfff, 0x20000
    movq $0xd0000000, %rax
    mov %rax, 0x20002
    lidt 0x20000
    ud2
)");

void idt_in_a_hole(Stage& stage) { run_code(stage, load_idt_from_hole); }

void set_all_gates(Machine& machine) {
  machine.load_code(halt, kHandlerAddress);
  for (const uint8_t vector : {kUndefined, kDoubleFault, kPageFault})
    set_gate(machine, vector, kHandlerAddress);
}

KVMTAPE_GUEST_CODE(lose_stack, R"(
    out %al, $0x80
    xor %esp, %esp
    ud2
)");

void lost_stack(Stage& stage) {
  OneVcpu guest(stage, lose_stack);
  set_all_gates(guest.machine);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(recurse, R"(
    out %al, $0x80
1:  call 1b
)");

// The stack is a page, and nothing is mapped below it.
void stack_overflow(Stage& stage) {
  constexpr uint64_t kStackPage = 12u << 20;
  OneVcpu guest(stage, recurse, {.memory_bytes = 4u << 20});
  set_all_gates(guest.machine);
  map(guest.machine, kStackPage, 2u << 20);
  unmap(guest.machine, kStackPage - 1);
  kvm_regs regs = get_regs(guest.vcpu);
  regs.rsp = kStackPage + kPageBytes;
  set_regs(guest.vcpu, regs);
  run(guest.vcpu);
}

// In ring 3 an exception takes its stack from the TSS, and there is none.
void ring_3_without_a_tss(Stage& stage) {
  OneVcpu guest(stage, undefined_instruction);
  set_all_gates(guest.machine);
  enter_user_mode(guest.vcpu);
  set_rflags(guest.vcpu, kRflagsIopl3);
  run(guest.vcpu);
}

const RealGuest kTripleFaults[] = {
    {"UD2 without an IDT in long mode", {"triple-fault"}, "", "the IDT is empty", no_idt},
    {"UD2 without an IDT in protected mode",
     {"triple-fault"},
     "",
     "protected mode without paging: the IDT is empty",
     no_idt_in_protected_mode},
    {"UD2 without a table of interrupts in real mode",
     {"triple-fault", "emulation-failure"},
     "",
     "real mode",
     no_interrupt_table_in_real_mode},
    {"an IDT without gates", {"triple-fault"}, "", "", gates_not_present},
    {"CR3 points where no memory is",
     {"triple-fault", "delivery-event", "emulation-failure"},
     "",
     "",
     lost_page_table},
    {"LIDT of a place without memory", {"triple-fault", "delivery-event"}, "", "", idt_in_a_hole},
    {"the stack pointer is lost", {"triple-fault"}, "", "stack", lost_stack},
    {"endless recursion", {"triple-fault"}, "", "stack", stack_overflow},
    {"an exception in ring 3 without a TSS", {"triple-fault"}, "", "ring 3", ring_3_without_a_tss},
};

}  // namespace

std::span<const RealGuest> triple_faults() { return kTripleFaults; }

}  // namespace kvmtape::testing
