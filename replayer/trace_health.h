// What was found wrong with a recording, as a document: TraceReader fills it while it opens, walks
// and verifies; the command line turns it into exit codes and warnings. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"
#include "schema/session_codec.h"

namespace kvmtape {

// What stands behind the footer of a file.
enum class BehindEnd : uint8_t {
  kNothing,
  kNoRecording,  // bytes in which none could be found
  kCopies,       // the same bytes once more, or more often
  kAnother,      // another recording, or another file of this one
};

// Decides between exit codes 0, 1, 2 and 3.
struct TraceHealth {
  bool sealed = false;          // a footer stands at the end
  bool writer_alive = false;    // its recorder still runs: the end is not the end
  bool footer_damaged = false;  // redundant: everything in it was found by scanning
  BehindEnd behind{};           // what is passed over behind its end
  uint64_t behind_at = 0;       // and where, and how much
  uint64_t behind_bytes = 0;
  bool head_lost = false;            // the file header or the first session chunk is damaged
  std::optional<uint64_t> torn_at;   // byte where the writer died inside a chunk
  OpenEnd copied_end{};              // of the recording that this one is a copy of
  uint64_t damaged_chunks = 0;       // found while scanning, walking and verifying
  uint64_t unsupported_chunks = 0;   // of these: whole, but only a newer kvmtape can read them
  uint64_t redundant_chunks = 0;     // damaged, but other chunks say what they said
  uint64_t damaged_bytes = 0;        // that belong to no readable chunk
  std::vector<Error> problems;       // one for each, in order of discovery, at most kProblemsMax
  uint64_t file_exits = 0;           // readable in the file
  uint64_t ring_exits = 0;           // readable in the rings only
  uint64_t ring_count = 0;           // rings that held any
  uint64_t lost = 0;                 // exits in gaps: dropped, overwritten, damaged
  std::string ring_directory;        // where rings of this recording are; empty: there are none
  bool rings_forbidden = false;      // this user may not look into it: ring_problems says so
  bool rings_alone = false;          // these were named, not a file: what left them is a gap
  uint64_t vcpus_without_ring = 0;   // of rings alone: had ended, their exits were in the file
  uint64_t ring_bytes = 0;           // of their files
  uint32_t ring_writer_pid = 0;      // a monitor that still writes rings which nobody empties
  std::vector<Error> ring_problems;  // of `problems`: rings that cannot be read, or not to the end

  static constexpr size_t kProblemsMax = 100;
  void note(Error problem) {
    if (problems.size() < kProblemsMax) problems.push_back(std::move(problem));
  }

  void note_ring(Error problem) {
    ring_problems.push_back(problem);
    note(std::move(problem));
  }

  // Why exits may have stood behind the last one that is here. kNone: it was the last, by the
  // footer or by rings that can be read to their end, which hold what the file had not taken yet. A
  // copy's end is that of the recording it was made of: that it was sealed then adds nothing to it.
  OpenEnd open_end() const {
    if (writer_alive || ring_writer_pid != 0) return OpenEnd::kStillRecorded;
    if (vcpus_without_ring != 0) return OpenEnd::kUnsealed;  // nobody knows how many they had
    if (!ring_directory.empty() && ring_problems.empty()) return OpenEnd::kNone;
    if (torn_at) return OpenEnd::kTorn;
    return sealed || footer_damaged ? copied_end : OpenEnd::kUnsealed;
  }

  // Whether every exit is here; if not, exits may be missing (exit code 3 of the command line).
  // A lost head is no loss of exits: session chunks are repeated along the file.
  bool complete() const {
    return sealed && !torn_at && copied_end == OpenEnd::kNone && damaged_chunks == 0 && lost == 0;
  }
};

}  // namespace kvmtape
