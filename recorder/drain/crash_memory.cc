#include "recorder/drain/crash_memory.h"

#include <algorithm>
#include <cstring>

#include "recorder/drain/x86_paging.h"
#include "recorder/ring/ring_writer.h"
#include "schema/base/byte_cursor.h"
#include "schema/process_start.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

// A guest that goes on crashing says nothing new; this is far more than `explain` looks at.
constexpr uint32_t kCrashExitsMax = 256;
// Ten instructions or more to either side, and a few frames of the stack.
constexpr size_t kCodeBytes = 64, kStackBytes = 256, kBeforeBytes = 64;
constexpr uint64_t kPageBytes = 4096;  // x86
// Crash exits alone take general and system registers, in this order.
constexpr RegisterSet kLastOfCrash = RegisterSet::kSregs;

// What a guest has mapped from `linear` on, up to `bytes`.
std::vector<uint8_t> read_linear(const X86State& state, uint64_t linear, size_t bytes,
                                 GuestPhysicalReader& memory) {
  std::vector<uint8_t> found(bytes);
  size_t done = 0;
  while (done < bytes) {
    const uint64_t at = linear + done;
    const auto physical = x86_translate(state, at, memory);
    if (!physical) break;
    const size_t on_page = std::min<uint64_t>(kPageBytes - at % kPageBytes, bytes - done);
    const size_t got = memory.read(*physical, std::span(found).subspan(done, on_page));
    done += got;
    if (got < on_page) break;
  }
  found.resize(done);
  return found;
}

class SliceWriter {
 public:
  SliceWriter(const X86State& state, GuestPhysicalReader& memory, uint64_t time,
              std::vector<uint64_t>& out)
      : state_(state), memory_(memory), time_(time), out_(out) {}

  bool from(MemorySliceOf of, uint64_t linear, size_t bytes) {
    const std::vector<uint8_t> found = read_linear(state_, linear, bytes, memory_);
    const auto physical = x86_translate(state_, linear, memory_);
    if (found.empty() || !physical) return false;
    const MemorySliceRecord slice{*physical, linear, static_cast<uint32_t>(of),
                                  static_cast<uint32_t>(found.size())};
    const uint32_t words =
        kRecordHeaderWords + uint32_t{sizeof slice / kWordBytes} + data_words(slice.bytes);
    const size_t at = out_.size();
    out_.resize(at + words);
    store_ring_number(&out_[at],
                      record_word(RecordKind::kMemorySlice, state_.code_bits(), words, 0));
    store_ring_number(&out_[at + 1], time_);
    std::memcpy(&out_[at + 2], &slice, sizeof slice);
    std::memcpy(&out_[at + 2 + sizeof slice / kWordBytes], found.data(), found.size());
    return true;
  }
  // Up to `linear`; where that would begin on a page that is not there, on the same page.
  void before(MemorySliceOf of, uint64_t linear, size_t bytes) {
    if (read_linear(state_, linear - bytes, bytes, memory_).size() == bytes) {
      from(of, linear - bytes, bytes);
    } else if (const uint64_t on_page = linear % kPageBytes; on_page != 0 && on_page < bytes) {
      from(of, linear - on_page, on_page);
    }
  }

 private:
  const X86State& state_;
  GuestPhysicalReader& memory_;
  uint64_t time_;
  std::vector<uint64_t>& out_;
};

}  // namespace

std::span<const uint64_t> take_record(std::span<const uint64_t>& records) {
  if (records.size() < kRecordHeaderWords) return {};
  const size_t length = load_le<uint64_t>(records.data()) & 0xffff;
  if (length < kRecordHeaderWords || length > records.size()) return {};
  const auto record = records.first(length);
  records = records.subspan(length);
  return record;
}

RecordKind kind_of_record(std::span<const uint64_t> record) {
  return static_cast<RecordKind>(load_le<uint64_t>(record.data()) >> 16 & 0xff);
}

std::span<const uint8_t> payload_of_record(std::span<const uint64_t> record) {
  const auto payload = record.subspan(kRecordHeaderWords);
  return {reinterpret_cast<const uint8_t*>(payload.data()), payload.size_bytes()};
}

uint64_t time_of_record(std::span<const uint64_t> record) { return load_le<uint64_t>(&record[1]); }

bool brings_last_registers(std::span<const uint64_t> record) {
  return kind_of_record(record) == RecordKind::kRegisters &&
         ByteCursor(payload_of_record(record)).read<uint16_t>() ==
             static_cast<uint16_t>(kLastOfCrash);
}

CrashMemory::CrashMemory(const RingHeader& ring, Architecture architecture)
    : pid_(static_cast<int>(ring.writer_pid)),
      start_time_(ring.writer_start_time),
      exits_left_(architecture == Architecture::kX86_64 ? kCrashExitsMax : 0) {}

bool CrashMemory::look(std::span<const uint64_t> record) {
  const RecordKind kind = kind_of_record(record);
  if (kind == RecordKind::kExit) {
    regs_.clear();
    sregs_.clear();
  }
  if (kind != RecordKind::kRegisters || exits_left_ == 0) return false;
  ByteCursor cursor(payload_of_record(record));
  const auto set = static_cast<RegisterSet>(cursor.read<uint16_t>());
  const auto status = static_cast<RegisterStatus>(cursor.read<uint16_t>());
  cursor.skip(sizeof(uint32_t));
  const auto bytes = cursor.read<uint32_t>();
  cursor.skip(sizeof(uint32_t));
  const auto registers = cursor.take(bytes);
  if (!cursor.ok() || status != RegisterStatus::kTaken) return false;
  if (set == RegisterSet::kRegs) regs_.assign(registers.begin(), registers.end());
  if (set != kLastOfCrash || regs_.empty()) return false;
  sregs_.assign(registers.begin(), registers.end());
  time_ = time_of_record(record);
  return true;
}

void CrashMemory::take(const GuestRegions& regions, std::vector<uint64_t>& out) {
  const auto state = x86_state(regs_, sregs_);
  // Its number may be somebody else's by now, or mean nothing outside its namespace.
  if (!state || process_start_time(pid_) != start_time_) return;
  --exits_left_;
  MonitorMemory memory(pid_, regions);
  SliceWriter slices(*state, memory, time_, out);
  const uint64_t rip = state->instruction_address(), rsp = state->stack_address();
  slices.before(MemorySliceOf::kBeforeInstruction, rip, kBeforeBytes);
  slices.from(MemorySliceOf::kInstruction, rip, kCodeBytes);
  const auto within = [](size_t wanted, uint64_t there) {
    return static_cast<size_t>(std::min<uint64_t>(wanted, there));
  };
  if (const size_t below = within(kBeforeBytes, state->stack_bytes_below()); below != 0)
    slices.before(MemorySliceOf::kBelowStack, rsp, below);
  slices.from(MemorySliceOf::kStack, rsp, within(kStackBytes, state->stack_bytes_above()));
}

}  // namespace kvmtape
