// Guests that die, or wait for ever, of what a device did or a device that is not there.
#include "tests/analysis/explain/guests/guests.h"

namespace kvmtape::testing {
namespace {

using namespace kvmtape::x86;

KVMTAPE_GUEST_CODE(poll_status, R"(
    mov $0x1f7, %dx
1:  in %dx, %al
    test $0x40, %al
    jz 1b
    hlt
)");

void a_device_that_stays_busy(Stage& stage) {
  run_code(
      stage, poll_status, [](uint64_t) { return 0x80; }, 6'000);
}

KVMTAPE_GUEST_CODE(poll_clear, R"(
    mov $0x3f6, %dx
1:  in %dx, %al
    test $0x80, %al
    jnz 1b
    hlt
)");

void a_port_without_a_device_polled(Stage& stage) {
  run_code(stage, poll_clear, nothing_there, 6'000);
}

KVMTAPE_GUEST_CODE(poll_register, R"(
    mov $0xd0000040, %ebx
1:  mov (%rbx), %eax
    test %eax, %eax
    js 1b
    hlt
)");

void a_register_without_a_device_polled(Stage& stage) {
  run_code(stage, poll_register, nothing_there, 6'000);
}

KVMTAPE_GUEST_CODE(use_pointer, R"(
    mov $0xd0000000, %ebx
    mov (%rbx), %eax
    jmp *%rax
)");

void a_pointer_of_ones(Stage& stage) { run_code(stage, use_pointer); }

KVMTAPE_GUEST_CODE(use_leftover, R"(
    mov $0xd0000000, %ebx
    movl $0x71234567, (%rbx)
    mov $0xd0400000, %ebx
    mov (%rbx), %eax
    jmp *%rax
)");

void a_pointer_left_in_the_buffer(Stage& stage) {
  OneVcpu guest(stage, use_leftover);
  run_without_answering(guest.vcpu);
}

KVMTAPE_GUEST_CODE(probe_then_die, R"(
    in $0x2e, %al
    mov $40, %ecx
1:  out %al, $0x80
    loop 1b
    ud2
)");

void a_harmless_probe_long_before(Stage& stage) { run_without_idt(stage, probe_then_die); }

KVMTAPE_GUEST_CODE(die_after_probe, R"(
    out %al, $0x80
    in $0x2e, %al
    out %al, $0x80
    ud2
)");

void a_harmless_probe_just_before(Stage& stage) { run_without_idt(stage, die_after_probe); }

KVMTAPE_GUEST_CODE(sse_on_device, R"(
    out %al, $0x80
    mov $0xd0000000, %ebx
    addps (%rbx), %xmm0
    hlt
)");

void sse_on_device_memory(Stage& stage) { run_code(stage, sse_on_device); }

// Entered again each time, as a monitor does that takes it for something it may ignore.
void sse_on_device_memory_again_and_again(Stage& stage) {
  OneVcpu guest(stage, sse_on_device);
  run(guest.vcpu);
  for (int i = 0; i < 25'000; ++i) guest.vcpu.run_once();
}

KVMTAPE_GUEST_CODE(sse_into_rom, R"(
    out %al, $0x80
    mov $0x40000000, %ebx
    movss %xmm0, (%rbx)
    hlt
)");

void sse_store_into_rom(Stage& stage) { run_with_rom(stage, sse_into_rom); }

KVMTAPE_GUEST_CODE(write_port_for_ever, R"(
1:  out %al, $0x80
    jmp 1b
)");

void a_storm_of_writes(Stage& stage) {
  run_code(stage, write_port_for_ever, nothing_there, 25'000);
}

KVMTAPE_GUEST_CODE(storm_then_die, R"(
    mov $25000, %ecx
1:  out %al, $0x80
    loop 1b
    ud2
)");

void a_storm_and_then_a_triple_fault(Stage& stage) { run_without_idt(stage, storm_then_die); }

const RealGuest kDevices[] = {
    {"a disk that stays busy", {"same-address-loop"}, "", "0x1f7", a_device_that_stays_busy},
    {"a port without a device, polled for ever",
     {"unhandled-access"},
     "same-address-loop",
     "0x3f6",
     a_port_without_a_device_polled},
    {"a register without a device, polled for ever",
     {"unhandled-access"},
     "same-address-loop",
     "0xd0000040",
     a_register_without_a_device_polled},
    {"a pointer read from where no device is",
     {"unhandled-access"},
     "jump-astray",
     "",
     a_pointer_of_ones},
    {"a pointer that the monitor left in the buffer",
     {"unhandled-access"},
     "jump-astray",
     "",
     a_pointer_left_in_the_buffer},
    {"a harmless probe long before a triple fault",
     {"triple-fault"},
     "",
     "",
     a_harmless_probe_long_before},
    {"a harmless probe just before a triple fault",
     {"triple-fault"},
     "unhandled-access",
     "",
     a_harmless_probe_just_before},
    {"SSE on device memory",
     {"emulation-failure"},
     "",
     "an address without memory",
     sse_on_device_memory},
    {"SSE on device memory, entered again each time",
     {"emulation-failure"},
     "exit-storm",
     "addps",
     sse_on_device_memory_again_and_again,
     true,
     KVMTAPE_REGISTERS_NEVER},
    {"an SSE store into ROM",
     {"emulation-failure"},
     "",
     "read-only memory slot",
     sse_store_into_rom},
    {"a port written for ever", {"exit-storm"}, "", "0x80", a_storm_of_writes, true},
    {"a storm, and then a triple fault",
     {"triple-fault"},
     "exit-storm",
     "",
     a_storm_and_then_a_triple_fault,
     true},
};

}  // namespace

std::span<const RealGuest> devices() { return kDevices; }

}  // namespace kvmtape::testing
