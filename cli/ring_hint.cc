#include "cli/ring_hint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "schema/base/shell_word.h"
#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {
namespace {

namespace fs = std::filesystem;

// A flight recorder's snapshot does not lead to its rings; any other of the session's files does,
// or holds more than they.
bool is_trace_of(const fs::path& path, const RingHeader& session_ring) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(path, error))) return false;
  TraceReader::Options file_alone;
  file_alone.with_rings = false;
  const auto reader = TraceReader::open(path.string(), file_alone);
  if (!reader.ok() || (*reader)->session().uuid != session_ring.session) return false;
  return !(*reader)->health().sealed || (*reader)->session().trigger.empty();
}

}  // namespace

std::string ring_hint(const std::string& path) {
  std::error_code error;
  const bool is_directory = fs::is_directory(path, error);
  if (!is_directory && fs::path(path).extension() != ".ring") return {};
  const fs::path rings = is_directory ? fs::path(path) : fs::absolute(path, error).parent_path();
  const auto session =
      RingFile::open(rings / ring_file_name(kSessionStream), RingFile::Access::kCopy);
  if (!session.ok()) return {};
  const std::string what = is_directory ? "is a directory of rings" : "is a ring";
  const fs::path trace = fs::read_symlink(rings / kTraceLinkName, error);
  if (is_trace_of(trace, *session->header()))
    return fmt::format("{}, of {}: name that, and its rings are read with it", what,
                       trace.string());
  if (fs::is_regular_file(rings / kHeaderCopyName, error))
    return is_directory
               ? ""
               : fmt::format("{}; name the directory that it lies in, {}", what, rings.string());
  return fmt::format(
      "{}, of session {}: name its trace, and --ring-dir {}{}", what,
      to_string(session->header()->session), shell_path(rings.string()),
      trace.empty() ? "" : "; it was written to " + trace.string() + ", where it is no more");
}

std::string rings_of_missing(const std::string& trace) {
  std::error_code error;
  const fs::path folder = fs::path(trace).parent_path();
  if (fs::path(trace).filename() == kTraceLinkName &&
      fs::is_regular_file(folder / kHeaderCopyName, error))
    return folder.string();
  const fs::path wanted = fs::absolute(trace, error).lexically_normal();
  for (fs::directory_iterator entry(default_ring_directory(), error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    const fs::path target = fs::read_symlink(entry->path() / kTraceLinkName, ignored);
    if (target.lexically_normal() == wanted &&
        fs::is_regular_file(entry->path() / kHeaderCopyName, ignored))
      return entry->path().string();
  }
  return {};
}

std::string missing_trace_text(const std::string& rings) {
  std::error_code error;
  const std::string trace = fs::read_symlink(fs::path(rings) / kTraceLinkName, error);
  if (trace.empty()) return "rings alone";
  if (::access(trace.c_str(), R_OK) == 0)
    return fmt::format("rings alone: {} stands for itself, a snapshot or another recording", trace);
  if (errno == EACCES) return fmt::format("rings alone: {} is not yours to read", trace);
  return fmt::format(
      "rings alone, of {}, which is not there (if it was moved: name it, with --ring-dir)", trace);
}

std::optional<RunningRecording> running_recording(const TraceReader& reader) {
  const Session& session = reader.session();
  if (session.ring_directory.empty()) return std::nullopt;
  const fs::path rings = session.ring_directory;
  const auto ring = RingFile::open(rings / ring_file_name(kSessionStream), RingFile::Access::kCopy);
  if (!ring.ok() || ring->header()->session != session.uuid || !is_writer_alive(*ring))
    return std::nullopt;
  std::error_code error;
  const std::string what = reader.health().rings_alone ? "the rings"
                           : !reader.health().sealed   ? "a file"
                           : session.trigger.empty()   ? "a finished file"
                                                       : "a snapshot";
  return RunningRecording{what + " of a recording that still runs",
                          fs::read_symlink(rings / kTraceLinkName, error).string(),
                          session.monitor_pid};
}

}  // namespace kvmtape
