// `kvmtape probe`: a battery of tiny guests on this machine's KVM, one for each exit that user
// space can provoke, recorded through the embedding API: the fingerprint of this kernel's KVM.
//
// run_probe() runs on the caller's thread (one guest starts threads of its own and joins them) and
// owns everything it makes: session, virtual machines, timers. While it runs it handles SIGRTMIN,
// with which it kicks a vCPU that does not come back; the former handler returns afterwards.
// What the kernel refuses is a finding, not an error. Errors are: no usable /dev/kvm (kRefused),
// an unknown guest (kUsage), a trace that cannot be written (kIo).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "recorder/kvmtape.h"
#include "schema/base/result.h"

namespace kvmtape {

// Making a guest's virtual machine alone takes 200 ms where KVM itself is emulated.
inline constexpr std::chrono::seconds kGuestTimeMax{1};

struct ProbeOptions {
  std::string path;               // trace to write; empty: a new file in the default directory
  bool force = false;             // overwrite it
  std::vector<std::string> only;  // names of guests; empty: all
  bool poison = false;  // fill kvm_run with 0xaa before each KVM_RUN: what the kernel wrote shows
  // A guest that takes longer is stopped, and differs; one that spins on this KVM takes all of it.
  std::chrono::seconds guest_time_max = kGuestTimeMax;
  std::string kvm_device = "/dev/kvm";
};

enum class GuestOutcome : uint8_t {
  kAsExpected,  // every exit was the one that the guest is there to provoke
  kRefused,     // the kernel does not offer it: a capability or an ioctl said no
  kDiffers,     // it ran and gave something else
};

struct GuestInfo {
  std::string name;
  std::string what;  // what it provokes, and the exit that should come of it
};

struct GuestReport {
  std::string name;
  std::string what;
  GuestOutcome outcome = GuestOutcome::kAsExpected;
  uint64_t exits = 0;  // returns of KVM_RUN
  std::string detail;  // why it was refused, what came instead; may be empty
};

struct ProbeReport {
  std::vector<GuestReport> guests;
  std::string path;  // of the trace
  kvmtape_totals totals = {};
  std::string not_sealed;  // why the trace has no end; empty: it is whole
};

Result<ProbeReport> run_probe(const ProbeOptions& options);

// In the order in which they run.
std::vector<GuestInfo> list_guests();

}  // namespace kvmtape
