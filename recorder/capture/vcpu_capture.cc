#include "recorder/capture/vcpu_capture.h"

#include <errno.h>
#include <sys/ioctl.h>

#include <bit>
#include <cstring>

#include "recorder/ring/clock.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// After which nothing of the guest follows, unless its monitor resets it: worth its registers.
constexpr uint64_t kCrashReasons =
    set_of_exits(kExitUnknown, kExitShutdown, kExitFailEntry, kExitInternalError, kExitSystemEvent,
                 kExitArmNisv, kExitMemoryFault);

constexpr size_t kValidRegsWord = 0;  // of the sync area

class OwnIoctls final : public VcpuIoctls {
 public:
  explicit OwnIoctls(int fd) noexcept : fd_(fd) {}
  int call(unsigned long request, void* argument) noexcept override {
    return ::ioctl(fd_, request, argument);
  }

 private:
  int fd_;
};

uint64_t load_relaxed(const uint64_t* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);  // relaxed: the kernel wrote it on this thread
}

template <typename Number>
uint64_t load_front(const uint8_t* from) {
  Number number;
  std::memcpy(&number, from, sizeof number);
  constexpr size_t kBitsLeft = 8 * (kWordBytes - sizeof number);
  return kHostByteOrder == ByteOrder::kLittle ? uint64_t{number} : uint64_t{number} << kBitsLeft;
}

// Bytes of the port-I/O page as whole words; the tail is zero. What one access brings is loaded as
// one number: bytes gathered in memory and loaded as a word stall the processor, 5 to 10 ns.
uint64_t load_tail(const uint8_t* from, size_t bytes) {
  switch (bytes) {
    case 1:
      return load_front<uint8_t>(from);
    case 2:
      return load_front<uint16_t>(from);
    case 4:
      return load_front<uint32_t>(from);
    default:
      break;
  }
  if (bytes >= kWordBytes) return load_front<uint64_t>(from);
  uint64_t word = 0;
  std::memcpy(&word, from, bytes);
  return word;
}

}  // namespace

VcpuCapture::VcpuCapture(RingHeader* ring, void* run, size_t run_bytes, int vcpu_fd,
                         const CaptureOptions& options) noexcept
    : run_(static_cast<const uint64_t*>(run)),
      changed_words_(changed_words_function()),
      run_bytes_(static_cast<uint32_t>(run_bytes)),
      has_sync_area_(run_bytes >= (kCoreWords + kSyncWords) * kWordBytes),
      options_(options),
      vcpu_fd_(vcpu_fd),
      moment_words_max_(moment_words_max(kCoreWords, false, 0)),
      registers_due_possible_(options.registers == RegisterPolicy::kEvery),
      registers_countdown_(options.registers_every),
      filtering_(!options.filter.all()) {
  if (ring != nullptr) ring_.bind(ring);
  coalesce_ = ring != nullptr && ring_.coalesces();
  unusual_ = ring == nullptr || coalesce_ || filtering_;
}

// io is {u8 direction, u8 size, u16 port, u32 count, u64 data_offset}; x86 alone has it.
inline uint32_t VcpuCapture::port_data_bytes() const noexcept {
  const uint64_t io = shadow_[4];
  const uint64_t offset = shadow_[5];
  const uint64_t bytes = (io >> 8 & 0xff) * (io >> 32);
  if (bytes > kDataBytesMax || offset > run_bytes_ || bytes > run_bytes_ - offset) return 0;
  return static_cast<uint32_t>(bytes);
}

inline void VcpuCapture::compare(Moment& moment) noexcept {
  moment.core_mask = changed_words_(run_, shadow_.data(), kCoreWords);
  if (keyframe_due_) [[unlikely]]
    moment.core_mask = core_mask_all(kCoreWords);
  moment.has_sync = false;
  moment.data_bytes = 0;
  const uint64_t* sync = run_ + kCoreWords;
  if (has_sync_area_ && (load_relaxed(sync) | load_relaxed(sync + 1)) != 0) [[unlikely]]
    compare_sync(moment);
}

void VcpuCapture::compare_sync(Moment& moment) noexcept {
  for (uint32_t i = 0; i < kSyncMasks; ++i) {
    const uint32_t begin = i * 64;
    const uint32_t count = kSyncWords - begin < 64 ? kSyncWords - begin : 64;
    uint64_t mask = changed_words_(run_ + kCoreWords + begin, &shadow_[kCoreWords + begin], count);
    if (sync_key_due_) mask = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    moment.sync_masks[i] = mask;
  }
  moment.has_sync = true;
  moment_words_max_ = moment_words_max(kCoreWords, true, 0);
}

void VcpuCapture::complete(Moment& moment) noexcept {
  moment.core_mask = core_mask_all(kCoreWords);
  sync_key_due_ = true;
  if (!moment.has_sync) return;
  moment.sync_masks.fill(~uint64_t{0});
  moment.sync_masks[kSyncMasks - 1] = (uint64_t{1} << (kSyncWords - 64 * (kSyncMasks - 1))) - 1;
}

inline void VcpuCapture::write(uint64_t* out, RecordKind kind, uint8_t flags, int32_t ret,
                               uint64_t tsc, const Moment& moment) noexcept {
  // How long it is shows when it is written: counting the bits of the mask beforehand would be a
  // library call on x86-64's base line.
  uint64_t* const begin = out;
  ++out;
  store_ring_number(out++, tsc);
  store_ring_number(out++, moment.core_mask | uint64_t{moment.data_bytes} << kDataBytesShift);
  for (uint64_t mask = moment.core_mask; mask != 0; mask &= mask - 1)
    store_ring_word(out++, shadow_[static_cast<size_t>(std::countr_zero(mask))]);
  if (moment.has_sync) [[unlikely]] {
    for (uint64_t mask : moment.sync_masks) store_ring_number(out++, mask);
    for (size_t i = 0; i < kSyncMasks; ++i)
      for (uint64_t mask = moment.sync_masks[i]; mask != 0; mask &= mask - 1)
        store_ring_word(out++,
                        shadow_[kCoreWords + i * 64 + static_cast<size_t>(std::countr_zero(mask))]);
    sync_key_due_ = false;
  }
  if ((flags & kRecordDataSame) == 0)
    for (uint32_t at = 0; at < moment.data_bytes; at += kWordBytes)
      store_ring_word(out++, load_tail(moment.data + at, moment.data_bytes - at));
  keyframe_due_ = false;
  const auto words = static_cast<uint32_t>(out - begin);
  store_ring_number(begin, record_word(kind, flags, words, ret));
  ring_.commit(words);
}

void VcpuCapture::exit(int ret, int error_number) noexcept {
  exit_at(read_clock(), ret, error_number);
}
void VcpuCapture::enter() noexcept { enter_at(read_clock()); }

void VcpuCapture::exit_at(uint64_t tsc, int ret, int error_number) noexcept {
  if (!ring_.bound()) [[unlikely]] {
    lost_without_ring_.fetch_add(1, std::memory_order_relaxed);  // relaxed: statistics
    return;
  }
  Moment moment;
  compare(moment);
  if (valid_regs_changed_) [[unlikely]] {
    auto* valid = const_cast<uint64_t*>(run_) + kCoreWords + kValidRegsWord;
    __atomic_store_n(valid, saved_valid_regs_, __ATOMIC_RELAXED);  // relaxed: read by KVM_RUN here
    valid_regs_changed_ = false;
  }
  const auto reason = static_cast<uint32_t>(shadow_[kReasonWord]);
  if (unusual_) [[unlikely]] {
    if (filtering_ && !passes_filter()) return leave_out();
    if (ring_.stopped()) return drop_stopped(tsc);
    if (left_out_) note_left_out(tsc);
  }
  if (reason == kExitIo && ret >= 0) {
    moment.data_bytes = port_data_bytes();
    // A number, not a pointer, while it may lie outside: data_bytes is 0 then.
    moment.data = reinterpret_cast<const uint8_t*>(reinterpret_cast<uintptr_t>(run_) + shadow_[5]);
    const uint64_t before = exit_data_word_;
    exit_data_word_ = moment.data_bytes == 0 ? 0 : load_tail(moment.data, moment.data_bytes);
    if (exit_data_word_ != before) exit_may_repeat_ = false;
  }
  if (exit_may_repeat_ && ret >= 0 && repeat_exit(moment, tsc)) [[unlikely]]
    return;
  exit_may_repeat_ = false;
  repeat_ = nullptr;
  exit_data_bytes_ = moment.data_bytes;
  uint8_t flags = moment.has_sync ? kRecordHasSync : 0;

  ring_.set_clock_for_gaps(tsc);
  // Room for two whole moments, which a block always holds (kBlockBytesMin).
  uint64_t* out = ring_.reserve(2 * (moment_words_max_ + data_words(moment.data_bytes)));
  if (out == nullptr) [[unlikely]] {
    ring_.drop();
    return pass_over_exit();
  }
  if (ring_.fresh_block()) [[unlikely]]
    complete(moment);
  if (moment.core_mask == core_mask_all(kCoreWords)) [[unlikely]]
    flags |= kRecordKeyframe;
  // Who fails without saying why has failed all the same.
  const int32_t recorded_ret = ret >= 0 ? 0 : error_number > 0 ? -error_number : -EIO;
  ring_.count_exit();
  write(out, RecordKind::kExit, flags, recorded_ret, tsc, moment);
  exit_open_ = true;
  exit_may_repeat_ = coalesce_ && ret >= 0 && !moment.has_sync;
  exit_dropped_ = false;

  const bool crash = holds_exit(kCrashReasons, reason);
  if (crash || reason == kExitDebug || registers_due_possible_ || ret < 0 ||
      guest_debug_changed_.load(std::memory_order_relaxed)) [[unlikely]]  // relaxed: a hint
    take_registers(tsc, reason, recorded_ret);
}

void VcpuCapture::enter_at(uint64_t tsc) noexcept {
  if (unusual_) [[unlikely]] {
    if (!ring_.bound()) return;
    if (ring_.stopped()) leave_unanswered();
  }
  if (!exit_dropped_) [[likely]]
    record_answer(tsc);
  exit_dropped_ = false;
  if (options_.registers == RegisterPolicy::kSync && has_sync_area_) [[unlikely]]
    ask_for_sync_registers();
}

void VcpuCapture::lost_before_ring(uint64_t time, uint64_t count) noexcept {
  if (!ring_.bound()) {
    lost_without_ring_.fetch_add(count, std::memory_order_relaxed);  // relaxed: statistics
    return;
  }
  ring_.set_clock_for_gaps(time);
  const GapReason why = ring_.stopped() ? GapReason::kStopped : GapReason::kRingFull;
  for (uint64_t i = 0; i < count; ++i) ring_.drop(why);
  exit_open_ = false;
  exit_dropped_ = count != 0;  // whose answer may still come
  keyframe_due_ = sync_key_due_ = true;
}

void VcpuCapture::record_answer(uint64_t tsc) noexcept {
  Moment moment;
  compare(moment);
  uint8_t flags = moment.has_sync ? kRecordHasSync : 0;
  if (exit_open_ && exit_data_bytes_ != 0) {
    moment.data_bytes = exit_data_bytes_;
    moment.data = reinterpret_cast<const uint8_t*>(run_) + shadow_[5];
    // String I/O is written again rather than compared: the exit's bytes were not kept.
    if (moment.data_bytes <= kWordBytes && port_data_bytes() == moment.data_bytes &&
        load_tail(moment.data, moment.data_bytes) == exit_data_word_)
      flags |= kRecordDataSame;
    if (port_data_bytes() != moment.data_bytes) moment.data_bytes = 0;  // the monitor changed io
  }
  if (exit_may_repeat_) [[unlikely]] {
    exit_may_repeat_ = exit_open_ && is_unchanged(moment) &&
                       (exit_data_bytes_ == 0 || (flags & kRecordDataSame) != 0);
    if (repeat_unanswered_ && repeat_answer(moment, tsc)) return;
  }
  ring_.set_clock_for_gaps(tsc);
  uint64_t* out = ring_.reserve(moment_words_max_ + data_words(moment.data_bytes));
  if (out == nullptr) [[unlikely]] {
    keyframe_due_ = sync_key_due_ = true;
    exit_open_ = false;
    return;
  }
  if (ring_.fresh_block()) [[unlikely]] {
    complete(moment);
    flags &= static_cast<uint8_t>(~kRecordDataSame);
  }
  if (moment.core_mask == core_mask_all(kCoreWords)) [[unlikely]]
    flags |= kRecordKeyframe;
  write(out, exit_open_ ? RecordKind::kAnswer : RecordKind::kEntry, flags, 0, tsc, moment);
  exit_open_ = false;
}

void VcpuCapture::ask_for_sync_registers() noexcept {
  auto* valid = const_cast<uint64_t*>(run_) + kCoreWords + kValidRegsWord;
  saved_valid_regs_ = load_relaxed(valid);
  // relaxed: KVM_RUN reads it on this thread
  __atomic_store_n(valid, saved_valid_regs_ | sync_register_bits(), __ATOMIC_RELAXED);
  valid_regs_changed_ = true;
}

void VcpuCapture::take_registers(uint64_t tsc, uint32_t reason, int32_t ret) noexcept {
  if (options_.registers == RegisterPolicy::kNever) return;
  const bool crash = ret == 0 ? holds_exit(kCrashReasons, reason) : ret != -EINTR && ret != -EAGAIN;
  bool debug = ret == 0 && reason == kExitDebug;
  // relaxed: a hint; the ioctl below reads the registers themselves
  if (guest_debug_changed_.exchange(false, std::memory_order_relaxed)) debug = true;
  if (registers_due_possible_ && --registers_countdown_ == 0) {
    registers_countdown_ = options_.registers_every;
    debug = true;
  }
  if (!crash && !debug) return;
  record_tsc_ = tsc;
  const int saved_errno = errno;
  // relaxed: what forbids them comes to this thread later than this flag
  if (!options_.allow_ioctls || ioctls_forbidden_.load(std::memory_order_relaxed))
    note_registers_not_taken(crash, *this);
  else
    take_registers_by(crash);
  errno = saved_errno;
}

void VcpuCapture::take_registers_by(bool crash) noexcept {
  OwnIoctls own(vcpu_fd_);
  VcpuIoctls& vcpu = others_ioctls_ == nullptr ? own : *others_ioctls_;
  if (!crash) return take_debug_registers(vcpu, *this);
  take_crash_registers(vcpu, *this);
  ++crashes_;
}

void VcpuCapture::put(RegisterSet set, RegisterStatus status, uint32_t error, const void* bytes,
                      uint32_t byte_count) noexcept {
  const uint32_t words = kRecordHeaderWords +
                         static_cast<uint32_t>(sizeof(RegistersRecord) / kWordBytes) +
                         data_words(byte_count);
  if (words > kRegisterWordsMax) return;
  // Room for the answer stays reserved behind it; without that the registers are left out.
  uint64_t* out = ring_.reserve(words + moment_words_max_ + data_words(exit_data_bytes_));
  if (out == nullptr) return;
  if (ring_.fresh_block()) keyframe_due_ = sync_key_due_ = true;
  store_ring_number(out++, record_word(RecordKind::kRegisters, 0, words, 0));
  store_ring_number(out++, record_tsc_);
  store_ring_number(out++, static_cast<uint64_t>(set) | static_cast<uint64_t>(status) << 16 |
                               uint64_t{error} << 32);
  store_ring_number(out++, byte_count);
  const auto* from = static_cast<const uint8_t*>(bytes);
  for (uint32_t at = 0; at < byte_count; at += kWordBytes)
    store_ring_word(out++, load_tail(from + at, byte_count - at));
  ring_.commit(words);
}

void VcpuCapture::finish(RingEnd end) noexcept {
  if (ring_.bound()) ring_.finish(end);
}

}  // namespace kvmtape
