#include "tests/support/synthetic_trace.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "schema/base/byte_cursor.h"

namespace kvmtape::testing {
namespace {

constexpr size_t kUnion = 32;
constexpr size_t kRunBytes = kCoreWords * kWordBytes;
constexpr uint64_t kGuestNs = 5'000;

template <typename T>
void set(std::vector<uint8_t>& bytes, size_t at, T value) {
  store_le(&bytes.at(at), value);
  (void)bytes.at(at + sizeof value - 1);
}

void set_bytes(std::vector<uint8_t>& to, size_t at, const std::vector<uint8_t>& from) {
  std::ranges::copy(from, to.begin() + static_cast<ptrdiff_t>(at));
}

std::vector<uint64_t> words_of(std::vector<uint8_t> bytes) {
  bytes.resize((bytes.size() + kWordBytes - 1) / kWordBytes * kWordBytes);
  std::vector<uint64_t> words;
  for (size_t at = 0; at < bytes.size(); at += kWordBytes)
    words.push_back(load_le<uint64_t>(&bytes[at]));
  return words;
}

constexpr std::string_view kRegs[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                      "rsp", "rbp", "r8",  "r9",  "r10", "r11",
                                      "r12", "r13", "r14", "r15", "rip", "rflags"};
constexpr std::string_view kSegments[] = {"cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"};
struct Place {
  std::string_view name;
  size_t at;
  size_t bytes;
};
constexpr Place kOfSegment[] = {{"base", 0, 8},  {"limit", 8, 4},    {"selector", 12, 2},
                                {"type", 14, 1}, {"present", 15, 1}, {"dpl", 16, 1},
                                {"db", 17, 1},   {"s", 18, 1},       {"l", 19, 1},
                                {"g", 20, 1},    {"avl", 21, 1},     {"unusable", 22, 1}};
constexpr Place kOfSregs[] = {{"gdt.base", 192, 8},  {"gdt.limit", 200, 2}, {"idt.base", 208, 8},
                              {"idt.limit", 216, 2}, {"cr0", 224, 8},       {"cr2", 232, 8},
                              {"cr3", 240, 8},       {"cr4", 248, 8},       {"cr8", 256, 8},
                              {"efer", 264, 8},      {"apic_base", 272, 8}};

void store(std::vector<uint8_t>& bytes, size_t at, size_t count, uint64_t value) {
  for (size_t i = 0; i < count; ++i) bytes.at(at + i) = static_cast<uint8_t>(value >> (8 * i));
}

bool store_sreg(std::vector<uint8_t>& bytes, std::string_view name, uint64_t value) {
  for (const Place& place : kOfSregs)
    if (place.name == name) return store(bytes, place.at, place.bytes, value), true;
  const size_t point = name.find('.');
  for (size_t i = 0; i < std::size(kSegments) && point != std::string_view::npos; ++i) {
    if (name.substr(0, point) != kSegments[i]) continue;
    for (const Place& place : kOfSegment)
      if (place.name == name.substr(point + 1))
        return store(bytes, 24 * i + place.at, place.bytes, value), true;
  }
  return false;
}

}  // namespace

std::vector<uint8_t> kvm_regs_bytes(const NamedRegisters& values) {
  std::vector<uint8_t> bytes(sizeof(uint64_t) * std::size(kRegs));
  for (const auto& [name, value] : values)
    for (size_t i = 0; i < std::size(kRegs); ++i)
      if (kRegs[i] == name) store(bytes, 8 * i, 8, value);
  return bytes;
}

std::vector<uint8_t> kvm_sregs_bytes(const NamedRegisters& values) {
  std::vector<uint8_t> bytes(312);
  for (const auto& [name, value] : values) {
    const bool known = store_sreg(bytes, name, value) || std::ranges::count(kRegs, name) != 0;
    EXPECT_TRUE(known) << name;
  }
  return bytes;
}

NamedRegisters long_mode(uint64_t rip) {
  return {{"rip", rip},
          {"rsp", 0xffffc90000013f00},
          {"rflags", 0x246},
          {"cr0", 0x80050033},
          {"cr3", 0x2000},
          {"cr4", 0x6f0},
          {"efer", 0xd01},
          {"cs.selector", 0x10},
          {"cs.type", 11},
          {"cs.present", 1},
          {"cs.s", 1},
          {"cs.l", 1},
          {"cs.g", 1},
          {"cs.limit", 0xffffffff},
          {"ss.selector", 0x18},
          {"ss.type", 3},
          {"ss.present", 1},
          {"ss.s", 1},
          {"ss.g", 1},
          {"ss.limit", 0xffffffff},
          {"ds.unusable", 1},
          {"es.unusable", 1},
          {"fs.unusable", 1},
          {"gs.unusable", 1},
          {"ldt.unusable", 1},
          {"tr.type", 11},
          {"tr.present", 1},
          {"tr.limit", 0x206f},
          {"idt.base", 0xfffffe0000000000},
          {"idt.limit", 0xfff},
          {"gdt.base", 0xfffffe0000001000},
          {"gdt.limit", 0x7f}};
}

NamedRegisters real_mode(uint64_t rip) {
  return {{"rip", rip},    {"rsp", 0x7000},   {"rflags", 2},        {"cr0", 0x10},
          {"cs.type", 3},  {"cs.present", 1}, {"cs.s", 1},          {"cs.limit", 0xffff},
          {"tr.type", 11}, {"tr.present", 1}, {"idt.limit", 0x3ff}, {"gdt.limit", 0xffff}};
}

NamedRegisters with(NamedRegisters values, const NamedRegisters& changed) {
  for (const auto& change : changed) {
    auto found = std::ranges::find(values, change.first, &NamedRegisters::value_type::first);
    if (found == values.end())
      values.push_back(change);
    else
      found->second = change.second;
  }
  return values;
}

SyntheticTrace::SyntheticTrace() {
  kernel("6.12.0").fact("origin", "synthetic");
  trace_.edit_session().monitor_name = "synthetic";
  capability(215, 1);
}

SyntheticTrace& SyntheticTrace::intel() { return fact("vendor_id", "GenuineIntel"); }
SyntheticTrace& SyntheticTrace::amd() { return fact("vendor_id", "AuthenticAMD"); }
SyntheticTrace& SyntheticTrace::arm64(const std::string& release) {
  trace_.edit_session().architecture = Architecture::kAarch64;
  return kernel(release);
}
SyntheticTrace& SyntheticTrace::riscv() {
  trace_.edit_session().architecture = Architecture::kRiscv64;
  return *this;
}
SyntheticTrace& SyntheticTrace::kernel(const std::string& release) {
  trace_.edit_session().kernel_release = release;
  return *this;
}
SyntheticTrace& SyntheticTrace::fact(const std::string& name, const std::string& value) {
  trace_.edit_session().cpu_facts.emplace_back(name, value);
  return *this;
}
SyntheticTrace& SyntheticTrace::capability(uint32_t number, int32_t value) {
  trace_.edit_session().capabilities.push_back({number, value, false});
  return *this;
}

SyntheticTrace& SyntheticTrace::on(uint32_t vcpu) { return vcpu_ = vcpu, *this; }
SyntheticTrace& SyntheticTrace::wait_ns(uint64_t ns) { return now_ += ns, *this; }
SyntheticTrace& SyntheticTrace::answer_takes_ns(uint64_t ns) { return answer_ns_ = ns, *this; }
SyntheticTrace& SyntheticTrace::lost(uint64_t exits) {
  trace_.add_gap(vcpu_, exits, GapReason::kRingFull);
  return *this;
}

std::vector<uint8_t> SyntheticTrace::run_image(uint32_t reason, uint16_t flags) {
  std::vector<uint8_t> run(kRunBytes);
  set(run, 8, reason);
  run[13] = 1;  // if_flag
  set(run, 14, flags);
  return run;
}

void SyntheticTrace::put(TraceBuilder::GivenExit exit) {
  now_ += kGuestNs;
  exit.tsc = now_;
  if (exit.answered) {
    if (exit.answer_run.empty()) exit.answer_run = exit.run;
    if (exit.answer_data.empty()) exit.answer_data = exit.data;
    now_ += answer_ns_;
    exit.answer_tsc = now_;
  }
  answer_ns_ = 2'000;
  trace_.add_exit(vcpu_, exit);
}

void SyntheticTrace::put_unanswered(std::vector<uint8_t> run, int32_t ret) {
  TraceBuilder::GivenExit exit;
  exit.ret = ret;
  exit.run = std::move(run);
  exit.answered = false;
  put(std::move(exit));
}

SyntheticTrace& SyntheticTrace::out(uint16_t port, std::vector<uint8_t> data) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(2);
  exit.run[kUnion] = 1;
  exit.run[kUnion + 1] = static_cast<uint8_t>(data.size());
  set(exit.run, kUnion + 2, port);
  set<uint32_t>(exit.run, kUnion + 4, 1);
  set<uint64_t>(exit.run, kUnion + 8, 4096);
  exit.data = std::move(data);
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::console(std::string_view text, uint16_t port) {
  for (const char character : text) out(port, {static_cast<uint8_t>(character)});
  return *this;
}

SyntheticTrace& SyntheticTrace::in(uint16_t port, std::vector<uint8_t> answer,
                                   std::vector<uint8_t> left) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(2);
  exit.run[kUnion + 1] = static_cast<uint8_t>(answer.size());
  set(exit.run, kUnion + 2, port);
  set<uint32_t>(exit.run, kUnion + 4, 1);
  set<uint64_t>(exit.run, kUnion + 8, 4096);
  left.resize(answer.size());
  exit.data = std::move(left);
  exit.answer_data = std::move(answer);
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::mmio_write(uint64_t address, std::vector<uint8_t> data) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(6);
  set(exit.run, kUnion, address);
  set_bytes(exit.run, kUnion + 8, data);
  set(exit.run, kUnion + 16, static_cast<uint32_t>(data.size()));
  exit.run[kUnion + 20] = 1;
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::mmio_read(uint64_t address, std::vector<uint8_t> answer,
                                          std::vector<uint8_t> left) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(6);
  set(exit.run, kUnion, address);
  set(exit.run, kUnion + 16, static_cast<uint32_t>(answer.size()));
  set_bytes(exit.run, kUnion + 8, left);
  exit.answer_run = exit.run;
  set_bytes(exit.answer_run, kUnion + 8, answer);
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::rdmsr_refused(uint32_t index) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(29);
  set<uint32_t>(exit.run, kUnion + 8, 2);  // KVM_MSR_EXIT_REASON_UNKNOWN
  set(exit.run, kUnion + 12, index);
  exit.answer_run = exit.run;
  exit.answer_run[kUnion] = 1;
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::hlt(bool interrupts_on) {
  auto run = run_image(5);
  run[13] = interrupts_on ? 1 : 0;
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::exit(uint32_t reason) {
  put_unanswered(run_image(reason));
  return *this;
}
SyntheticTrace& SyntheticTrace::shutdown() { return exit(8); }

SyntheticTrace& SyntheticTrace::internal_error(uint32_t suberror,
                                               const std::vector<uint64_t>& data) {
  auto run = run_image(17);
  set(run, kUnion, suberror);
  set(run, kUnion + 4, static_cast<uint32_t>(data.size()));
  for (size_t i = 0; i < data.size(); ++i) set(run, kUnion + 8 + 8 * i, data[i]);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::emulation_failure(const std::vector<uint8_t>& instruction,
                                                  uint64_t exit_reason, uint64_t info1,
                                                  uint64_t info2) {
  if (instruction.empty()) return internal_error(1, {0, exit_reason, info1, info2, 0, 0});
  auto run = run_image(17);
  set<uint32_t>(run, kUnion, 1);
  set<uint32_t>(run, kUnion + 4, 8);
  set<uint64_t>(run, kUnion + 8, 1);  // KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES
  run[kUnion + 16] = static_cast<uint8_t>(instruction.size());
  std::fill_n(run.begin() + kUnion + 17, 15, uint8_t{0x90});
  set_bytes(run, kUnion + 17, instruction);
  set(run, kUnion + 32, exit_reason);
  set(run, kUnion + 40, info1);
  set(run, kUnion + 48, info2);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::fail_entry(uint64_t hardware_reason) {
  auto run = run_image(9);
  set(run, kUnion, hardware_reason);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::memory_fault(uint64_t flags, uint64_t gpa, uint64_t size,
                                             int error) {
  auto run = run_image(39);
  set(run, kUnion, flags);
  set(run, kUnion + 8, gpa);
  set(run, kUnion + 16, size);
  put_unanswered(std::move(run), -error);
  return *this;
}

SyntheticTrace& SyntheticTrace::failed(int error) {
  put_unanswered(run_image(0), -error);
  return *this;
}

SyntheticTrace& SyntheticTrace::interrupted() {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(10);
  exit.ret = -4;
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::system_event(uint32_t type, const std::vector<uint64_t>& data) {
  auto run = run_image(24);
  set(run, kUnion, type);
  set(run, kUnion + 4, static_cast<uint32_t>(data.size()));
  for (size_t i = 0; i < data.size(); ++i) set(run, kUnion + 8 + 8 * i, data[i]);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::nisv(uint64_t esr_iss, uint64_t ipa) {
  auto run = run_image(28);
  set(run, kUnion, esr_iss);
  set(run, kUnion + 8, ipa);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::sea(uint64_t esr, uint64_t gva, uint64_t gpa) {
  auto run = run_image(41);
  set<uint64_t>(run, kUnion, 1);
  set(run, kUnion + 8, esr);
  set(run, kUnion + 16, gva);
  set(run, kUnion + 24, gpa);
  put_unanswered(std::move(run));
  return *this;
}

SyntheticTrace& SyntheticTrace::debug_arm(uint32_t hsr, uint32_t hsr_high, uint16_t flags) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(4, flags);
  set(exit.run, kUnion, hsr);
  set(exit.run, kUnion + 4, hsr_high);
  put(std::move(exit));
  return *this;
}

SyntheticTrace& SyntheticTrace::debug_x86(uint32_t exception, uint64_t pc, uint64_t dr6,
                                          uint64_t dr7) {
  TraceBuilder::GivenExit exit;
  exit.run = run_image(4);
  set(exit.run, kUnion, exception);
  set(exit.run, kUnion + 8, pc);
  set(exit.run, kUnion + 16, dr6);
  set(exit.run, kUnion + 24, dr7);
  put(std::move(exit));
  return *this;
}

void SyntheticTrace::put_registers(RegisterSet set_, const std::vector<uint8_t>& bytes,
                                   RegisterStatus status, uint32_t error) {
  std::vector<uint8_t> payload(sizeof(RegistersRecord));
  set(payload, offsetof(RegistersRecord, set), static_cast<uint16_t>(set_));
  set(payload, offsetof(RegistersRecord, status), static_cast<uint16_t>(status));
  set(payload, offsetof(RegistersRecord, error), error);
  set(payload, offsetof(RegistersRecord, bytes), static_cast<uint32_t>(bytes.size()));
  payload.insert(payload.end(), bytes.begin(), bytes.end());
  trace_.add_record(vcpu_, RecordKind::kRegisters, 0, words_of(std::move(payload)));
}

SyntheticTrace& SyntheticTrace::regs(const NamedRegisters& values) {
  put_registers(RegisterSet::kRegs, kvm_regs_bytes(values), RegisterStatus::kTaken);
  put_registers(RegisterSet::kSregs, kvm_sregs_bytes(values), RegisterStatus::kTaken);
  return *this;
}
SyntheticTrace& SyntheticTrace::events(const std::vector<uint8_t>& kvm_vcpu_events) {
  put_registers(RegisterSet::kVcpuEvents, kvm_vcpu_events, RegisterStatus::kTaken);
  return *this;
}
SyntheticTrace& SyntheticTrace::one_regs(
    const std::vector<std::pair<uint64_t, uint64_t>>& ids_and_values) {
  std::vector<uint8_t> bytes(16 * ids_and_values.size());
  for (size_t i = 0; i < ids_and_values.size(); ++i) {
    set(bytes, 16 * i, ids_and_values[i].first);
    set(bytes, 16 * i + 8, ids_and_values[i].second);
  }
  put_registers(RegisterSet::kOneReg, bytes, RegisterStatus::kTaken);
  return *this;
}
SyntheticTrace& SyntheticTrace::one_regs_refused(const std::vector<uint64_t>& ids, uint32_t error) {
  std::vector<uint8_t> bytes(8 * ids.size());
  for (size_t i = 0; i < ids.size(); ++i) set(bytes, 8 * i, ids[i]);
  put_registers(RegisterSet::kOneReg, bytes, RegisterStatus::kRefused, error);
  return *this;
}
SyntheticTrace& SyntheticTrace::registers_not_taken() {
  put_registers(RegisterSet::kRegs, {}, RegisterStatus::kNotTaken);
  return *this;
}

SyntheticTrace& SyntheticTrace::memory_slice(MemorySliceOf of, uint64_t address,
                                             const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t> payload(sizeof(MemorySliceRecord));
  set(payload, offsetof(MemorySliceRecord, guest_virtual), address);
  set(payload, offsetof(MemorySliceRecord, of), static_cast<uint32_t>(of));
  set(payload, offsetof(MemorySliceRecord, bytes), static_cast<uint32_t>(bytes.size()));
  payload.insert(payload.end(), bytes.begin(), bytes.end());
  trace_.add_record(vcpu_, RecordKind::kMemorySlice, 0, words_of(std::move(payload)));
  return *this;
}

SyntheticTrace& SyntheticTrace::call(bool of_vcpu, uint32_t request, const std::vector<uint8_t>& in,
                                     uint32_t error) {
  std::vector<uint8_t> payload(sizeof(ControlCallRecord));
  const DescriptorKind descriptor = of_vcpu ? DescriptorKind::kVcpu : DescriptorKind::kVm;
  set(payload, offsetof(ControlCallRecord, descriptor), static_cast<uint32_t>(descriptor));
  set(payload, offsetof(ControlCallRecord, request), request);
  set(payload, offsetof(ControlCallRecord, vcpu_id), of_vcpu ? vcpu_ : ~uint32_t{0});
  set(payload, offsetof(ControlCallRecord, result), error == 0 ? 0 : ~uint32_t{0});
  set(payload, offsetof(ControlCallRecord, error), error);
  set(payload, offsetof(ControlCallRecord, in_bytes), static_cast<uint32_t>(in.size()));
  payload.insert(payload.end(), in.begin(), in.end());
  now_ += 100;
  trace_.advance_to(now_).add_record(kSessionStream, RecordKind::kControlCall, 0,
                                     words_of(std::move(payload)));
  return *this;
}

SyntheticTrace& SyntheticTrace::new_vm() { return call(false, 0xae01, {}); }
SyntheticTrace& SyntheticTrace::memory(uint64_t gpa, uint64_t bytes, uint32_t flags) {
  std::vector<uint8_t> region(32);
  set(region, 0, slots_++);
  set(region, 4, flags);
  set(region, 8, gpa);
  set(region, 16, bytes);
  return call(false, 0x4020ae46, region);
}
SyntheticTrace& SyntheticTrace::set_regs(const NamedRegisters& values) {
  call(true, 0x4138ae84, kvm_sregs_bytes(values));
  return call(true, 0x4090ae82, kvm_regs_bytes(values));
}
SyntheticTrace& SyntheticTrace::set_events(const std::vector<uint8_t>& kvm_vcpu_events) {
  std::vector<uint8_t> bytes = kvm_vcpu_events;
  bytes.resize(64);
  return call(true, 0x4040aea0, bytes);
}
SyntheticTrace& SyntheticTrace::guest_debug(uint32_t control) {
  std::vector<uint8_t> bytes(trace_.edit_session().architecture == Architecture::kAarch64 ? 520
                                                                                          : 72);
  set(bytes, 0, control);
  return call(true, bytes.size() == 520 ? 0x4208ae9b : 0x4048ae9b, bytes);
}

std::string SyntheticTrace::write_to(const std::string& path) {
  trace_.advance_to(now_).seal();
  return trace_.write_to(path);
}
std::string SyntheticTrace::write_unsealed_to(const std::string& path) {
  trace_.cut();
  return trace_.write_to(path);
}

}  // namespace kvmtape::testing
