#include "recorder/trace_directory.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>

namespace kvmtape {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// libvirt, for one, starts a monitor without HOME.
std::string home_directory() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  std::array<char, 4096> text;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr)
    return "";
  return found->pw_dir;
}

Error refused(std::string message, const std::filesystem::path& path) {
  return {ErrorCode::kIo, std::move(message), path.string(), std::nullopt};
}

// Who else may write here may put a link in the way of a recording, or of who reads it.
Result<bool> is_ours(const std::filesystem::path& directory) {
  struct stat found {};
  if (::stat(directory.c_str(), &found) != 0)
    return refused(std::string("cannot look at the directory for recordings: ") + strerror(errno) +
                       " (set KVMTAPE_DIR, or name a file)",
                   directory);
  if (!S_ISDIR(found.st_mode))
    return refused("is no directory, so recordings cannot go there; set KVMTAPE_DIR", directory);
  if (found.st_uid != ::geteuid() && found.st_uid != 0)
    return refused("the directory for recordings belongs to another user (uid " +
                       std::to_string(found.st_uid) + "); set KVMTAPE_DIR, or name a file",
                   directory);
  if ((found.st_mode & S_IWOTH) != 0)
    return refused(
        "anybody may write to the directory for recordings; chmod 700 it, or set KVMTAPE_DIR, or "
        "name a file",
        directory);
  return true;
}

}  // namespace

std::string trace_directory() {
  if (const std::string own = environment("KVMTAPE_DIR"); !own.empty()) {
    std::error_code error;
    const auto path = std::filesystem::absolute(own, error);
    return error ? own : path.lexically_normal().string();
  }
  if (std::string data = environment("XDG_DATA_HOME"); !data.empty()) return data + "/kvmtape";
  const std::string home = home_directory();
  return home.empty() ? "" : home + "/.local/share/kvmtape";
}

Result<std::string> new_trace_path(const std::string& monitor_name) {
  const std::filesystem::path directory = trace_directory();
  if (directory.empty())
    return Error{ErrorCode::kUsage,
                 "this user has no home directory for recordings; set KVMTAPE_DIR, or name a file "
                 "with -o",
                 {},
                 std::nullopt};
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
  if (auto ours = is_ours(directory); !ours.ok()) return ours.error();
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
  if (auto ours = is_ours(link.parent_path()); !ours.ok()) return ours.error();
  const auto trace = target.is_absolute() ? target : link.parent_path() / target;
  if (!std::filesystem::exists(trace, error) && !error)
    return refused("the latest recording is gone; name another", trace);
  return trace.string();
}

}  // namespace kvmtape
