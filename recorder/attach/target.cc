#include "recorder/attach/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>

namespace kvmtape {
namespace {

constexpr std::string_view kVcpuLink =
    "anon_inode:kvm-vcpu";  // virt/kvm/kvm_main.c, create_vcpu_fd()

std::string folder_of(uint32_t pid) { return "/proc/" + std::to_string(pid); }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Of a thread, the process that it is of; 0: not told.
uint32_t group_of(uint32_t pid) {
  constexpr std::string_view kTitle = "\nTgid:\t";
  const std::string status = text_of(folder_of(pid) + "/status");
  const size_t at = status.find(kTitle);
  uint32_t group = 0;
  if (at != std::string::npos)
    std::from_chars(&status[at + kTitle.size()], status.data() + status.size(), group);
  return group;
}

Error process_error(ErrorCode code, uint32_t pid, const std::string& what) {
  return Error{code, "process " + std::to_string(pid) + " " + what, {}, std::nullopt};
}

}  // namespace

Result<WatchedProcess> describe_process(uint32_t pid) {
  WatchedProcess process;
  process.pid = pid;
  process.name = text_of(folder_of(pid) + "/comm");
  while (!process.name.empty() && process.name.back() == '\n') process.name.pop_back();
  if (process.name.empty())
    return process_error(ErrorCode::kUsage, pid, "does not exist; pgrep lists those that do");
  if (const uint32_t group = group_of(pid); group != 0 && group != pid)
    return process_error(ErrorCode::kUsage, pid,
                         "(" + process.name + ") is a thread of process " + std::to_string(group) +
                             "; use -p " + std::to_string(group));
  process.command = text_of(folder_of(pid) + "/cmdline");
  if (process.command.empty())
    return process_error(ErrorCode::kUsage, pid,
                         "(" + process.name + ") is a kernel thread or has ended");
  return process;
}

Result<void> check_is_monitor(uint32_t pid, const std::string& name) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(pid) + "/fd", error)) {
    std::error_code gone;
    const std::string link = std::filesystem::read_symlink(entry.path(), gone).string();
    if (link == "/dev/kvm" || link.starts_with("anon_inode:kvm-")) return {};
  }
  if (error)
    return process_error(ErrorCode::kRefused, pid,
                         "(" + name + ") cannot be looked at: " + error.message() +
                             "; run as root or as the monitor's user");
  return process_error(ErrorCode::kUsage, pid,
                       "(" + name +
                           ") is not a KVM monitor: it has no KVM descriptor open; name the "
                           "process that holds the VM");
}

std::optional<uint32_t> vcpu_of_descriptor(uint32_t pid, int fd) {
  char target[PATH_MAX];
  const std::string path = folder_of(pid) + "/fd/" + std::to_string(fd);
  const ssize_t bytes = ::readlink(path.c_str(), target, sizeof target);
  if (bytes <= 0) return std::nullopt;
  std::string_view link(target, static_cast<size_t>(bytes));
  if (!link.starts_with(kVcpuLink)) return std::nullopt;
  link.remove_prefix(kVcpuLink.size());
  uint32_t id = 0;  // kernels before 4.19 do not name it
  if (!link.empty()) std::from_chars(link.data() + 1, link.data() + link.size(), id);
  return id;
}

size_t host_run_bytes() {
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  const int bytes = kvm.valid() ? ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0) : 0;
  return bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

}  // namespace kvmtape
