#include "cli/leftover_rings.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/human.h"
#include "recorder/control/unix_socket.h"
#include "schema/base/shell_word.h"
#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {

namespace {

namespace fs = std::filesystem;

bool is_heard(const std::string& socket) {
  const auto connected = connect_to(socket);
  return connected.ok() || connected.error().code == ErrorCode::kRefused;
}

// "the rings in DIR (1.0 MB)", where they are whole and nobody writes them.
std::string rings_text(const TraceReader& reader) {
  const TraceHealth& health = reader.health();
  const fs::path rings = health.ring_directory;
  const bool is_its_own = rings.filename() == to_string(reader.session().uuid);
  if (health.ring_bytes == 0 || !is_its_own || health.writer_alive || health.ring_writer_pid != 0 ||
      !health.ring_problems.empty())
    return {};
  return fmt::format("the rings in {} ({})", rings.string(), bytes_text(health.ring_bytes));
}

std::string not_needed_text(const TraceReader& reader) {
  const std::string rings = rings_text(reader);
  return rings.empty() ? rings
                       : fmt::format("{} are no longer needed: rm -r -- {}", rings,
                                     shell_path(reader.health().ring_directory));
}

// " && rm -- vm.kvmtape.ctl", of the socket that its recorder left: beside this file or, of a
// recording of several, beside the first, to which its rings lead.
std::string dead_sockets_text(const TraceReader& reader) {
  std::string words;
  std::error_code error;
  const fs::path first =
      fs::read_symlink(fs::path(reader.health().ring_directory) / kTraceLinkName, error);
  for (const std::string& trace : {reader.path(), first.string()}) {
    const std::string socket = trace + ".ctl";
    const bool is_told = trace != reader.path() && fs::equivalent(trace, reader.path(), error);
    if (!trace.empty() && !is_told && fs::is_socket(fs::symlink_status(socket, error)) &&
        !is_heard(socket))
      words += " " + shell_path(socket);
  }
  return words.empty() ? words : " && rm --" + words;
}

}  // namespace

std::string leftover_rings_text(const TraceReader& reader) {
  const std::string rings = not_needed_text(reader);
  return rings.empty() ? rings : rings + dead_sockets_text(reader);
}

std::string kept_rings_text(const TraceReader& reader) {
  const std::string rings = rings_text(reader);
  return rings.empty() ? rings : rings + " stay, for a better copy of " + reader.path();
}

std::string leftover_rings_text(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  const auto reader = TraceReader::open(path);
  return reader.ok() ? not_needed_text(**reader)
                     : std::string();  // who replaces it takes the socket
}

}  // namespace kvmtape
