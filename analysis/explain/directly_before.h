// What a vCPU did in the exit directly before the one that it died of. A rule shows it every exit,
// and says which are such deeds. A KVM_RUN that a signal ended (EINTR) is no exit of the guest's
// and does not stand between. Memory is bounded; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "analysis/explain/rule.h"
#include "analysis/explain/vcpu_story.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {

template <typename Deed>
class DirectlyBefore {
 public:
  struct Done {
    Deed deed;
    Place place;
    int64_t time_ns = 0;
    uint64_t missing = 0;  // exits behind it that were lost, or not selected
  };

  void see(const SeenExit& seen, std::optional<Deed> deed) {
    constexpr size_t kVcpusKept = 4096;
    if (vcpus_.size() >= kVcpusKept && !vcpus_.contains(seen.item.vcpu_index)) return;
    OfVcpu& vcpu = vcpus_[seen.item.vcpu_index];
    const uint64_t expected = std::exchange(vcpu.next_seq, seen.place().seq + 1);
    if (deed) {
      vcpu.pending = Done{*std::move(deed), seen.place(), seen.item.time_ns, 0};
      return;
    }
    if (!vcpu.pending) return;
    if (seen.first_seq > expected) vcpu.pending->missing += seen.first_seq - expected;
    if (errno_of(seen.decoded.moment.ret) == kErrorIntr) return;
    if (crash_kind(seen.decoded) == CrashKind::kFatal) {
      vcpu.done = std::move(vcpu.pending);
      vcpu.crash_seq = seen.first_seq;
    }
    vcpu.pending.reset();
  }

  // nullptr: something else stands there, or nothing.
  const Done* before_crash(const Case& all) const {
    if (all.crash == nullptr) return nullptr;
    const Place& crash = all.crash->exit.place;
    const auto found = vcpus_.find(crash.vcpu);
    if (found == vcpus_.end() || !found->second.done || found->second.crash_seq != crash.seq)
      return nullptr;
    return &*found->second.done;
  }

 private:
  struct OfVcpu {
    uint64_t next_seq = 0;
    std::optional<Done> pending;  // nothing but EINTR has come since
    std::optional<Done> done;     // before the last fatal exit that directly followed one
    uint64_t crash_seq = 0;       // of that exit
  };
  std::map<uint32_t, OfVcpu> vcpus_;
};

}  // namespace kvmtape
