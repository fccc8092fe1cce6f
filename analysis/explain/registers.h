// What a recording knows of a vCPU's registers at some moment, and whose word that is: taken with
// an exit, set by the monitor, read by it. By the kernel's names: "rip", "cs.base", "ELR_EL1". Only
// what may be believed gets a value. Owns its bytes. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/explain/finding.h"
#include "analysis/register_set.h"
#include "replayer/decode_context.h"
#include "replayer/raw_moment.h"
#include "schema/snapshot.h"

namespace kvmtape {

enum class RegisterOrigin : uint8_t {
  kWithExit,      // taken by the recorder when this exit came
  kSyncArea,      // kvm_run.s of this exit
  kSetByMonitor,  // the last that the monitor set after this exit
  kReadByMonitor  // what the monitor read after this exit
};

struct RegisterBytes {
  struct Part {
    RegisterOrigin origin = RegisterOrigin::kWithExit;
    std::optional<Place> exit;  // none: before the vCPU's first one
    RegisterSetContents contents;
  };
  std::map<RegisterSet, Part> parts;

  // Joined to what came of this set from there; of another moment it takes its place.
  void put(RegisterOrigin origin, std::optional<Place> exit, const RegistersView& record,
           ByteOrder order);
};

class Registers {
 public:
  Registers() = default;
  Registers(const DecodeContext& context, const RegisterBytes& bytes);
  // Those in kvm_run.s, where kvm_valid_regs says so.
  Registers(const DecodeContext& context, const RawMoment& moment, Place exit);

  bool empty() const { return values_.empty(); }
  std::optional<uint64_t> get(std::string_view name) const;
  uint64_t get_or(std::string_view name, uint64_t otherwise) const {
    return get(name).value_or(otherwise);
  }
  bool has(std::initializer_list<std::string_view> names) const;
  std::span<const std::pair<std::string, uint64_t>> all() const { return values_; }

  // "taken with 0:412", "set by the monitor after 0:17".
  std::string origin_text() const;
  RegisterOrigin origin() const { return origin_; }
  std::optional<Place> exit() const { return exit_; }
  // Why a set has no values: "refused", "not taken: a seccomp filter may be active".
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  void put(std::string_view name, uint64_t value);

  std::vector<std::pair<std::string, uint64_t>> values_;
  std::vector<std::string> missing_;
  RegisterOrigin origin_ = RegisterOrigin::kWithExit;
  std::optional<Place> exit_;
};

// x86: what KVM gives a vCPU on INIT and RESET (kvm_vcpu_reset in arch/x86/kvm/x86.c, Linux 6.12):
// SVM does so before KVM_EXIT_SHUTDOWN, so that these are not the guest's.
bool is_x86_reset_state(const Registers& registers);

}  // namespace kvmtape
