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

}  // namespace kvmtape
