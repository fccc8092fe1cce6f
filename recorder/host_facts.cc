#include "recorder/host_facts.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "recorder/ring/clock.h"

namespace kvmtape {
namespace {

// The highest KVM_CAP_ number of Linux 7.3 is below this (include/uapi/linux/kvm.h); numbers that a
// kernel does not know answer 0.
constexpr uint32_t kCapabilityNumbers = 256;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \t\n") + 1);
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin);
}

Architecture this_architecture() {
#if defined(__x86_64__)
  return Architecture::kX86_64;
#elif defined(__aarch64__)
  return Architecture::kAarch64;
#else
  return Architecture::kUnknown;
#endif
}

// The first CPU's block of /proc/cpuinfo, without what differs from CPU to CPU and moment to
// moment.
void add_cpuinfo(Session& session) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.empty()) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string name = trimmed(line.substr(0, colon));
    if (name == "processor" || name == "cpu MHz" || name == "apicid" || name == "core id" ||
        name == "initial apicid" || name == "physical id" || name == "bogomips" ||
        name == "BogoMIPS")
      continue;
    session.cpu_facts.emplace_back(name, trimmed(line.substr(colon + 1)));
  }
}

void add_module_parameters(Session& session) {
  for (const char* module : {"kvm", "kvm_intel", "kvm_amd"}) {
    const std::filesystem::path directory =
        std::filesystem::path("/sys/module") / module / "parameters";
    std::error_code error;
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
      found.emplace_back(std::string(module) + "." + entry.path().filename().string(),
                         trimmed(read_file(entry.path())));
    std::sort(found.begin(), found.end());
    session.cpu_facts.insert(session.cpu_facts.end(), found.begin(), found.end());
  }
}

std::string pretty_name() {
  std::ifstream file("/etc/os-release");
  std::string line;
  const std::string key = "PRETTY_NAME=";
  while (std::getline(file, line))
    if (line.rfind(key, 0) == 0) {
      std::string value = line.substr(key.size());
      std::erase(value, '"');
      return value;
    }
  return {};
}

}  // namespace

void fill_host_facts(Session& session) {
  session.architecture = this_architecture();
  session.byte_order = kHostByteOrder;
  session.page_bytes = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  utsname name{};
  if (::uname(&name) == 0) {
    session.kernel_release = name.release;
    session.kernel_version = name.version;
    session.host_name = name.nodename;
  }
  session.distribution = pretty_name();
  session.clock_name = kClockName;
  session.monitor_name = trimmed(read_file("/proc/self/comm"));
  session.monitor_pid = static_cast<uint32_t>(::getpid());
  session.monitor_command = read_file("/proc/self/cmdline");
  add_cpuinfo(session);
  add_module_parameters(session);
}

void fill_capabilities(Session& session, int kvm_fd, int vm_fd) {
  session.capabilities.clear();
  const int fd = vm_fd >= 0 ? vm_fd : kvm_fd;
  if (fd < 0) return;
  for (uint32_t number = 0; number < kCapabilityNumbers; ++number) {
    int value = ::ioctl(fd, KVM_CHECK_EXTENSION, static_cast<unsigned long>(number));
    bool system_wide = vm_fd < 0;
    if (value < 0 && vm_fd >= 0 && kvm_fd >= 0) {  // no KVM_CAP_CHECK_EXTENSION_VM
      value = ::ioctl(kvm_fd, KVM_CHECK_EXTENSION, static_cast<unsigned long>(number));
      system_wide = true;
    }
    if (value >= 0) session.capabilities.push_back({number, value, system_wide});
  }
}

}  // namespace kvmtape
