// The fixed parts of a trace file; FORMAT.md is the normative text. Everything here is
// little-endian and 8-aligned in the file; file_order.h copies the structs.
//
//   trace = FileHeader | chunk ... [ index chunk | FileTrailer ]
//   chunk = ChunkHeader | body (one Cap'n Proto message of trace.capnp, 8-aligned)
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "schema/ring_layout.h"

namespace kvmtape {

// The first byte is not ASCII and the last two catch newline conversion, as in PNG.
inline constexpr uint8_t kFileMagic[8] = {0x89, 'K', 'V', 'M', 'T', 'P', '\r', '\n'};
inline constexpr uint64_t kTrailerMagic = 0x646e65657061746b;  // "ktapeend"
inline constexpr uint32_t kChunkMagic = 0x6b6e6863;            // "chnk"

inline constexpr uint16_t kFormatMajor = 1;  // a reader refuses a greater one
inline constexpr uint16_t kFormatMinor = 0;  // a reader ignores what it does not know

enum class ChunkType : uint16_t {
  kSession = 1,  // trace.capnp Session
  kExits = 2,    // trace.capnp Exits: records of one vCPU, or of the session ring
  kCut = 3,      // trace.capnp Cut: every vCPU has been flushed up to here
  kIndex = 4,    // trace.capnp Index
};

struct FileHeader {
  uint8_t magic[8];
  uint16_t major;
  uint16_t minor;
  uint32_t header_bytes;  // where the first chunk begins
  Uuid session;
  uint32_t reserved[7];  // zero
  uint32_t crc32c;       // over this struct with this field zero
};

struct ChunkHeader {
  uint32_t magic;
  uint16_t type;          // ChunkType; an unknown one is skipped
  uint16_t header_bytes;  // where the body begins
  uint32_t body_bytes;    // multiple of 8
  uint32_t crc32c;        // over header with this field zero, and body
  Uuid session;           // chunks of another recording in the same file are not this trace's
  uint32_t vcpu_index;    // kExits: whose; kSessionStream for the session ring
  uint32_t exits;         // recorded in it
  uint64_t first_seq;     // sequence of the first thing in it (an exit or a gap)
  uint64_t end_seq;       // sequence after the last thing in it
  uint64_t first_tsc;     // of the first and last moment in it; 0 when there is none
  uint64_t last_tsc;
  uint64_t cut;         // the cut that this chunk stands before
  uint64_t ring_block;  // where the producer's ring had been read up to: block number and
  uint64_t ring_bytes;  // bytes in it; what follows there is not in any chunk before this one
};

struct FileTrailer {
  uint64_t magic;
  uint64_t index_offset;  // of the index chunk's header
  uint32_t reserved;
  uint32_t crc32c;  // over this struct with this field zero
};

static_assert(sizeof(FileHeader) == 64 && std::has_unique_object_representations_v<FileHeader>);
static_assert(sizeof(ChunkHeader) == 96 && std::has_unique_object_representations_v<ChunkHeader>);
static_assert(sizeof(FileTrailer) == 24 && std::has_unique_object_representations_v<FileTrailer>);

// Limits. A reader refuses what exceeds them, so that no input makes it allocate more.
inline constexpr uint32_t kChunkExitsMax = 32768;         // 4,096 costs 12 % more bytes an exit
inline constexpr uint32_t kChunkRawBytesMax = 16u << 20;  // all columns of a chunk, uncompressed
inline constexpr uint32_t kChunkBodyBytesMax = 32u << 20;
inline constexpr uint32_t kChunkMasksMax = 4096;     // distinct change masks in a chunk
inline constexpr uint32_t kVcpusMax = 4096;          // KVM_MAX_VCPUS of x86 since 6.6
inline constexpr uint32_t kVcpusWithRingMax = 3840;  // by `record`; of the rest exits are counted
// One session chunk in so many chunks, so that a trace with its head lost can still be read.
inline constexpr uint32_t kSessionRepeatChunks = 64;

enum class Architecture : uint16_t {
  kUnknown = 0,
  kX86_64 = 1,
  kI386 = 2,
  kAarch64 = 3,
  kRiscv64 = 4,
  kS390x = 5,
  kPpc64 = 6,
  kLoongarch64 = 7,
  kMips64 = 8,
};
constexpr uint32_t core_words_of(Architecture architecture) {
  return architecture == Architecture::kS390x ? kCoreWordsS390 : kCoreWords;
}

// Columns of an Exits chunk, each by what a reader wants it for. FORMAT.md section "Columns".
enum class ColumnId : uint16_t {
  kReason = 1,        // an exit: kvm_run.exit_reason as a number
  kFlags = 2,         // an exit: kvm_run.flags as a number
  kReady = 3,         // an exit: bytes 12 and 13 of kvm_run, the first in the low byte
  kRet = 4,           // an exit: the errno of KVM_RUN, 0 if it did not fail
  kGuestTicks = 5,    // an exit: its time minus that of the moment before, one column a byte: 5..8
  kMonitorTicks = 9,  // an answer: its time minus that of its exit, likewise: 9..12
  kTickEscapes = 13,  // u64s for those that do not fit 32 bits, in order of occurrence
  kExitMask = 14,     // an exit: index into kMasks
  kAnswerMask = 15,   // an exit: 0, or 1 + index into kMasks of its answer
  kMasks = 16,        // the distinct pairs of change mask word and record flags, 2 u64 each
  kExitWords = 17,    // changed core words of the exits, grouped by word; word 1 is never here
  kAnswerWords = 18,  // likewise of the answers, word 1 included
  kSync = 19,         // sync masks and changed sync words, exits and answers in order
  kData = 20,         // data bytes, exits and answers in order, unpadded
  kSide = 21,         // all other records: u64 position, then the record
};
// Instead of a difference: it stands in kTickEscapes, because it does not fit; or there was no
// moment before (the first exit, the exit after a gap), and the time itself stands there.
inline constexpr uint32_t kTickEscape = 0xffffffff;
inline constexpr uint32_t kTickAbsolute = 0xfffffffe;
inline constexpr uint32_t kTickPlanes = 4;

}  // namespace kvmtape
