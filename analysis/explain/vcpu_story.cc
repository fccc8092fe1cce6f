#include "analysis/explain/vcpu_story.h"

#include <algorithm>
#include <utility>

#include "schema/abi/exit_numbers.h"
#include "schema/abi/registry.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr size_t kEarlierCrashes = 8;

CrashKind kind_of_failure(const DecodedExit& decoded) {
  const int32_t error = errno_of(decoded.moment.ret);
  if (error == kErrorIntr || error == kErrorAgain) return CrashKind::kNone;
  const bool memory_fault =
      decoded.exit.reason == kExitMemoryFault && decoded.exit.reason_validity == Validity::kValid;
  return memory_fault ? CrashKind::kHandled : CrashKind::kFatal;
}

CrashKind kind_of_system_event(const Exit& exit) {
  switch (valid_field(exit, "system_event.type").value_or(0)) {
    case kEventWakeup:
    case kEventSuspend:
      return CrashKind::kNone;
    case kEventShutdown:
    case kEventReset:
      return CrashKind::kHandled;
    default:
      return CrashKind::kFatal;
  }
}

// Through the page itself: kvm_dirty_regs, behind kvm_valid_regs in struct kvm_run
// (include/uapi/linux/kvm.h, Linux 6.12).
bool sets_registers(const DecodeContext& context, const RawMoment& answer) {
  const size_t dirty_at = abi::sync_offset(context.architecture) + sizeof(uint64_t);
  return answer.kvm_run.size() >= dirty_at + sizeof(uint64_t) &&
         load<uint64_t>(answer.kvm_run.data() + dirty_at, context.byte_order) != 0;
}

}  // namespace

CrashKind crash_kind(const DecodedExit& decoded) {
  if (decoded.moment.ret < 0) return kind_of_failure(decoded);
  switch (decoded.exit.reason) {
    case kExitUnknown:
    case kExitException:
    case kExitShutdown:
    case kExitFailEntry:
    case kExitInternalError:
      return CrashKind::kFatal;
    case kExitSystemEvent:
      return kind_of_system_event(decoded.exit);
    case kExitArmNisv:
    case kExitArmSea:
    case kExitMemoryFault:
    case kExitNotify:
      return CrashKind::kHandled;
    default:
      return CrashKind::kNone;
  }
}

void VcpuStory::take_exit(const Item& item, const DecodedExit& decoded,
                          const DecodeContext& context,
                          const std::shared_ptr<const MemorySlots>& slots) {
  ++exits;
  const uint64_t key = fold_key(decoded);
  const bool same_crash = crash && last_was_crash_ && crash->exit.key == key;
  last_was_crash_ = crash_kind(decoded) != CrashKind::kNone;
  if (same_crash)
    ++crash->again;
  else if (last_was_crash_)
    note_crash(item, decoded, context, slots);
  else if (crash)
    ++crash->exits_behind;
  if (decoded.has_answer && sets_registers(context, decoded.answer_moment))
    registers_set_after = Place{item.vcpu_index, item.exit->seq};
  keep(item, key, contents_key(decoded), !last_was_crash_ || same_crash);
  newest.assign(item);
  last_seq_ = item.exit->seq;
  gap_lost_ = lost_at_end = 0;
}

void VcpuStory::note_crash(const Item& item, const DecodedExit& decoded,
                           const DecodeContext& context,
                           const std::shared_ptr<const MemorySlots>& slots) {
  const CrashKind kind = crash_kind(decoded);
  if (crash && kind < crash->kind && crash->exits_behind < kWentOnAfter) {
    ++crash->exits_behind;
    return;
  }
  if (crash && crash->exits_behind != 0) {
    if (earlier_crashes.size() == kEarlierCrashes) earlier_crashes.erase(earlier_crashes.begin());
    earlier_crashes.push_back(crash->exit.place);
  }
  CrashExit found;
  found.kind = kind;
  found.exit.assign(item);
  found.exit.key = fold_key(decoded);
  found.before = known;
  found.slots = slots;
  found.registers_set_after = registers_set_after;
  if (!last.empty()) {
    RawMoment moment;
    moment.kvm_run = last.back().recorded_exit().kvm_run;
    found.before_in_sync = Registers(context, moment, last.back().place);
  }
  crash = std::move(found);
}

void VcpuStory::keep(const Item& item, uint64_t key, uint64_t carried, bool may_fold) {
  const bool folds = gap_lost_ == 0 && may_fold;
  newest_alternates_ = false;
  if (folds && !last.empty() && last.back().key == key) return last.back().fold(item, carried);
  if (folds && last.size() > 1 && last[last.size() - 2].key == key &&
      last.back().lost_before == 0) {
    last[last.size() - 2].alternating = newest_alternates_ = true;
    return last[last.size() - 2].fold(item, carried);
  }
  KeptExit kept;
  if (last.size() == kWindow) {  // its buffers are used again
    kept = std::move(last.front());
    last.pop_front();
  }
  kept.assign(item);
  kept.key = key;
  kept.carried = kept.last_carried = carried;
  kept.lost_before = gap_lost_;
  kept.lost_why = gap_why_;
  last.push_back(std::move(kept));
}

void VcpuStory::take_repeat(const RepeatRecord& repeat, const RepeatedExits& repeated) {
  exits += repeat.count;
  if (crash && crash->exit.place.seq == repeat.of_seq)
    crash->again += repeat.count;
  else if (crash)
    crash->exits_behind += repeat.count;
  last_seq_ = repeated.last_seq;
  newest.guest_ns.reset();  // before the last of them
  for (KeptExit* kept : {&newest, &last[last.size() - (newest_alternates_ ? 2 : 1)]}) {
    kept->more += repeat.count;
    kept->last_seq = repeated.last_seq;
    kept->last_time_ns = repeated.last_ns;
  }
}

void VcpuStory::take_registers(const Item& item) {
  const auto record = registers_view(*item.side);
  if (!record) return;
  const Place place{item.vcpu_index, item.seq};
  const ByteOrder order = item.stream->byte_order;
  if (crash && crash->exit.place == place)
    crash->with.put(RegisterOrigin::kWithExit, place, *record, order);
  if (record->status == RegisterStatus::kTaken)
    known.put(RegisterOrigin::kWithExit, place, *record, order);
}

void VcpuStory::take_memory(const Item& item) {
  constexpr size_t kSlicesMax = 16;  // a recorder takes four
  if (crash && crash->exit.place == Place{item.vcpu_index, item.seq} &&
      crash->memory.size() < kSlicesMax)
    crash->memory.emplace_back(item);
}

void VcpuStory::take_gap(const Gap& gap) {
  lost += gap.lost;
  gap_lost_ += gap.lost;
  gap_why_ = gap.why;
  lost_at_end = gap_lost_;
  lost_at_end_why = gap.why;
}

std::optional<Place> VcpuStory::last_place() const {
  if (exits == 0) return std::nullopt;
  return Place{index, last_seq_};
}

}  // namespace kvmtape
