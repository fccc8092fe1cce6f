// What a walk keeps of one vCPU: its last exits, the exit that it died of, and what is known of its
// registers then and before. Memory is bounded whatever the recording's length. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/explain/kept_exit.h"
#include "analysis/explain/registers.h"
#include "analysis/memory_slice.h"
#include "analysis/memory_slots.h"
#include "analysis/repeated_exits.h"

namespace kvmtape {

// How much an exit says that a guest cannot go on.
enum class CrashKind : uint8_t {
  kNone,
  kHandled,  // the monitor may do something about it and go on: NISV, MEMORY_FAULT, a reset
  kFatal,
};
CrashKind crash_kind(const DecodedExit& decoded);
// A guest that goes on for so many exits did not die of the one before.
inline constexpr uint64_t kWentOnAfter = 16;

struct CrashExit {
  CrashKind kind = CrashKind::kNone;
  KeptExit exit;
  RegisterBytes with;                        // taken with it
  RegisterBytes before;                      // the newest of each set before it
  std::shared_ptr<const MemorySlots> slots;  // of its VM
  Registers before_in_sync;                  // kvm_run.s of the exit before it
  std::vector<MemorySlice> memory;           // taken with it
  std::optional<Place> registers_set_after;  // VcpuStory's, as it was then
  uint64_t again = 0;                        // the same exit at once again, this often
  uint64_t exits_behind = 0;                 // of this vCPU, other than those
};

class VcpuStory {
 public:
  uint32_t index = 0;
  uint32_t id = 0;
  uint32_t vm = 0;     // how many VMs the monitor had made when it first exited
  uint64_t exits = 0;  // folded ones included
  uint64_t lost = 0;
  uint64_t lost_at_end = 0;  // behind the last exit
  GapReason lost_at_end_why{};
  std::deque<KeptExit> last;  // oldest first, runs and alternations folded
  KeptExit newest;            // the last exit, as it was itself, and its repeats
  std::optional<CrashExit> crash;
  std::vector<Place> earlier_crashes;  // that it went on after; the last ones
  RegisterBytes known;                 // the newest of each set
  // The exit after which the monitor set its general or special registers, the last time.
  std::optional<Place> registers_set_after;

  void take_exit(const Item& item, const DecodedExit& decoded, const DecodeContext& context,
                 const std::shared_ptr<const MemorySlots>& slots);
  // Of the newest exit.
  void take_repeat(const RepeatRecord& repeat, const RepeatedExits& repeated);
  void take_registers(const Item& item);
  void take_memory(const Item& item);
  void take_gap(const Gap& gap);
  std::optional<Place> last_place() const;

 private:
  static constexpr size_t kWindow = 48;
  void note_crash(const Item& item, const DecodedExit& decoded, const DecodeContext& context,
                  const std::shared_ptr<const MemorySlots>& slots);
  void keep(const Item& item, uint64_t key, uint64_t carried, bool may_fold);

  uint64_t gap_lost_ = 0;  // since the last exit
  GapReason gap_why_{};
  uint64_t last_seq_ = 0;
  bool last_was_crash_ = false;
  bool newest_alternates_ = false;  // it was folded into the last but one, not into the last
};

}  // namespace kvmtape
