// The session header and the other small messages of a trace (trace.capnp), as plain structs and
// back. kj::Exception ends here and in chunk_message.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/base/byte_cursor.h"
#include "schema/base/result.h"
#include "schema/chunk_codec.h"
#include "schema/trace_format.h"

namespace kvmtape {

struct SessionVcpu {
  uint32_t index = 0;
  uint32_t id = 0;
  uint32_t run_bytes = 0;
  bool operator==(const SessionVcpu&) const = default;
};

struct SessionCapability {
  uint32_t number = 0;
  int32_t value = 0;
  bool system_wide = false;
  bool operator==(const SessionCapability&) const = default;
};

// Why exits may have stood behind the last one that is there.
enum class OpenEnd : uint8_t {
  kNone,           // it was the last
  kTorn,           // the writer died inside a chunk
  kUnsealed,       // nobody closed the recording
  kStillRecorded,  // of a living recording only: a copy of it is one that nobody closed
};

// trace.capnp Session says what each member means.
struct Session {
  Uuid uuid{};  // from the chunk's header
  Architecture architecture = Architecture::kUnknown;
  ByteOrder byte_order = ByteOrder::kLittle;
  std::string kernel_release;
  std::string kernel_version;
  uint32_t page_bytes = 0;
  std::vector<SessionVcpu> vcpus;
  std::vector<SessionCapability> capabilities;
  std::vector<std::pair<std::string, std::string>> cpu_facts;
  std::string clock_name;
  uint64_t ticks_per_second = 0;
  ClockReading start;
  ClockReading now;
  std::string monitor_name;
  uint32_t monitor_pid = 0;
  std::string monitor_command;
  std::string recorder;
  std::string host_name;
  std::string ring_directory;
  std::string register_policy;
  std::string ring_full;
  std::vector<std::string> left_out;
  std::string redaction;
  std::string trigger;
  std::string abi_variant;
  std::string distribution;
  std::vector<std::string> history;
  OpenEnd copied_end = OpenEnd::kNone;
};

// What left_out may name: KVM_RUN's return values (a recording made of bare pages has none).
inline constexpr std::string_view kLeftOutRet = "ret";
// clock_name where nothing says when: every time is 0 and means nothing.
inline constexpr std::string_view kNoClock = "none";

void encode_session(const Session& session, std::vector<uint8_t>& chunk_out);
Result<Session> decode_session(std::span<const uint8_t> chunk);

struct Cut {
  uint64_t number = 0;
  ClockReading clock;
};
void encode_cut(const Cut& cut, const Uuid& session, std::vector<uint8_t>& chunk_out);
Result<Cut> decode_cut(std::span<const uint8_t> chunk);

struct IndexEntry {
  uint64_t offset = 0;
  ChunkType type = ChunkType::kExits;
  uint32_t vcpu_index = 0;
  uint32_t exits = 0;
  uint64_t first_seq = 0;
  uint64_t end_seq = 0;
  uint64_t first_tsc = 0;
  uint64_t last_tsc = 0;
  uint64_t cut = 0;
  uint64_t lost = 0;
  std::vector<std::pair<uint32_t, uint32_t>> reasons;  // (exit reason, how often)

  // Exits in it, those included that were folded into repeats.
  uint64_t recorded() const { return end_seq - first_seq - lost; }
};
// What an index says of the chunk at `offset` that stands in its header: all but lost and reasons.
IndexEntry index_entry_of(uint64_t offset, const ChunkHeader& header);

// One of possibly several: an index chunk holds at most kIndexEntriesMax entries, so that neither
// writer nor reader needs memory in proportion to the trace.
struct TraceIndex {
  std::vector<IndexEntry> entries;  // in file order, since the index before
  uint64_t exits = 0;               // in the whole file up to here
  uint64_t lost = 0;
  uint64_t previous_offset = 0;  // of the index chunk before this one; 0: none
};
inline constexpr size_t kIndexEntriesMax = 4096;
void encode_index(const TraceIndex& index, const Uuid& session, std::vector<uint8_t>& chunk_out);
Result<TraceIndex> decode_index(std::span<const uint8_t> chunk);

// The fixed frame of a file.
FileHeader make_file_header(const Uuid& session);
Result<FileHeader> check_file_header(std::span<const uint8_t> file);
FileTrailer make_file_trailer(uint64_t index_offset);
// The trailer at the end of `file`; an error if there is none (kTruncated) or it is damaged.
Result<FileTrailer> check_file_trailer(std::span<const uint8_t> file);

}  // namespace kvmtape
