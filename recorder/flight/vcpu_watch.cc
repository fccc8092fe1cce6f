#include "recorder/flight/vcpu_watch.h"

#include <errno.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "schema/abi/exit_numbers.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr size_t kUnionWord = 4;

constexpr size_t kRepeatWords = kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes;

uint64_t number(uint64_t word) {
  return kHostByteOrder == ByteOrder::kLittle ? word : byte_swapped(word);
}
uint32_t first_half(uint64_t word) {
  uint32_t half;
  std::memcpy(&half, &word, sizeof half);
  return half;
}

}  // namespace

VcpuWatch::VcpuWatch(RingHeader* ring, const Triggers& triggers, uint64_t ticks_per_second,
                     CrashSlices& crashes)
    : reader_(ring),
      crashes_(crashes),
      triggers_(triggers),
      ticks_per_second_(ticks_per_second),
      vcpu_index_(ring->vcpu_index) {
  if (triggers_.same_count == 0) return;
  same_step_ = (triggers_.same_count - 1 + kSameTimes - 1) / kSameTimes;
  same_steps_ = (triggers_.same_count - 1 + same_step_ - 1) / same_step_;
}

uint64_t VcpuWatch::ticks(uint64_t ns) const {
  return static_cast<uint64_t>(static_cast<double>(ns) * 1e-9 *
                               static_cast<double>(ticks_per_second_));
}

void VcpuWatch::tell(std::string text, std::optional<uint64_t> unanswered) {
  if (!told_) told_ = Told{std::move(text), unanswered};
}

std::optional<Told> VcpuWatch::look(uint64_t now, const std::function<bool()>& has_ended) {
  told_.reset();
  if (repeat_at_) {
    std::array<uint64_t, kRepeatWords> record;
    if (reader_.reread(*repeat_at_, record))
      take_repeat(record);
    else
      repeat_at_.reset();
  }
  // A producer that never pauses must not keep the other vCPUs waiting.
  for (uint32_t i = 0; i < reader_.block_count(); ++i) {
    const RingBatch batch = reader_.poll();
    if (batch.words.empty()) break;
    if (batch.block_start) {
      next_seq_ = batch.first_seq;
      lost_ = batch.lost_before;
    }
    take(batch.words, batch.begin);
  }
  look_how_long(now, has_ended);
  return std::move(told_);
}

void VcpuWatch::look_how_long(uint64_t now, const std::function<bool()>& has_ended) {
  if (last_tsc_ == 0 || now < last_tsc_) return;
  const auto lasts = [&](uint64_t ns) { return ns != 0 && now - last_tsc_ > ticks(ns); };
  const bool slow = exit_open_ && asks_ && !slow_told_ && lasts(triggers_.slow_ns);
  const bool silent = !silent_told_ && lasts(triggers_.silent_ns);
  if (!slow && !silent) return;
  slow_told_ |= slow;
  silent_told_ |= silent;
  if (has_ended()) return;
  const std::string last = std::to_string(vcpu_index_) + ":" + std::to_string(next_seq_ - 1);
  if (slow) tell("slow: no answer yet to exit " + last, next_seq_ - 1);
  if (silent) tell("silent: nothing since exit " + last);
}

void VcpuWatch::take(std::span<const uint64_t> words, RingPosition at) {
  for (auto record = take_record(words); !record.empty(); record = take_record(words)) {
    const size_t length = record.size();
    const RecordKind kind = kind_of_record(record);
    crashes_.look(record);
    if (kind != RecordKind::kRegisters) repeat_at_.reset();
    switch (kind) {
      case RecordKind::kExit:
        take_exit(record);
        break;
      case RecordKind::kAnswer:
      case RecordKind::kEntry: {
        const uint64_t tsc = number(record[1]);
        if (exit_open_ && asks_ && triggers_.slow_ns != 0 && !slow_told_ &&
            tsc - last_tsc_ > ticks(triggers_.slow_ns))
          tell("slow: the answer to exit " + std::to_string(vcpu_index_) + ":" +
               std::to_string(next_seq_ - 1));
        note_moment(tsc);
        exit_open_ = false;
        if (length < kRecordHeaderWords + 1) break;
        size_t from = kRecordHeaderWords + 1;
        for (uint64_t mask = number(record[2]) & kCoreMask; mask != 0 && from < length;
             mask &= mask - 1)
          if (const auto word = static_cast<size_t>(std::countr_zero(mask)); word < kCoreWords)
            image_[word] = record[from++];
        break;
      }
      case RecordKind::kRepeat:
        if (length != kRepeatWords) break;
        repeat_at_ = at;
        repeat_count_ = 0;
        take_repeat(record);
        break;
      case RecordKind::kGap:
        if (length > 3) {
          next_seq_ += number(record[3]);
          lost_ += number(record[3]);
        }
        break;
      default:
        break;
    }
    at.bytes += length * kWordBytes;
  }
}

void VcpuWatch::forget_open(uint64_t now) {
  if (last_tsc_ != 0) last_tsc_ = std::max(last_tsc_, now);
  exit_open_ = slow_told_ = silent_told_ = false;
  same_exits_ = 0;
}

bool VcpuWatch::may_end_unanswered(uint64_t seq, uint64_t now) const {
  constexpr uint64_t kEndingNs = 3'000'000'000;
  return exit_open_ && next_seq_ == seq + 1 && now - std::min(now, last_tsc_) < ticks(kEndingNs);
}

bool VcpuWatch::settled(uint64_t now) const {
  // A few microseconds; more where the vCPU's thread has to wait for a processor.
  constexpr uint64_t kRegistersNs = 20'000'000;
  return !exit_open_ || !crash_open_ || now - std::min(now, last_tsc_) > ticks(kRegistersNs);
}

uint32_t VcpuWatch::reason() const { return first_half(image_[kReasonWord]); }

void VcpuWatch::take_exit(std::span<const uint64_t> record) {
  if (record.size() < kRecordHeaderWords + 1) return;
  size_t from = kRecordHeaderWords + 1;
  for (uint64_t mask = number(record[2]) & kCoreMask; mask != 0 && from < record.size();
       mask &= mask - 1)
    if (const auto word = static_cast<size_t>(std::countr_zero(mask)); word < kCoreWords)
      image_[word] = record[from++];
  const auto ret = static_cast<int32_t>(number(record[0]) >> 32);
  const uint64_t tsc = number(record[1]);
  const uint64_t seq = next_seq_++;
  note_moment(tsc);
  exit_open_ = true;
  crash_open_ = is_crash(ret);
  asks_ = ret != -EINTR && ret != -EAGAIN;
  if (triggers_.crash && crash_open_)
    tell("crash: exit " + std::to_string(vcpu_index_) + ":" + std::to_string(seq) +
         (ret < 0 ? ", errno " + std::to_string(-ret) : ", reason " + std::to_string(reason())));
  if (triggers_.same_count == 0 || ret < 0) return;
  // An MSR's number stands in the second word of the union, all other places in the first.
  const bool msr = reason() == kExitX86Rdmsr || reason() == kExitX86Wrmsr;
  const std::array<uint64_t, 2> place{image_[kUnionWord], msr ? image_[kUnionWord + 1] : 0};
  if (place != place_ || reason() != place_reason_ || same_exits_ == 0) {
    place_ = place;
    place_reason_ = reason();
    same_exits_ = 0;
    same_told_ = false;
    same_tsc_ = tsc;
  }
  count_same(1, tsc);
}

// Exits that equal the last one; the record may have been seen before, with a lesser count.
void VcpuWatch::take_repeat(std::span<const uint64_t> record) {
  const uint64_t raw = number(record[3]);
  const uint64_t count = raw & ~kRepeatUnanswered;
  if (count <= repeat_count_) {
    if ((raw & kRepeatUnanswered) == 0) exit_open_ = false;
    return;
  }
  const uint64_t fresh = count - repeat_count_;
  repeat_count_ = count;
  next_seq_ += fresh;
  const uint64_t last = number(record[5]);
  if (triggers_.slow_ns != 0 && number(record[7]) > ticks(triggers_.slow_ns))
    tell("slow: an answer before exit " + std::to_string(vcpu_index_) + ":" +
         std::to_string(next_seq_));
  note_moment(last);
  exit_open_ = (raw & kRepeatUnanswered) != 0;
  count_same(fresh, last);
}

void VcpuWatch::note_moment(uint64_t tsc) {
  last_tsc_ = tsc;
  slow_told_ = silent_told_ = false;
}

// `count` more exits at the place, the last of them at `until`; what lies between is taken for
// even.
void VcpuWatch::count_same(uint64_t count, uint64_t until) {
  if (triggers_.same_count == 0) return;
  const uint64_t begin = same_exits_, since = same_tsc_;
  const uint64_t span = until > since ? until - since : 0;
  same_exits_ += count;
  same_tsc_ = until;
  // Only the last few marks are ever asked for.
  uint64_t mark = begin == 0 ? 0 : (begin - 1) / same_step_ + 1;
  const uint64_t last = (same_exits_ - 1) / same_step_;
  if (last - std::min(last, mark) > 2 * kSameTimes) mark = last - 2 * kSameTimes;
  for (; mark <= last; ++mark) {
    const uint64_t exit = mark * same_step_ + 1 - begin;  // of the fresh ones, from 1
    const uint64_t when =
        since + static_cast<uint64_t>(static_cast<double>(span) * static_cast<double>(exit) /
                                      static_cast<double>(count));
    same_times_[mark % same_times_.size()] = when;
    if (mark < same_steps_ || same_told_) continue;
    const uint64_t before = same_times_[(mark - same_steps_) % same_times_.size()];
    if (when - before > ticks(triggers_.same_ns)) continue;
    same_told_ = true;
    tell("same: " + std::to_string(triggers_.same_count) + " exits of reason " +
         std::to_string(place_reason_) + " until " + std::to_string(vcpu_index_) + ":" +
         std::to_string(next_seq_ - 1));
  }
}

bool VcpuWatch::is_crash(int32_t ret) const {
  if (ret < 0) return ret != -EINTR && ret != -EAGAIN;
  switch (reason()) {
    case kExitUnknown:
    case kExitShutdown:
    case kExitFailEntry:
    case kExitInternalError:
    case kExitMemoryFault:
      return true;
    case kExitSystemEvent: {
      const uint32_t event = first_half(image_[kUnionWord]);
      return event == kEventCrash || event == kEventSevTerm || event == kEventTdxFatal;
    }
    default:
      return false;
  }
}

}  // namespace kvmtape
