// Guests that tell of their own end, on a console or through a port, before the exit that ends
// them.
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

KVMTAPE_GUEST_CODE(panic_then_halt, R"(
    sti
    lea 2f(%rip), %rsi
    mov $(3f - 2f), %ecx
    mov $0x3f8, %dx
    rep outsb
    hlt
    cli
    hlt
2:  .ascii "\nKernel panic - not syncing: VFS: Unable to mount root fs\n"
3:
)");

void panic_and_halt(Stage& stage) { run_and_wake_once(stage, panic_then_halt); }

KVMTAPE_GUEST_CODE(panic_then_reboot, R"(
    lea 2f(%rip), %rsi
    mov $0x3f8, %dx
1:  lodsb
    out %al, %dx
    test %al, %al
    jnz 1b
    mov $0xfe, %al
    out %al, $0x64
    ud2
2:  .asciz "Kernel panic - not syncing: Fatal exception in interrupt\n"
)");

void panic_and_reboot(Stage& stage) { run_without_idt(stage, panic_then_reboot); }

KVMTAPE_GUEST_CODE(panic_to_mmio_console, R"(
    lea 2f(%rip), %rsi
    mov $0xd0000000, %ebx
1:  movzbl (%rsi), %eax
    inc %rsi
    mov %eax, (%rbx)
    test %al, %al
    jnz 1b
    xor %ebx, %ebx
    not %rbx
    jmp *%rbx
2:  .asciz "Oops: general protection fault\n"
)");

void oops_and_a_wild_jump(Stage& stage) { run_code(stage, panic_to_mmio_console); }

KVMTAPE_GUEST_CODE(tell_pvpanic, R"(
    mov $0x505, %dx
    in %dx, %al
    mov $1, %al
    out %al, %dx
    ud2
)");

void pvpanic_and_a_triple_fault(Stage& stage) {
  run_without_idt(stage, tell_pvpanic, [](uint64_t) { return 3; });
}

KVMTAPE_GUEST_CODE(pvpanic_halt, R"(
    sti
    hlt
    cli
    mov $0x505, %dx
    mov $1, %al
    out %al, %dx
    hlt
)");

void pvpanic_and_halt(Stage& stage) { run_and_wake_once(stage, pvpanic_halt); }

KVMTAPE_GUEST_CODE(keyboard_reset, R"(
    out %al, $0x80
    mov $0xfe, %al
    out %al, $0x64
    ud2
)");

void keyboard_reset_then_triple_fault(Stage& stage) { run_without_idt(stage, keyboard_reset); }

KVMTAPE_GUEST_CODE(pci_reset, R"(
    mov $0xcf9, %dx
    mov $2, %al
    out %al, %dx
    mov $6, %al
    out %al, %dx
    movw $0, 0x20000
    lidt 0x20000
    int3
)");

// Linux, reboot=pci and then triple.
void pci_reset_then_triple_fault(Stage& stage) { run_code(stage, pci_reset); }

KVMTAPE_GUEST_CODE(halt_for_good, R"(
    sti
    hlt
    cli
    hlt
)");

void halt_with_interrupts_off(Stage& stage) { run_and_wake_once(stage, halt_for_good); }

const RealGuest kLastWords[] = {
    {"a panic, and then a halt",
     {"guest-panic"},
     "hlt-interrupts-off",
     "Unable to mount root fs",
     panic_and_halt},
    {"a panic, and then a reboot that ends in a triple fault",
     {"guest-panic"},
     "triple-fault",
     "Fatal exception in interrupt",
     panic_and_reboot},
    {"an oops on a memory-mapped console, and then a wild jump",
     {"guest-panic"},
     "jump-astray",
     "",
     oops_and_a_wild_jump},
    {"pvpanic, and then a triple fault",
     {"pvpanic"},
     "triple-fault",
     "",
     pvpanic_and_a_triple_fault},
    {"pvpanic, and then a halt", {"pvpanic"}, "hlt-interrupts-off", "", pvpanic_and_halt},
    {"a reset by the keyboard controller that nobody made",
     {"reset-requested"},
     "triple-fault",
     "0x64",
     keyboard_reset_then_triple_fault},
    {"a reset by port 0xcf9 that nobody made",
     {"reset-requested"},
     "",  // a triple fault, where KVM does not have to emulate INT3
     "0xcf9",
     pci_reset_then_triple_fault},
    {"a halt with interrupts off", {"hlt-interrupts-off"}, "", "", halt_with_interrupts_off},
};

}  // namespace

std::span<const RealGuest> last_words() { return kLastWords; }

}  // namespace kvmtape::testing
