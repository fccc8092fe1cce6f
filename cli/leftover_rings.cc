#include "cli/leftover_rings.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/human.h"
#include "schema/base/uuid_text.h"

namespace kvmtape {

std::string leftover_rings_text(const TraceReader& reader) {
  const TraceHealth& health = reader.health();
  const std::filesystem::path rings = health.ring_directory;
  const bool is_its_own = rings.filename() == to_string(reader.session().uuid);
  if (health.ring_bytes == 0 || !is_its_own || health.writer_alive || health.ring_writer_pid != 0 ||
      !health.ring_problems.empty())
    return {};
  std::error_code error;
  const std::string socket = reader.path() + ".ctl";  // of the recorder, who is gone
  return fmt::format("the rings in {} ({}) are no longer needed: rm -r {}{}", rings.string(),
                     bytes_text(health.ring_bytes), rings.string(),
                     std::filesystem::exists(socket, error) ? " " + socket : "");
}

std::string leftover_rings_text(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return {};
  const auto reader = TraceReader::open(path);
  return reader.ok() ? leftover_rings_text(**reader) : std::string();
}

}  // namespace kvmtape
