// Where a VM's memory lies in its monitor, as the control calls of the session ring tell, and how
// it is read from there: by process_vm_readv(2), so that a page that is gone, poisoned or not
// backed is an error and never a signal. What comes out of the session ring is not trusted: a
// region that does not hold together is passed over. One thread, the drain's.
//
// Left out: slots of another address space than 0 (system management mode) and slots with a
// guest_memfd, whose private pages no other process may have. A control call does not say which VM
// it was made on: with a second VM nothing is known any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

namespace kvmtape {

// Memory of a guest, by physical address.
class GuestPhysicalReader {
 public:
  virtual ~GuestPhysicalReader() = default;
  // Fills `bytes` from `address` on; how many were there.
  virtual size_t read(uint64_t address, std::span<uint8_t> bytes) = 0;
};

class GuestRegions {
 public:
  // The payload of a control call record (snapshot.h, ControlCallRecord and what follows it).
  void note_call(std::span<const uint8_t> payload);

  struct Place {
    uint64_t host;   // address in the monitor
    uint64_t bytes;  // that lie there in one piece
  };
  std::optional<Place> find(uint64_t guest_physical) const;

 private:
  struct Region {
    uint64_t guest_physical, bytes, host;
  };
  void set(std::span<const uint8_t> region, bool second_version);

  std::map<uint32_t, Region> slots_;
  uint32_t vms_ = 0;
};

// The monitor's process and what its regions say.
class MonitorMemory final : public GuestPhysicalReader {
 public:
  MonitorMemory(int pid, const GuestRegions& regions) : pid_(pid), regions_(regions) {}
  size_t read(uint64_t address, std::span<uint8_t> bytes) override;

 private:
  int pid_;
  const GuestRegions& regions_;
};

}  // namespace kvmtape
