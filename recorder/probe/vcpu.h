// One vCPU and its run loop: KVM_RUN between the recorder's two calls, within the guest's bounds on
// exits and time. One thread at a time uses it. After a refusal its verbs do nothing and run() is
// a page of zeros, so that a script may go on reading it.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "recorder/kvmtape.h"
#include "recorder/probe/stage.h"
#include "schema/base/unique_fd.h"

namespace kvmtape {

class Machine;

class Vcpu {
 public:
  Vcpu(Stage& stage, int vm_fd, unsigned id);
  ~Vcpu();
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  Stage& stage() { return stage_; }
  unsigned id() const { return id_; }
  int fd() const { return fd_.get(); }
  kvm_run& run() { return *run_; }
  // The mapping of the vCPU beyond kvm_run: port-I/O data, the coalesced ring.
  uint8_t* page(size_t index);

  template <typename T>
  bool call(unsigned long request, const char* name, T* payload) {
    return call_bytes(request, name, payload, sizeof *payload);
  }
  // For a payload that goes on behind its struct (kvm_cpuid2).
  bool call_bytes(unsigned long request, const char* name, void* payload, size_t bytes);
  bool call_value(unsigned long request, const char* name, uint64_t value);
  void enable_cap(unsigned capability, const char* name, uint64_t argument = 0);

  // KVM_RUN once; false, and the guest ends as differs, unless it returned this exit.
  bool expect(uint32_t exit_reason);
  // KVM_RUN once; false unless it failed with this errno.
  bool expect_error(int error_number);
  // KVM_RUN once, whatever comes of it: its return value, with the errno in last_error().
  int run_once();
  int last_error() const { return last_error_; }
  // "KVM_EXIT_MMIO" or "EINTR from KVM_RUN", with what matters of the payload.
  std::string describe_last() const;

 private:
  void poison();

  Stage& stage_;
  const unsigned id_;
  UniqueFd fd_;
  kvm_run* run_;
  size_t run_bytes_ = 0;
  kvmtape_vcpu* tape_ = nullptr;
  int last_ret_ = 0;
  int last_error_ = 0;
  bool ran_ = false;
};

}  // namespace kvmtape
