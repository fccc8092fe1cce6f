// Everything that the rules look at when the walk is over, gathered in one pass in bounded memory.
// Rules that need to see every exit do so as it goes by (Rule::see). One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/control_call.h"
#include "analysis/explain/console_text.h"
#include "analysis/explain/registers.h"
#include "analysis/explain/vcpu_story.h"
#include "analysis/memory_slots.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// Something that the monitor put into a vCPU: an exception, an abort, an NMI, a machine check.
struct Injection {
  int64_t time_ns = 0;
  uint32_t vm = 0;  // VcpuStory::vm
  uint32_t vcpu_id = 0;
  std::optional<Place> after;  // the last exit of that vCPU before it
  std::string what;            // "exception #PF", "synchronous external abort"
  bool arm_external_abort = false;
  bool arm_serror = false;
  bool machine_check = false;
  bool refused = false;
};

struct Mark {
  int64_t time_ns = 0;
  std::string text;
};

struct Case {
  Case(const TraceReader& opened, const ExitDecoder& exit_decoder);

  const TraceReader& reader;
  const ExitDecoder& decoder;
  const DecodeContext& context;
  std::map<uint32_t, VcpuStory> vcpus;    // by index
  std::shared_ptr<MemorySlots> vm_slots;  // of the VM that was made last
  ConsoleText console;
  std::deque<Injection> injections;  // the last ones
  std::deque<Mark> marks;            // the last ones
  uint64_t exits = 0;
  uint64_t lost = 0;
  std::map<GapReason, uint64_t> lost_by;
  bool in_kernel_irqchip = false;
  bool has_calls = false;  // that the monitor made: what it set is known

  // The exit that the report is about, nullptr: nothing died; set by choose_crash().
  const CrashExit* crash = nullptr;
  DecodedExit decoded_crash;         // of it
  Registers at_crash;                // the guest's own when it happened; empty: not known
  std::string no_registers;          // why not
  Registers before_crash;            // the last known before
  MemorySlots slots;                 // of the crash's VM, or the last one
  std::vector<Place> other_crashes;  // earlier ones of its vCPU, and those of the others

  bool is_vmx() const { return context.x86_virtualization == X86Virtualization::kVmx; }
  bool is_svm() const { return context.x86_virtualization == X86Virtualization::kSvm; }
  // What cpuinfo or a module parameter said; nullptr: not recorded.
  const std::string* cpu_fact(std::string_view name) const;
  bool is_x86() const;
  bool is_arm64() const { return context.architecture == Architecture::kAarch64; }
  const VcpuStory* story_of(const Place& place) const;
  // No vCPU that ran was left out of the walk.
  bool has_every_vcpu() const;
  // Into the VM of the crash or, where nothing died, of a vCPU that was walked.
  bool concerns(const Injection& injection) const;
  // Shorthands for the crash: false without one.
  bool crashed_by(uint32_t reason) const;
  std::optional<uint64_t> crash_field(std::string_view name, int element = -1) const;
  std::string text_of(const KeptExit& exit) const { return text_of(exit.bytes); }
  std::string text_of(const OwnedExit& bytes) const;
  // Why more may be missing than is counted as lost: "its end is torn at byte 3104"; empty:
  // nothing.
  std::vector<std::string> uncounted_losses() const;

  // The exit that a vCPU's next one, this one, follows; nullptr: it was not walked.
  const KeptExit* exit_before(uint32_t vcpu, uint64_t seq) const;

  // With `decoded` an exit, or the exit that a repeat repeats, if that was walked.
  void take(const Item& item, const DecodedExit* decoded);
  void choose_crash();

 private:
  void take_call(const Item& item);
  void take_vcpu_call(const Item& item, const ControlCall& call);
  void take_events(const Item& item, const ControlCall& call);
  void inject(Injection injection);
  std::optional<uint32_t> last_index_of(uint32_t vcpu_id) const;
  VcpuStory& story(uint32_t index);

  uint32_t vm_ = 0;                             // that calls are for: the one that was made last
  std::map<uint32_t, RegisterBytes> set_next_;  // by vCPU id: set since, taken up by its next exit
  std::map<uint32_t, uint32_t> ran_last_;       // by vCPU id: the index that exited last
};

}  // namespace kvmtape
