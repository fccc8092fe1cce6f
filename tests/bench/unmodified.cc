#include "tests/bench/unmodified.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "schema/base/unique_fd.h"
#include "tests/bench/stopwatch.h"
#ifdef KVMTAPE_BPF
#include <bpf/bpf.h>

#include "recorder/attach/bpf_watch.h"
#endif

namespace kvmtape::bench {
namespace {

constexpr int kRounds = 41;  // of 11 the median is off by 3 % now and then
constexpr int kExits = 30'000;
#ifdef KVMTAPE_BPF
constexpr uint64_t kWatchedExits = 100'000;  // their moments are several times the buffer
#endif
const std::string kMonitor = KVMTAPE_SMALL_MONITOR;
const std::string kStatic = KVMTAPE_STATIC_MONITOR;

// What the monitor says that its run loop computed, an exit; 0 if it did not run.
double ns_an_exit(const std::string& recorder, const std::string& monitor) {
  FILE* pipe =
      ::popen(fmt::format("{} {} timed {} 2>/dev/null", recorder, monitor, kExits).c_str(), "r");
  double ns = 0;
  std::array<char, 256> line;
  while (std::fgets(line.data(), line.size(), pipe) != nullptr)
    if (std::string(line.data()).starts_with("ns ")) ns = std::strtod(line.data() + 3, nullptr);
  ::pclose(pipe);
  return ns / kExits;
}

// What recording by preload costs: in each process the exits go by turns through the library and
// past it while `record` stands still, since from one process to the next an exit takes 10 % more
// or less on a nested machine.
RecordedCost preload_cost(const std::string& recorder) {
  constexpr int kProcesses = 31, kExitsOfEach = 60'000;
  std::vector<double> ratios, differences;
  for (int process = 0; process < kProcesses; ++process) {
    FILE* pipe = ::popen(fmt::format("SMALL_MONITOR_RECORDER=1 {} {} paired {} 2>/dev/null",
                                     recorder, kMonitor, kExitsOfEach)
                             .c_str(),
                         "r");
    long long through = 0, past = 0, exits = 0;
    std::array<char, 256> line;
    while (std::fgets(line.data(), line.size(), pipe) != nullptr)
      (void)std::sscanf(line.data(), "ns through %lld past %lld of %lld exits", &through, &past,
                        &exits);
    ::pclose(pipe);
    if (through <= 0 || past <= 0 || exits <= 0)
      return {0, 0, "the monitor did not run by: " + recorder};
    ratios.push_back(static_cast<double>(through) / static_cast<double>(past));
    differences.push_back(static_cast<double>(through - past) / static_cast<double>(exits));
  }
  return {median(ratios), median(differences), {}};
}

RecordedCost compare(const std::string& recorder, const std::string& monitor) {
  std::vector<double> ratios, differences;
  for (int round = 0; round < kRounds; ++round) {
    const double plain = ns_an_exit("", monitor);
    const double recorded = ns_an_exit(recorder, monitor);
    if (plain == 0 || recorded == 0) return {0, 0, "the monitor did not run by: " + recorder};
    ratios.push_back(recorded / plain);
    differences.push_back(recorded - plain);
  }
  return {median(ratios), median(differences), {}};
}

#ifdef KVMTAPE_BPF
// What the kernel's statistics say of a program that does nothing: reading the clock for them. In a
// virtual machine that is no less than some helpers take.
class EmptyProgram {
 public:
  EmptyProgram() {
    const bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                                {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    program_.reset(
        bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "empty", "GPL", nothing, 2, nullptr));
    if (program_.valid())
      attached_.reset(bpf_raw_tracepoint_open("kvm_userspace_exit", program_.get()));
  }
  double ns_a_run() const {
    bpf_prog_info info{};
    uint32_t bytes = sizeof info;
    if (bpf_obj_get_info_by_fd(program_.get(), &info, &bytes) != 0 || info.run_cnt == 0) return 0;
    return static_cast<double>(info.run_time_ns) / static_cast<double>(info.run_cnt);
  }

 private:
  UniqueFd program_, attached_;
};

// An exit by the kernel's statistics of its programs, less what those cost, once the buffer between
// programs and reader has been written all over: the first touch of its pages is a nested machine's
// cost, not the programs'.
double bpf_program_ns(const std::string& directory) {
  const UniqueFd counting(bpf_enable_stats(BPF_STATS_RUN_TIME));
  const pid_t monitor = ::fork();
  if (monitor == 0) {
    ::setenv("SMALL_MONITOR_STOP", "1", 1);
    const UniqueFd null(::open("/dev/null", O_WRONLY));
    ::dup2(null.get(), STDOUT_FILENO);
    ::execl(kStatic.c_str(), kStatic.c_str(), "timed", std::to_string(kWatchedExits).c_str(),
            nullptr);
    ::_exit(127);
  }
  ::waitpid(monitor, nullptr, WUNTRACED);
  const std::string path = directory + "/bpf.kvmtape";
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  options.force = 1;
  const WatchedProcess process{
      static_cast<uint32_t>(monitor), "monitor", {}, read_monotonic_clocks};
  auto watch = BpfWatch::load(process.pid);
  auto session = kvmtape_session::open(options, &process);
  const bool watched = watch.ok() && session.ok() && (*watch)->record_into(**session).ok();
  ::kill(monitor, SIGCONT);
  const EmptyProgram empty;
  BpfWatch::ProgramTime before;
  uint64_t exits_before = 0;
  while (watched && (*watch)->step())
    if (exits_before == 0 && (*watch)->exits_seen() >= kWatchedExits / 2) {
      before = (*watch)->program_time();
      exits_before = (*watch)->exits_seen();
    }
  ::waitpid(monitor, nullptr, 0);
  if (!watched) return 0;
  const BpfWatch::ProgramTime after = (*watch)->program_time();
  const auto exits = static_cast<double>((*watch)->exits_seen() - exits_before);
  (*watch)->finish();
  return (static_cast<double>(after.ns - before.ns) -
          static_cast<double>(after.runs - before.runs) * empty.ns_a_run()) /
         exits;
}
#endif

}  // namespace

UnmodifiedCosts measure_unmodified(const std::string& directory) {
  UnmodifiedCosts costs;
  if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid()) {
    costs.preload.reason_skipped = costs.bpf.reason_skipped = costs.perf.reason_skipped =
        "/dev/kvm cannot be opened";
    return costs;
  }
  const std::string record = fmt::format(
      "{} record -q --must-record --force -o {}/unmodified.kvmtape --", KVMTAPE_TOOL, directory);
  costs.preload = preload_cost(record);
  costs.bpf = compare(record, kStatic);
  costs.perf =
      compare(fmt::format("perf record -q -e kvm:kvm_userspace_exit -o {}/perf.data --", directory),
              kStatic);
#ifdef KVMTAPE_BPF
  costs.bpf_program_ns = bpf_program_ns(directory);
#endif
  if (costs.bpf_program_ns == 0 && costs.bpf.reason_skipped.empty())
    costs.bpf.reason_skipped = "eBPF may not be used here";
  return costs;
}

}  // namespace kvmtape::bench
