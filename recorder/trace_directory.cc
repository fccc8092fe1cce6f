#include "recorder/trace_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>

namespace kvmtape {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string trace_directory() {
  if (std::string own = environment("KVMTAPE_DIR"); !own.empty()) return own;
  if (std::string data = environment("XDG_DATA_HOME"); !data.empty()) return data + "/kvmtape";
  std::string home = environment("HOME");
  return (home.empty() ? "/tmp" : home) + "/.local/share/kvmtape";
}

Result<std::string> new_trace_path(const std::string& monitor_name) {
  const std::filesystem::path directory = trace_directory();
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) {
    std::filesystem::create_directories(directory.parent_path(), error);
    // Private from its first moment on.
    if (!error && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
      error.assign(errno, std::generic_category());
  }
  if (error)
    return Error{ErrorCode::kIo,
                 "cannot create the directory for recordings: " + error.message() +
                     " (set KVMTAPE_DIR, or name a file with -o)",
                 directory.string(), std::nullopt};
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
  std::string name;
  for (char c : monitor_name)
    name += (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? c : '-';
  std::string path = directory / (name + "-" + stamp + "-" + std::to_string(::getpid()));
  // Two sessions of one process in one second.
  std::string free = path + ".kvmtape";
  for (int i = 2; std::filesystem::exists(free, error); ++i)
    free = path + "-" + std::to_string(i) + ".kvmtape";
  return free;
}

void update_latest(const std::string& trace) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(trace, error);
  if (error || !std::filesystem::equivalent(path.parent_path(), trace_directory(), error) || error)
    return;
  // Renamed over the old one, so that a reader never finds none.
  const auto fresh = path.parent_path() / (".latest-" + std::to_string(::getpid()));
  std::filesystem::remove(fresh, error);
  std::filesystem::create_symlink(path.filename(), fresh, error);
  if (!error) std::filesystem::rename(fresh, path.parent_path() / "latest", error);
}

Result<std::string> latest_trace() {
  const std::filesystem::path link = std::filesystem::path(trace_directory()) / "latest";
  std::error_code error;
  const auto target = std::filesystem::read_symlink(link, error);
  if (error)
    return Error{ErrorCode::kUsage,
                 "no recording here yet: name a trace, or record one with `kvmtape probe`",
                 trace_directory(), std::nullopt};
  return (target.is_absolute() ? target : link.parent_path() / target).string();
}

}  // namespace kvmtape
