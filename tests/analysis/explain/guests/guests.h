// Small guests that die of one thing each (or of two that compete, or not at all), run on this
// machine's KVM by a monitor of few lines: real recordings with a known cause. One source for each
// kind of death; a guest is its code and the few lines that play it. What a verb returns lives as
// long as the program; one thread, but where a guest starts its own.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "recorder/kvmtape.h"
#include "recorder/probe/guest_code.h"
#include "recorder/probe/guests/x86_64/cpu.h"

namespace kvmtape::testing {

struct RealGuest {
  std::string_view name;
  // The rule that must come first. Several: where the hardware decides which, since nested paging,
  // VMX and SVM report one death in different ways. None: it is healthy.
  std::vector<std::string_view> first;
  std::string_view competing;  // the other plausible cause, which must be found behind it
  std::string_view says;       // part of what the first one's finding says
  void (*play)(Stage&);
  bool is_storm = false;  // asks for more exits a second than a busy machine gives
  kvmtape_registers registers = KVMTAPE_REGISTERS_DEBUG_EXITS;
  bool is_flight = false;  // a flight recorder's, whose ring holds only the last exits
};

std::span<const RealGuest> triple_faults();
std::span<const RealGuest> stray_jumps();
std::span<const RealGuest> devices();
std::span<const RealGuest> last_words();
std::span<const RealGuest> monitors_doings();
std::span<const RealGuest> healthy();

// The monitor.

inline constexpr uint8_t kUndefined = 6;  // the vector of #UD
// Behind the guest's code: where a handler has room.
inline constexpr uint64_t kHandlerAddress = kCodeAddress + kPageBytes;

// What a device answers to a read from this port or address.
using Device = std::function<uint64_t(uint64_t port_or_address)>;
uint64_t nothing_there(uint64_t);  // all ones, as a bus without a device

// KVM_RUN until the vCPU halts, dies or fails, or so many exits have come; writes go nowhere.
inline constexpr unsigned kRunExitsMax = 60'000;
void run(Vcpu& vcpu, const Device& device = nothing_there, unsigned exits_max = kRunExitsMax);
// The same by a monitor that leaves the buffer of a read as it was.
void run_without_answering(Vcpu& vcpu);

// A machine with this code, and one vCPU that is about to run it. The machine lives as long as the
// stage's guest: it is made on the script's stack.
struct OneVcpu {
  explicit OneVcpu(Stage& stage, GuestCode code, const MachineOptions& options = {})
      : machine(stage, options), vcpu(machine.add_vcpu()) {
    machine.load_code(code);
  }
  Machine machine;
  Vcpu& vcpu;
};

// What most guests are: such a machine that is run.
void run_code(Stage& stage, GuestCode code, const Device& device = nothing_there,
              unsigned exits_max = kRunExitsMax);
void run_without_idt(Stage& stage, GuestCode code, const Device& device = nothing_there);
// Run on behind its first halt, as one that is woken.
void run_and_wake_once(Stage& stage, GuestCode code);
// With a page that reads as zeros at 0x40000000.
void run_with_rom(Stage& stage, GuestCode code);

Vcpu& add_second_vcpu(Machine& machine);         // which knows itself by rdi, 1
void empty_idt(Vcpu& vcpu);                      // its limit is 0
void enter_protected_mode(Vcpu& vcpu);           // 32-bit, flat, without paging
void set_ip(Vcpu& vcpu, uint64_t rip);           // and leave the rest
void unmap(Machine& machine, uint64_t address);  // the 2 MiB page that holds it
// `address` and the 2 MiB around it are this physical memory, too.
void map(Machine& machine, uint64_t address, uint64_t physical);

}  // namespace kvmtape::testing
