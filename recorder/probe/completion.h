// What KVM_RUN still reads of the exit that ended the one before: the monitor's answer to an access
// that KVM completes on its way in, and exit_reason where KVM looks there whether one is due. All
// else of exit_reason and of the union is output. For --poison; defined in arch/ARCH/completion.cc.
// Pure functions; no errors.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvmtape {

// Of struct kvm_run: [begin, end).
struct ByteRange {
  size_t begin;
  size_t end;
  bool operator==(const ByteRange&) const = default;
};

// The first `bytes` bytes of a member of `run`; all of it without.
template <typename T>
ByteRange range_of(const kvm_run& run, const T& member, size_t bytes = sizeof(T)) {
  const auto begin = static_cast<size_t>(reinterpret_cast<const uint8_t*>(&member) -
                                         reinterpret_cast<const uint8_t*>(&run));
  return {begin, begin + bytes};
}

// `run` as KVM_RUN left it and the monitor answered.
std::vector<ByteRange> bytes_read_to_complete(const kvm_run& run);

}  // namespace kvmtape
