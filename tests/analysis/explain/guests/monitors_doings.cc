// Guests that would live if their monitor had not done what it did.
#include <chrono>
#include <thread>

#include "recorder/probe/scripts.h"
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

// The answer to the first exit takes a second.
void run_with_slow_first_answer(Stage& stage, GuestCode code) {
  constexpr std::chrono::milliseconds kAway{1'050};  // the rule's bound is a second
  OneVcpu guest(stage, code);
  run(guest.vcpu, nothing_there, 1);
  std::this_thread::sleep_for(kAway);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(device_write, R"(
    sti
    mov $0xd0000050, %ebx
    movl $1, (%rbx)
    hlt
)");

void a_disk_that_took_a_second(Stage& stage) { run_with_slow_first_answer(stage, device_write); }

KVMTAPE_GUEST_CODE(device_write_then_panic, R"(
    mov $0xd0000050, %ebx
    movl $1, (%rbx)
    lea 2f(%rip), %rsi
    mov $(3f - 2f), %ecx
    mov $0x3f8, %dx
    rep outsb
    hlt
2:  .ascii "Kernel panic - not syncing: softlockup: hung tasks\n"
3:
)");

void a_disk_that_took_a_second_and_a_panic(Stage& stage) {
  run_with_slow_first_answer(stage, device_write_then_panic);
}

KVMTAPE_GUEST_CODE(harmless, R"(
1:  out %al, $0x80
    jmp 1b
)");

void inject(Vcpu& vcpu, const std::function<void(kvm_vcpu_events&)>& change) {
  kvm_vcpu_events events = {};
  vcpu.call(KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events);
  change(events);
  vcpu.call(KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", &events);
}

// An exception for a guest that has nothing to take it with.
void an_exception_injected(Stage& stage) {
  OneVcpu guest(stage, harmless);
  empty_idt(guest.vcpu);
  run(guest.vcpu, nothing_there, 5);
  inject(guest.vcpu, [](kvm_vcpu_events& events) {
    constexpr uint8_t kGeneralProtection = 13;
    events.exception.injected = 1;
    events.exception.nr = kGeneralProtection;
    events.exception.has_error_code = 1;
  });
  run(guest.vcpu, nothing_there, 5);
}

void an_nmi_injected(Stage& stage) {
  OneVcpu guest(stage, harmless);
  empty_idt(guest.vcpu);
  run(guest.vcpu, nothing_there, 5);
  guest.vcpu.call_value(KVM_NMI, "KVM_NMI", 0);
  run(guest.vcpu, nothing_there, 5);
}

KVMTAPE_GUEST_CODE(read_refused_msr, R"(
    out %al, $0x80
    mov $0xc0de0001, %ecx
    rdmsr
    hlt
)");

// Refused, it is a #GP in the guest.
void an_msr_refused(Stage& stage) {
  OneVcpu guest(stage, read_refused_msr);
  guest.machine.enable_cap(KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
                           KVM_MSR_EXIT_REASON_UNKNOWN);
  empty_idt(guest.vcpu);
  run(guest.vcpu);
  if (!stage.going() || guest.vcpu.run().exit_reason != KVM_EXIT_X86_RDMSR) return;
  guest.vcpu.run().msr.error = 1;
  run(guest.vcpu);
}

void registers_that_kvm_does_not_know(Stage& stage) {
  OneVcpu guest(stage, harmless);
  run(guest.vcpu, nothing_there, 3);
  guest.vcpu.run().kvm_valid_regs = uint64_t{1} << 63;
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(jump_to_unreachable_memory, R"(
    out %al, $0x80
    mov $0x40000000, %ebx
    jmp *%rbx
)");

// A slot whose memory the host cannot reach.
void memory_that_cannot_be_reached(Stage& stage) {
  OneVcpu guest(stage, jump_to_unreachable_memory);
  add_inaccessible_memory(guest.machine);
  run(guest.vcpu);
}

KVMTAPE_GUEST_CODE(trapped, R"(
1:  nop
    jmp 1b
)");

// A debugger that resumes at its own breakpoint without stepping over it.
void a_breakpoint_that_is_never_passed(Stage& stage) {
  OneVcpu guest(stage, trapped);
  constexpr uint64_t kExecuteAtDr0 = 0x402;
  set_guest_debug(guest.vcpu, KVM_GUESTDBG_USE_HW_BP, kCodeAddress, kExecuteAtDr0);
  run(guest.vcpu, nothing_there, 6'000);
}

KVMTAPE_GUEST_CODE(poll_or_die, R"(
    test %edi, %edi
    jz 2f
1:  in $0x92, %al
    jmp 1b
2:  mov $100, %ecx
3:  out %al, $0x80
    loop 3b
    ud2
)");

// The second waits for the first, as CPUs do for an answer to an interprocessor interrupt.
void one_vcpu_dies_and_the_other_waits(Stage& stage) {
  OneVcpu guest(stage, poll_or_die);
  Vcpu& waiting = add_second_vcpu(guest.machine);
  empty_idt(guest.vcpu);
  std::thread other([&] {
    run(
        waiting, [](uint64_t) { return 0; }, 6'000);
  });
  run(guest.vcpu);
  other.join();
}

KVMTAPE_GUEST_CODE(work_then_die, R"(
    mov $4000, %ecx
1:  out %al, $0x80
    out %al, $0x81
    inc %al
    loop 1b
    ud2
)");

void a_long_life_before_the_end(Stage& stage) { run_without_idt(stage, work_then_die); }

const RealGuest kMonitorsDoings[] = {
    {"a disk that took a second", {"monitor-away"}, "", "", a_disk_that_took_a_second},
    {"a disk that took a second, and then a panic",
     {"guest-panic"},
     "monitor-away",
     "",
     a_disk_that_took_a_second_and_a_panic},
    {"an exception that the monitor injected", {"triple-fault"}, "", "#GP", an_exception_injected},
    {"an NMI that the monitor injected", {"triple-fault"}, "", "NMI", an_nmi_injected},
    {"an MSR that the monitor refused",
     {"msr-refused"},
     "triple-fault",
     "0xc0de0001",
     an_msr_refused},
    {"kvm_valid_regs that KVM does not know",
     {"run-failed"},
     "",
     "EINVAL",
     registers_that_kvm_does_not_know},
    {"memory that the host cannot reach",
     {"memory-fault", "emulation-failure"},
     "",
     "memory",
     memory_that_cannot_be_reached},
    {"a breakpoint that the debugger never steps over",
     {"same-address-loop"},
     "",
     "",
     a_breakpoint_that_is_never_passed,
     false,
     KVMTAPE_REGISTERS_NEVER},
    {"one vCPU dies and the other waits for it",
     {"triple-fault"},
     "same-address-loop",
     "",
     one_vcpu_dies_and_the_other_waits},
    {"a long life of which the ring holds the end",
     {"triple-fault"},
     "",
     "the IDT is empty",
     a_long_life_before_the_end,
     false,
     KVMTAPE_REGISTERS_DEBUG_EXITS,
     true},
};

}  // namespace

std::span<const RealGuest> monitors_doings() { return kMonitorsDoings; }

}  // namespace kvmtape::testing
