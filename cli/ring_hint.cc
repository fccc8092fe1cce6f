#include "cli/ring_hint.h"

#include <fmt/format.h>

#include <filesystem>

#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {

std::string ring_hint(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const bool is_directory = fs::is_directory(path, error);
  if (!is_directory && fs::path(path).extension() != ".ring") return {};
  const fs::path rings = is_directory ? fs::path(path) : fs::absolute(path, error).parent_path();
  const auto session =
      RingFile::open(rings / ring_file_name(kSessionStream), RingFile::Access::kCopy);
  if (!session.ok()) return {};
  const std::string what = is_directory ? "is a directory of rings" : "is a ring";
  const fs::path trace = fs::read_symlink(rings / kTraceLinkName, error);
  if (fs::is_regular_file(fs::symlink_status(trace, error)))
    return fmt::format("{}, of {}: name that, and its rings are read with it", what,
                       trace.string());
  return fmt::format(
      "{}, of session {}: name its trace, and --ring-dir {}{}", what,
      to_string(session->header()->session), rings.string(),
      trace.empty() ? "" : "; it was written to " + trace.string() + ", where it is no more");
}

std::optional<RunningRecording> running_recording(const TraceReader& reader) {
  namespace fs = std::filesystem;
  const Session& session = reader.session();
  if (session.ring_directory.empty()) return std::nullopt;
  const fs::path rings = session.ring_directory;
  const auto ring = RingFile::open(rings / ring_file_name(kSessionStream), RingFile::Access::kCopy);
  if (!ring.ok() || ring->header()->session != session.uuid || !is_writer_alive(*ring))
    return std::nullopt;
  std::error_code error;
  const std::string what = !reader.health().sealed   ? "a file"
                           : session.trigger.empty() ? "a finished file"
                                                     : "a snapshot";
  return RunningRecording{what + " of a recording that still runs",
                          fs::read_symlink(rings / kTraceLinkName, error).string(),
                          session.monitor_pid};
}

}  // namespace kvmtape
