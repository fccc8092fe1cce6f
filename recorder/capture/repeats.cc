// Runs of equal exits in a ring that coalesces: one record that is brought up to date in place.
// Each exit and each answer becomes visible by one store to its count, so that whoever reads the
// ring of a producer that was killed finds every exit once.
#include "recorder/capture/vcpu_capture.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// Words of a kRepeat record, header included.
constexpr size_t kTime = 1, kOf = 2, kCount = 3, kFirst = 4, kLast = 5, kLeast = 6, kGreatest = 7;
constexpr uint32_t kWords = kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes;

// The exits that are folded: each other one is worth a record of its own, with registers.
constexpr uint64_t kFolded = set_of_exits(kExitIo, kExitHlt, kExitMmio, kExitHypercall,
                                          kExitIrqWindowOpen, kExitX86Rdmsr, kExitX86Wrmsr);

uint64_t get(const uint64_t* word) {
  const uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);  // relaxed: this thread wrote it
  return kHostByteOrder == ByteOrder::kLittle ? value : byte_swapped(value);
}

// The words before it are seen by whoever sees the count.
void publish_count(uint64_t* record, uint64_t count) {
  if (kHostByteOrder != ByteOrder::kLittle) count = byte_swapped(count);
  // release: pairs with the acquire of `committed` and the reader's check of the block
  std::atomic_ref<uint64_t>(record[kCount]).store(count, std::memory_order_release);
}

}  // namespace

// The exit equals the one before it, which was answered with what it brought: true if it is now
// counted in the run's record.
bool VcpuCapture::repeat_exit(const Moment& moment, uint64_t tsc) noexcept {
  const auto reason = static_cast<uint32_t>(shadow_[kReasonWord]);
  if (!is_unchanged(moment) || !holds_exit(kFolded, reason) ||
      moment.data_bytes != exit_data_bytes_ || moment.data_bytes > kWordBytes ||
      registers_due_possible_ ||
      guest_debug_changed_.load(std::memory_order_relaxed))  // relaxed: a hint
    return false;
  if (repeat_ == nullptr) {
    // Room behind it for an answer that differs, and for the exit that ends the run.
    uint64_t* out = ring_.reserve(kWords + 2 * (moment_words_max_ + data_words(moment.data_bytes)));
    if (out == nullptr || ring_.fresh_block()) return false;
    store_ring_number(&out[0], record_word(RecordKind::kRepeat, 0, kWords, 0));
    store_ring_number(&out[kTime], tsc);
    store_ring_number(&out[kOf], ring_.next_seq() - 1);
    store_ring_number(&out[kCount], 1 | kRepeatUnanswered);
    store_ring_number(&out[kFirst], tsc);
    store_ring_number(&out[kLast], tsc);
    store_ring_number(&out[kLeast], 0);
    store_ring_number(&out[kGreatest], 0);
    ring_.count_exit();
    ring_.commit(kWords);
    repeat_ = out;
  } else {
    ring_.count_exit();
    store_ring_number(&repeat_[kLast], tsc);
    publish_count(repeat_, (get(&repeat_[kCount]) + 1) | kRepeatUnanswered);
  }
  repeat_tsc_ = tsc;
  repeat_unanswered_ = exit_open_ = true;
  exit_dropped_ = false;
  return true;
}

// True if the answer is like those before it. Otherwise it becomes a record of its own, behind the
// run's, which then says that its last exit is the one that is answered there.
bool VcpuCapture::repeat_answer(const Moment& moment, uint64_t tsc) noexcept {
  repeat_unanswered_ = false;
  if (!exit_may_repeat_ || !is_unchanged(moment)) return false;
  const uint64_t ticks = tsc - repeat_tsc_;
  const uint64_t count = get(&repeat_[kCount]) & ~kRepeatUnanswered;
  if (count == 1 || ticks < get(&repeat_[kLeast])) store_ring_number(&repeat_[kLeast], ticks);
  if (ticks > get(&repeat_[kGreatest])) store_ring_number(&repeat_[kGreatest], ticks);
  store_ring_number(&repeat_[kTime], tsc);
  publish_count(repeat_, count);
  exit_open_ = false;
  return true;
}

}  // namespace kvmtape
