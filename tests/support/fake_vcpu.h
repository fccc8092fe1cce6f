// A vCPU without KVM: memory laid out as the kernel lays out kvm_run, and verbs that write into it
// what KVM or a monitor would. One thread at a time, as with a real one. Needs <linux/kvm.h>, so it
// serves tests of the recorder, not of the reader.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace kvmtape::testing {

using Bytes = std::vector<uint8_t>;
inline Bytes copy(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

class FakeVcpu {
 public:
  static constexpr size_t kRunBytes = 3 * 4096;    // what x86 answers to KVM_GET_VCPU_MMAP_SIZE
  static constexpr size_t kPortDataOffset = 4096;  // KVM_PIO_PAGE_OFFSET of x86
  static constexpr int kVcpuFd = -1;               // no ioctl on it succeeds

  FakeVcpu() : memory_(kRunBytes / sizeof(uint64_t)) {}

  void* mapping() { return memory_.data(); }
  size_t mapping_bytes() const { return kRunBytes; }
  kvm_run& run() { return *reinterpret_cast<kvm_run*>(memory_.data()); }
  uint64_t& word(size_t index) { return memory_[index]; }
  uint8_t* port_data() { return reinterpret_cast<uint8_t*>(memory_.data()) + kPortDataOffset; }

  // What an exit record must give back: header and union, or all of it with the sync area.
  std::span<const uint8_t> core() const;
  std::span<const uint8_t> core_and_sync() const;
  std::span<const uint8_t> port_bytes(size_t count) const;

  void set_reason(uint32_t reason) { run().exit_reason = reason; }
  void set_io(bool out, uint8_t size, uint16_t port, uint32_t count);
  void set_mmio(uint64_t address, uint32_t bytes, bool is_write);
  // An MMIO write whose eight data bytes are `number`, and the way back from recorded bytes.
  void set_numbered(uint64_t number);
  static uint64_t number_in(std::span<const uint8_t> recorded);

  // Changes a few words of header and union (never those that say where port I/O data lies).
  void scramble(std::mt19937_64& random, uint32_t words);
  void scramble_sync(std::mt19937_64& random, uint32_t words);

 private:
  std::vector<uint64_t> memory_;
};

}  // namespace kvmtape::testing
