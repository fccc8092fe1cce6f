// Recordings that no machine here can make, exit by exit, in the words of the tests: what KVM hands
// over, what the monitor answers, injects and sets. Made through ChunkEncoder, as the drain does
// it. Each is marked "synthetic" in its trace. Times are nanoseconds; each exit takes some. One
// thread.
//
//   SyntheticTrace trace;
//   trace.intel().memory(0, 0x10000).in(0x3f8, {0xff}).shutdown().regs(0, {{"cr0", 0x31}});
//   EXPECT_THAT(causes(trace.write_to(path)), ElementsAre("triple-fault"));
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/trace_builder.h"

namespace kvmtape::testing {

using NamedRegisters = std::vector<std::pair<std::string_view, uint64_t>>;

class SyntheticTrace {
 public:
  SyntheticTrace();  // x86_64, Linux 6.12, an unknown vendor

  // Whose recording it is; first of all.
  SyntheticTrace& intel();
  SyntheticTrace& amd();
  SyntheticTrace& arm64(const std::string& kernel = "6.12.0");
  SyntheticTrace& riscv();
  SyntheticTrace& kernel(const std::string& release);
  SyntheticTrace& fact(const std::string& name, const std::string& value);
  SyntheticTrace& capability(uint32_t number, int32_t value);

  // What comes next is of this vCPU, or so much later.
  SyntheticTrace& on(uint32_t vcpu);
  SyntheticTrace& wait_ns(uint64_t ns);
  SyntheticTrace& answer_takes_ns(uint64_t ns);  // of the next exit only
  SyntheticTrace& lost(uint64_t exits);

  // Exits. `in` and `mmio_read` are answered with `answer`; `left` stood in the buffer before.
  SyntheticTrace& out(uint16_t port, std::vector<uint8_t> data);
  SyntheticTrace& console(std::string_view text, uint16_t port = 0x3f8);
  SyntheticTrace& in(uint16_t port, std::vector<uint8_t> answer, std::vector<uint8_t> left = {});
  SyntheticTrace& mmio_write(uint64_t address, std::vector<uint8_t> data);
  SyntheticTrace& mmio_read(uint64_t address, std::vector<uint8_t> answer,
                            std::vector<uint8_t> left = {});
  SyntheticTrace& rdmsr_refused(uint32_t index);  // answered with msr.error
  SyntheticTrace& hlt(bool interrupts_on);
  SyntheticTrace& shutdown();
  SyntheticTrace& internal_error(uint32_t suberror, const std::vector<uint64_t>& data);
  // Suberror 1: the instruction (none: not handed over), then exit_reason, info1, info2.
  SyntheticTrace& emulation_failure(const std::vector<uint8_t>& instruction, uint64_t exit_reason,
                                    uint64_t info1, uint64_t info2);
  SyntheticTrace& fail_entry(uint64_t hardware_reason);
  SyntheticTrace& memory_fault(uint64_t flags, uint64_t gpa, uint64_t size, int error);
  SyntheticTrace& failed(int error);  // KVM_RUN, without an exit
  SyntheticTrace& interrupted();      // by a signal
  SyntheticTrace& system_event(uint32_t type, const std::vector<uint64_t>& data = {});
  SyntheticTrace& nisv(uint64_t esr_iss, uint64_t ipa);
  SyntheticTrace& sea(uint64_t esr, uint64_t gva, uint64_t gpa);
  SyntheticTrace& debug_arm(uint32_t hsr, uint32_t hsr_high, uint16_t flags);
  SyntheticTrace& debug_x86(uint32_t exception, uint64_t pc, uint64_t dr6, uint64_t dr7);
  SyntheticTrace& exit(uint32_t reason);  // without payload

  // Registers that were taken with the last exit; what is not named is 0.
  SyntheticTrace& regs(const NamedRegisters& values);  // kvm_regs and kvm_sregs of x86
  SyntheticTrace& events(const std::vector<uint8_t>& kvm_vcpu_events);
  SyntheticTrace& one_regs(const std::vector<std::pair<uint64_t, uint64_t>>& ids_and_values);
  SyntheticTrace& one_regs_refused(const std::vector<uint64_t>& ids, uint32_t error);
  SyntheticTrace& registers_not_taken();
  SyntheticTrace& memory_slice(MemorySliceOf of, uint64_t address,
                               const std::vector<uint8_t>& bytes);

  // Calls that the monitor made.
  SyntheticTrace& new_vm();
  SyntheticTrace& memory(uint64_t gpa, uint64_t bytes, uint32_t flags = 0);
  SyntheticTrace& set_regs(const NamedRegisters& values);  // KVM_SET_REGS and KVM_SET_SREGS
  SyntheticTrace& set_events(const std::vector<uint8_t>& kvm_vcpu_events);
  SyntheticTrace& guest_debug(uint32_t control);
  SyntheticTrace& call(bool of_vcpu, uint32_t request, const std::vector<uint8_t>& in,
                       uint32_t error = 0);

  // Sealed, at the time that was waited for; or cut off, as a killed writer leaves it.
  std::string write_to(const std::string& path);
  std::string write_unsealed_to(const std::string& path);
  TraceBuilder& builder() { return trace_; }

 private:
  std::vector<uint8_t> run_image(uint32_t reason, uint16_t flags = 0);
  void put(TraceBuilder::GivenExit exit);
  void put_unanswered(std::vector<uint8_t> run, int32_t ret = 0);
  void put_registers(RegisterSet set, const std::vector<uint8_t>& bytes, RegisterStatus status,
                     uint32_t error = 0);

  TraceBuilder trace_;
  uint32_t vcpu_ = 0;
  uint32_t slots_ = 0;
  uint64_t now_ = 1'000'000;
  uint64_t answer_ns_ = 2'000;
};

// As the kernel lays them out.
std::vector<uint8_t> kvm_regs_bytes(const NamedRegisters& values);
std::vector<uint8_t> kvm_sregs_bytes(const NamedRegisters& values);
// A long-mode Linux guest's, with an IDT: nothing in them is wrong.
NamedRegisters long_mode(uint64_t rip);
NamedRegisters real_mode(uint64_t rip);
NamedRegisters with(NamedRegisters values, const NamedRegisters& changed);

}  // namespace kvmtape::testing
