// The bytes that a vCPU thread leaves in its ring, and that travel into a trace: records.
//
// A record is a whole number of 8-byte words: a RecordHeader, then what its kind says. All integers
// that are ours are little-endian; the words of kvm_run are copies of memory, whatever byte order
// the recording kernel had. A reader skips a kind it does not know by `words`.
//
// kvm_run is seen as 8-byte words. The *core* is its header and exit union (36 words; 38 on s390,
// whose header is two words longer); the *sync area* is what follows: kvm_valid_regs,
// kvm_dirty_regs and s (258 words). An exit or answer record holds only the words that differ from
// the moment before, so its reader keeps an image. The first exit in a ring block and in a chunk is
// a keyframe: every core word is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace kvmtape {

inline constexpr size_t kWordBytes = 8;

// offsetof(struct kvm_run, kvm_valid_regs) / 8; include/uapi/linux/kvm.h, all versions since 3.4.
inline constexpr uint32_t kCoreWords = 36;
inline constexpr uint32_t kCoreWordsS390 = 38;
// kvm_valid_regs, kvm_dirty_regs and the 2048 bytes of s (SYNC_REGS_SIZE_BYTES).
inline constexpr uint32_t kSyncWords = 258;
inline constexpr uint32_t kSyncMasks = 5;  // one u64 of changed-word bits for each 64 sync words
inline constexpr uint32_t kRunWordsMax = kCoreWordsS390 + kSyncWords;
inline constexpr uint32_t kRunBytesMax = kRunWordsMax * kWordBytes;
// Word 1 of kvm_run: exit_reason, ready_for_interrupt_injection, if_flag, flags.
inline constexpr uint32_t kReasonWord = 1;
// Port I/O never exceeds the one page behind io.data_offset; on 64 KiB-page hosts KVM has no PIO.
inline constexpr uint32_t kDataBytesMax = 4096;

enum class RecordKind : uint8_t {
  kExit = 1,          // KVM_RUN returned
  kAnswer = 2,        // the monitor is about to call KVM_RUN again
  kEntry = 3,         // as kAnswer, but no exit of this recording precedes it (the first KVM_RUN)
  kGap = 4,           // exits that were produced and not kept
  kRepeat = 5,        // exits equal to the one before, folded
  kMark = 6,          // a text that the user put here
  kRegisters = 7,     // a register set of the vCPU, or why it was not taken
  kMemorySlice = 8,   // a few bytes of guest memory
  kClockPair = 9,     // the clocks read together
  kControlCall = 10,  // an ioctl other than KVM_RUN on a KVM descriptor
  kBlockStart = 64,   // never stored: what a ring's reader puts in front of a block's records
};

struct RecordHeader {
  uint16_t words;  // the whole record, this header included
  uint8_t kind;    // RecordKind
  uint8_t flags;   // kRecordHas...
  int32_t ret;     // kExit: 0 or the negated errno of KVM_RUN; kMark: bytes of text; else 0
  uint64_t tsc;    // x86: TSC; arm64: CNTVCT_EL0; imports: what the session's clock says
};

// Record flags, of kExit, kAnswer and kEntry.
inline constexpr uint8_t kRecordHasSync = 1 << 0;   // sync masks and words follow the core words
inline constexpr uint8_t kRecordDataSame = 1 << 1;  // kAnswer: the data bytes are those of the exit
inline constexpr uint8_t kRecordKeyframe = 1 << 2;  // every core word is present

// After the header of kExit, kAnswer and kEntry: one word, bits 0..47 the changed core words, bits
// 48..63 the number of data bytes; then the changed core words in rising order; then, with
// kRecordHasSync, kSyncMasks masks and the changed sync words; then, unless kRecordDataSame, the
// data bytes (those at io.data_offset), zero-padded to whole words.
inline constexpr uint32_t kDataBytesShift = 48;
inline constexpr uint64_t kCoreMask = (uint64_t{1} << kDataBytesShift) - 1;
constexpr uint64_t core_mask_all(uint32_t core_words) { return (uint64_t{1} << core_words) - 1; }

inline constexpr uint32_t kRecordHeaderWords = sizeof(RecordHeader) / kWordBytes;
constexpr uint32_t data_words(uint32_t data_bytes) {
  return static_cast<uint32_t>((data_bytes + kWordBytes - 1) / kWordBytes);
}
// The most that one exit, answer or entry can take.
constexpr uint32_t moment_words_max(uint32_t core_words, bool with_sync, uint32_t data_bytes) {
  return kRecordHeaderWords + 1 + core_words + (with_sync ? kSyncMasks + kSyncWords : 0) +
         data_words(data_bytes);
}

enum class GapReason : uint32_t {
  kRingFull = 1,     // the producer found no room (RingFull::kDrop)
  kOverwritten = 2,  // the producer overwrote what had not been read (RingFull::kOverwrite)
  kNoRing = 3,       // there was no shared memory for this vCPU's ring
  kWriteFailed = 4,  // the trace could not be written
  kFiltered = 5,     // a record-time filter left these out
  kDamaged = 6,      // found by a reader: a chunk or block could not be read
  kStopped = 7,      // recording was paused
  kNotInRings = 8,   // found by a reader of rings alone: had left them when the recorder died
};

// Exits first_seq .. first_seq + lost - 1 were produced and are not here.
struct GapRecord {
  uint64_t first_seq;
  uint64_t lost;
  uint64_t
      lost_total;  // of this vCPU up to and with this gap; what a reader checks its sum against
  uint32_t why;    // GapReason
  uint32_t reserved;
};

// `count` exits followed that were equal to exit `of_seq` in every recorded byte, as were answers.
//
// In a ring it is brought up to date in place while the run lasts (RingHeader::coalesce); `count`
// then has kRepeatUnanswered set while its last exit waits for an answer. Should that answer
// differ, it follows as a kAnswer record. The header's tsc is that of the last moment in the run.
struct RepeatRecord {
  uint64_t of_seq;
  uint64_t count;
  uint64_t first_tsc;          // of the first repeated exit
  uint64_t last_tsc;           // of the last
  uint64_t monitor_ticks_min;  // least and greatest time from exit to answer
  uint64_t monitor_ticks_max;
};

inline constexpr uint64_t kRepeatUnanswered = uint64_t{1} << 63;

// What the block's header said, for whoever turns records into chunks: a first_seq beyond the next
// expected one means that blocks were overwritten in between.
struct BlockStartRecord {
  uint64_t first_seq;
  uint64_t lost_before;
};

enum class RegisterSet : uint16_t {
  kDebugRegs = 1,   // struct kvm_debugregs (x86)
  kRegs = 2,        // struct kvm_regs
  kSregs = 3,       // struct kvm_sregs
  kVcpuEvents = 4,  // struct kvm_vcpu_events
  kOneReg = 5,      // pairs: u64 register id, u64 value (KVM_GET_ONE_REG); see below
  kGuestDebug = 6,  // struct kvm_guest_debug, as the monitor last set it
  kMpState = 7,     // struct kvm_mp_state
  kXcrs = 8,        // struct kvm_xcrs (x86)
  kMsrs = 9,        // pairs: u64 index, u64 value
};
enum class RegisterStatus : uint16_t {
  kTaken = 0,
  kRefused = 1,    // the kernel said no; `error` is the errno
  kNotTaken = 2,   // not asked: a seccomp filter may be active and would kill the monitor
  kTruncated = 3,  // more registers than the record could hold
  kRedacted = 4,   // removed from the recording afterwards, or not fit to be published
};
// A set of pairs may come in several records with one exit: one of status kTaken has values; in any
// other the bytes are the ids (u64 each) of the registers that have that status and no value. No
// bytes: all of them.
struct RegistersRecord {
  uint16_t set;     // RegisterSet
  uint16_t status;  // RegisterStatus
  uint32_t error;   // errno when refused
  uint32_t bytes;   // that follow, as the kernel wrote them
  uint32_t reserved;
};

// What stands at the instruction or stack pointer, from the pointer on or just before it. The
// record's flags are how many bits wide the guest's code is (x86: 16, 32 or 64), 0 if not known.
enum class MemorySliceOf : uint32_t {
  kInstruction = 1,
  kStack = 2,
  kBeforeInstruction = 3,
  kBelowStack = 4,
};
struct MemorySliceRecord {
  uint64_t guest_physical;  // of the first byte; the next page may lie elsewhere
  uint64_t guest_virtual;   // of the first byte, its segment's base included
  uint32_t of;              // MemorySliceOf
  uint32_t bytes;           // that follow
};

struct ClockPairRecord {
  uint64_t monotonic_ns;  // CLOCK_MONOTONIC when the header's tsc was read
  uint64_t realtime_ns;   // CLOCK_REALTIME
};

enum class DescriptorKind : uint32_t { kSystem = 1, kVm = 2, kVcpu = 3, kDevice = 4 };
struct ControlCallRecord {
  uint32_t descriptor;  // DescriptorKind
  uint32_t request;     // low 32 bits of the ioctl request
  uint64_t argument;    // third argument as passed (a value, or an address in the monitor)
  uint32_t vcpu_id;     // KVM's id for kVcpu; else ~0
  int32_t result;       // what ioctl returned
  uint32_t error;       // errno if result is -1
  uint32_t in_bytes;    // payload as it went in, follows
  uint32_t out_bytes;   // payload as it came out, follows that; each padded to whole words
  uint32_t reserved;
};

// Records are copied as bytes: padding would leak the monitor's memory and differ between runs.
static_assert(sizeof(RecordHeader) == 16);
static_assert(std::has_unique_object_representations_v<RecordHeader>);
static_assert(sizeof(GapRecord) == 32);
static_assert(std::has_unique_object_representations_v<GapRecord>);
static_assert(sizeof(RepeatRecord) == 48);
static_assert(std::has_unique_object_representations_v<RepeatRecord>);
static_assert(sizeof(RegistersRecord) == 16);
static_assert(std::has_unique_object_representations_v<RegistersRecord>);
static_assert(sizeof(BlockStartRecord) == 16);
static_assert(std::has_unique_object_representations_v<BlockStartRecord>);
static_assert(sizeof(MemorySliceRecord) == 24);
static_assert(std::has_unique_object_representations_v<MemorySliceRecord>);
static_assert(sizeof(ClockPairRecord) == 16);
static_assert(std::has_unique_object_representations_v<ClockPairRecord>);
static_assert(sizeof(ControlCallRecord) == 40);
static_assert(std::has_unique_object_representations_v<ControlCallRecord>);
static_assert(moment_words_max(kCoreWordsS390, true, kDataBytesMax) < UINT16_MAX);

}  // namespace kvmtape
