#include "tests/support/fake_vcpu.h"

#include <cstring>

#include "schema/snapshot.h"

namespace kvmtape::testing {

std::span<const uint8_t> FakeVcpu::core() const {
  return {reinterpret_cast<const uint8_t*>(memory_.data()), kCoreWords * kWordBytes};
}

std::span<const uint8_t> FakeVcpu::core_and_sync() const {
  return {reinterpret_cast<const uint8_t*>(memory_.data()), (kCoreWords + kSyncWords) * kWordBytes};
}

std::span<const uint8_t> FakeVcpu::port_bytes(size_t count) const {
  return {reinterpret_cast<const uint8_t*>(memory_.data()) + kPortDataOffset, count};
}

void FakeVcpu::set_io(bool out, uint8_t size, uint16_t port, uint32_t count) {
  run().exit_reason = KVM_EXIT_IO;
  run().io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
  run().io.size = size;
  run().io.port = port;
  run().io.count = count;
  run().io.data_offset = kPortDataOffset;
}

void FakeVcpu::set_mmio(uint64_t address, uint32_t bytes, bool is_write) {
  run().exit_reason = KVM_EXIT_MMIO;
  run().mmio.phys_addr = address;
  run().mmio.len = bytes;
  run().mmio.is_write = is_write ? 1 : 0;
}

void FakeVcpu::set_numbered(uint64_t number) {
  set_mmio(0xfe000000, sizeof number, true);
  std::memcpy(run().mmio.data, &number, sizeof number);
}

uint64_t FakeVcpu::number_in(std::span<const uint8_t> recorded) {
  uint64_t number = 0;
  if (recorded.size() >= offsetof(kvm_run, mmio.data) + sizeof number)
    std::memcpy(&number, recorded.data() + offsetof(kvm_run, mmio.data), sizeof number);
  return number;
}

void FakeVcpu::scramble(std::mt19937_64& random, uint32_t words) {
  for (uint32_t i = 0; i < words; ++i) memory_[6 + random() % (kCoreWords - 6)] = random();
}

void FakeVcpu::scramble_sync(std::mt19937_64& random, uint32_t words) {
  for (uint32_t i = 0; i < words; ++i)
    memory_[kCoreWords + 2 + random() % (kSyncWords - 2)] = random();
}

}  // namespace kvmtape::testing
