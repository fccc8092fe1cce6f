// Guests that nothing is wrong with, some of which do what looks like trouble.
#include <chrono>

#include "recorder/probe/deadline.h"
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

constexpr uint8_t kTimerVector = 0x20;

KVMTAPE_GUEST_CODE(idle, R"(
1:  sti
    hlt
    jmp 1b
)");

KVMTAPE_GUEST_CODE(timer_handler, R"(
    out %al, $0x20
    iretq
)");

// Woken by an interrupt each time, and asleep at the end.
void an_idle_guest(Stage& stage) {
  OneVcpu guest(stage, idle);
  guest.machine.load_code(timer_handler, kHandlerAddress);
  set_gate(guest.machine, kTimerVector, kHandlerAddress);
  for (int tick = 0; tick < 20; ++tick) {
    run(guest.vcpu);
    kvm_interrupt interrupt = {.irq = kTimerVector};
    guest.vcpu.call(KVM_INTERRUPT, "KVM_INTERRUPT", &interrupt);
  }
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(probe_buses, R"(
    mov $0xcf8, %dx
    mov $0x80000800, %eax
    out %eax, %dx
    mov $0xcfc, %dx
    in %dx, %eax
    mov $0x2fd, %dx
    in %dx, %al
    mov $0x170, %dx
    in %dx, %al
    mov $0xd0000000, %ebx
    mov (%rbx), %eax
    sti
    hlt
)");

void a_guest_that_probes_its_buses(Stage& stage) { run_code(stage, probe_buses); }

KVMTAPE_GUEST_CODE(switch_off, R"(
    out %al, $0x80
    mov $0x604, %dx
    mov $0x2000, %ax
    out %ax, %dx
1:  hlt
    jmp 1b
)");

void a_guest_that_switches_itself_off(Stage& stage) {
  run_code(stage, switch_off, nothing_there, 2);
}

KVMTAPE_GUEST_CODE(ask_for_reset, R"(
    out %al, $0x80
    mov $0xfe, %al
    out %al, $0x64
1:  hlt
    jmp 1b
)");

void a_guest_that_reboots(Stage& stage) {
  run_code(stage, ask_for_reset, nothing_there, 2);  // and the monitor starts it anew
}

KVMTAPE_GUEST_CODE(poll_until_ready, R"(
    mov $0x1f7, %dx
1:  in %dx, %al
    test $0x40, %al
    jz 1b
    sti
    hlt
)");

void a_disk_that_becomes_ready(Stage& stage) {
  int reads = 0;
  run_code(stage, poll_until_ready, [&](uint64_t) { return ++reads < 400 ? 0x80 : 0x40; });
}

KVMTAPE_GUEST_CODE(own_exception, R"(
    out %al, $0x80
    ud2
    sti
    hlt
)");

KVMTAPE_GUEST_CODE(skip_instruction, R"(
    addq $2, (%rsp)
    iretq
)");

void an_exception_that_the_guest_handles(Stage& stage) {
  OneVcpu guest(stage, own_exception);
  guest.machine.load_code(skip_instruction, kHandlerAddress);
  set_gate(guest.machine, kUndefined, kHandlerAddress);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(read_and_write_msr, R"(
    mov $0xc0de0001, %ecx
    rdmsr
    wrmsr
    sti
    hlt
)");

void msrs_that_the_monitor_has(Stage& stage) {
  OneVcpu guest(stage, read_and_write_msr);
  guest.machine.enable_cap(KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
                           KVM_MSR_EXIT_REASON_UNKNOWN);
  for (int call = 0; call < 3; ++call) {
    run(guest.vcpu);
    guest.vcpu.run().msr.error = 0;
  }
}

KVMTAPE_GUEST_CODE(spin, R"(
1:  pause
    jmp 1b
)");

// Computes; a signal ends its KVM_RUN now and then.
void a_busy_guest(Stage& stage) {
  OneVcpu guest(stage, spin);
  for (int kick = 0; kick < 3; ++kick) {
    const Deadline deadline(std::chrono::milliseconds(5));
    guest.vcpu.run_once();
  }
}

KVMTAPE_GUEST_CODE(steps, R"(
    nop
    nop
    nop
    nop
    sti
    hlt
)");

void a_guest_under_a_debugger(Stage& stage) {
  OneVcpu guest(stage, steps);
  set_guest_debug(guest.vcpu, KVM_GUESTDBG_SINGLESTEP);
  run(guest.vcpu, nothing_there, 4);
  set_guest_debug(guest.vcpu, 0);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(park_or_idle, R"(
    test %edi, %edi
    jnz 1f
    sti
1:  hlt
    jmp 1b
)");

// The second CPU was never asked to do anything.
void a_parked_cpu(Stage& stage) {
  OneVcpu guest(stage, park_or_idle);
  Vcpu& parked = add_second_vcpu(guest.machine);
  run(parked);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(print_for_long, R"(
    mov $0x3f8, %dx
    mov $20, %ebx
1:  lea 2f(%rip), %rsi
    mov $(3f - 2f), %ecx
    rep outsb
    dec %ebx
    jnz 1b
    sti
    hlt
2:  .ascii "[    0.000000] all is well, and panic=-1 is on the command line\n"
3:
)");

void a_guest_that_says_much(Stage& stage) { run_code(stage, print_for_long); }

KVMTAPE_GUEST_CODE(write_rom, R"(
    mov $0x40000000, %ebx
    movl $0xf0, (%rbx)
    mov (%rbx), %eax
    sti
    hlt
)");

// As firmware asks flash memory for its state.
void a_write_into_rom(Stage& stage) { run_with_rom(stage, write_rom); }

const RealGuest kHealthy[] = {
    {"an idle guest", {}, "", "", an_idle_guest},
    {"a guest that probes its buses", {}, "", "", a_guest_that_probes_its_buses},
    {"a guest that switches itself off", {}, "", "", a_guest_that_switches_itself_off},
    {"a guest that reboots", {}, "", "", a_guest_that_reboots},
    {"a disk that becomes ready", {}, "", "", a_disk_that_becomes_ready},
    {"an exception that the guest handles", {}, "", "", an_exception_that_the_guest_handles},
    {"MSRs that the monitor has", {}, "", "", msrs_that_the_monitor_has},
    {"a busy guest", {}, "", "", a_busy_guest},
    {"a guest under a debugger", {}, "", "", a_guest_under_a_debugger},
    {"a CPU that is parked", {}, "", "", a_parked_cpu},
    {"a guest that says much", {}, "", "", a_guest_that_says_much},
    {"a write into ROM", {}, "", "", a_write_into_rom},
};

}  // namespace

std::span<const RealGuest> healthy() { return kHealthy; }

}  // namespace kvmtape::testing
