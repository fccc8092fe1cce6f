// Guest memory at a vCPU's crash exits: looks at the records of its ring as they come, and when one
// brings the general and system registers of a crash exit, reads what stands around instruction and
// stack pointer out of the monitor. x86 alone so far. The monitor is not stopped for it: what it
// changes before the drain comes by is what is read, and one that has ended gives nothing. Only the
// first crash exits of a vCPU are looked at, so that a guest that goes on crashing costs nothing.
// One thread, the drain's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "recorder/drain/guest_memory.h"
#include "schema/ring_layout.h"
#include "schema/trace_format.h"

namespace kvmtape {

// The record at the front of `records`, which then begin behind it; empty: what is there is none.
std::span<const uint64_t> take_record(std::span<const uint64_t>& records);
RecordKind kind_of_record(std::span<const uint64_t> record);
uint64_t time_of_record(std::span<const uint64_t> record);
std::span<const uint8_t> payload_of_record(std::span<const uint64_t> record);
// Behind it stands the memory of a crash exit, if any was taken.
bool brings_last_registers(std::span<const uint64_t> record);

class CrashMemory {
 public:
  // The ring says whose memory it is.
  CrashMemory(const RingHeader& ring, Architecture architecture);

  // True: with this record the registers of a crash exit are complete, and take() is due.
  bool look(std::span<const uint64_t> record);
  // Appends memory slice records, as many as could be read.
  void take(const GuestRegions& regions, std::vector<uint64_t>& out);

 private:
  int pid_;
  uint64_t start_time_;
  uint32_t exits_left_;
  uint64_t time_ = 0;  // of the exit
  std::vector<uint8_t> regs_, sregs_;
};

}  // namespace kvmtape
