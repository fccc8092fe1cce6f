#include "recorder/attach/attach.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "recorder/attach/injected_ioctls.h"
#include "recorder/attach/ptrace_watch.h"
#include "recorder/attach/stop_signals.h"
#include "recorder/attach/target.h"
#include "recorder/attach/watch.h"
#include "recorder/record/command.h"
#include "recorder/record/way.h"
#include "schema/base/count_text.h"
#ifdef KVMTAPE_BPF
#include "recorder/attach/bpf_watch.h"
#endif

namespace kvmtape {
namespace {

struct Chosen {
  Way way;
  std::unique_ptr<Watch> watch;
  ClockReader clock = read_clocks;
};

// Measured with exits of 8 us, on two processors with and without others to serve.
constexpr const char* kPtraceCost =
    "slow: each system call of the monitor stops it twice, and a guest that does nothing but port "
    "I/O ran 4 to 10 times slower";

constexpr const char* kMayLoad = "this user may load programs into the kernel, which has BTF";
constexpr uint32_t kPauseUs = 2000;

Result<Chosen> by_bpf([[maybe_unused]] const WatchedProcess& process) {
#ifdef KVMTAPE_BPF
  KVMTAPE_TRY_ASSIGN(auto watch, BpfWatch::load(process.pid));
  Chosen chosen;
  chosen.way = {Way::Kind::kBpf, process.name, kMayLoad, {}};
  chosen.watch = std::move(watch);
  chosen.clock = read_monotonic_clocks;
  return chosen;
#else
  return Error{ErrorCode::kRefused,
               "this kvmtape was built without eBPF (libbpf-dev, bpftool and clang)",
               {},
               std::nullopt};
#endif
}

Result<Chosen> by_ptrace(const WatchedProcess& process, const std::string& because) {
  KVMTAPE_TRY_ASSIGN(auto watch, PtraceWatch::prepare(process.pid));
  Chosen chosen;
  chosen.way = {Way::Kind::kPtrace,
                process.name,
                because.empty() ? kPtraceCost : std::string(kPtraceCost) + "; " + because,
                {}};
  chosen.watch = std::move(watch);
  return chosen;
}

Result<Chosen> choose(const AttachOptions& options, const WatchedProcess& process) {
  if (options.way == Way::Kind::kPtrace) return by_ptrace(process, {});
  auto bpf = by_bpf(process);
  if (bpf.ok() || options.way == Way::Kind::kBpf) return bpf;
  auto ptrace = by_ptrace(process, bpf.error().message);
  if (ptrace.ok()) return ptrace;
  Chosen none;
  none.way = {Way::Kind::kNone, process.name, bpf.error().message + "; " + ptrace.error().message,
              "or build the monitor with recorder/kvmtape.h"};
  return none;
}

// The addresses that the result points to are put into `addresses`.
kvmtape_options embedding_options(const RecordingOptions& from, const Way& way,
                                  std::vector<kvmtape_range>& addresses) {
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = from.path.empty() ? nullptr : from.path.c_str();
  options.force = from.force ? 1 : 0;
  options.ring_directory = from.ring_directory.empty() ? nullptr : from.ring_directory.c_str();
  options.ring_bytes = from.ring_bytes;
  options.ring_bytes_total = from.ring_bytes_total;
  options.ring_full = from.overwrite ? KVMTAPE_OVERWRITE : KVMTAPE_DROP;
  options.max_file_bytes = from.bounds.bytes_max;
  options.max_file_seconds = static_cast<unsigned>(from.bounds.age_ns_max / 1'000'000'000);
  options.max_files = from.bounds.files_max;
  options.exit_reasons = from.filter.reasons;
  for (uint32_t i = 0; i < from.filter.address_count; ++i)
    addresses.push_back({from.filter.addresses[i].first, from.filter.addresses[i].last});
  options.addresses = addresses.empty() ? nullptr : addresses.data();
  options.address_count = addresses.size();
  options.control = 1;
  if (from.registers == RegisterPolicy::kNever) options.registers = KVMTAPE_REGISTERS_NEVER;
  options.recorder = way.kind == Way::Kind::kBpf ? "attach bpf" : "attach ptrace";
  return options;
}

RecordReport failed(const Error& error, const Say& say, int status = kRecordFailed) {
  say(error.to_string());
  return {status, {}, {}, {}};
}

Result<Chosen> prepare(const AttachOptions& options, const WatchedProcess& process) {
  KVMTAPE_TRY(check_is_monitor(process.pid, process.name));
  return choose(options, process);
}

RecordReport end(kvmtape_session& session, Watch& watch, const WatchedProcess& process,
                 const Say& say) {
  watch.finish();
  RecordReport report{0, session.path(), {}, {}};
  kvmtape_totals totals{};
  const auto closed = session.close(totals);
  if (!closed.ok()) say(closed.error().to_string());
  if (watch.unidentified() != 0)
    say(counted(watch.unidentified(), "exit") +
        " could not be told of which vCPU: not in the recording");
  if (watch.unfollowed() != 0)
    say(count_text(watch.unfollowed()) +
        (watch.unfollowed() == 1 ? " process of " : " processes of ") + process.name +
        " could not be watched, too many run at a time: exits of theirs are not in the recording");
  if (totals.vcpus == 0) say(process.name + " ran no vCPU while it was watched");
  report.totals = totals_there(session.keeper(), session.write_news(), totals.vcpus);
  if (totals.lost != 0 || watch.unidentified() != 0 || watch.unfollowed() != 0)
    report.status = kExitsMissing;
  if (!closed.ok()) report.status = kRecordFailed;
  return report;
}

void discard(kvmtape_session& session) {
  kvmtape_totals ignored{};
  (void)session.close(ignored).ok();
  ::unlink(session.path().c_str());
}

}  // namespace

Result<Way> choose_attach_way(const AttachOptions& options) {
  KVMTAPE_TRY_ASSIGN(const WatchedProcess process, describe_process(options.pid));
  KVMTAPE_TRY_ASSIGN(Chosen chosen, prepare(options, process));
  return chosen.way;
}

RecordReport run_attached(const AttachOptions& options, const Say& say, const Say& note) {
  const StopSignals signals;  // preparing can take seconds, too
  auto process = describe_process(options.pid);
  if (!process.ok()) return failed(process.error(), say);
  auto chosen = prepare(options, *process);
  if (!chosen.ok()) return failed(chosen.error(), say);
  if (chosen->watch == nullptr)
    return failed(Error{ErrorCode::kRefused, chosen->way.to_string(), {}, std::nullopt}, say);
  process->clock = chosen->clock;
  process->registers = chosen->way.kind == Way::Kind::kPtrace &&
                       InjectedIoctls::may_be_made_by(static_cast<pid_t>(process->pid));
  if (signals.came())
    return failed({ErrorCode::kRefused, "stopped before recording began: there is no recording",
                   process->name, std::nullopt},
                  say);
  std::vector<kvmtape_range> addresses;
  const kvmtape_options embedding = embedding_options(options.recording, chosen->way, addresses);
  auto session = kvmtape_session::open(embedding, &*process);
  if (!session.ok()) return failed(session.error(), say);
  Watch& watch = *chosen->watch;
  if (auto started = watch.record_into(**session); !started.ok()) {
    discard(**session);
    return failed(started.error(), say);
  }
  note("attached to " + process->name + " (pid " + std::to_string(process->pid) + ") by " +
       chosen->way.to_string());
  while (!signals.came() && watch.step())
    if (const auto news = (*session)->news()) say(*news);
  return end(**session, watch, *process, say);
}

Result<Way> choose_start_way(const std::string& program) {
  KVMTAPE_TRY_ASSIGN(Way way, choose_way(program));
  if (way.kind == Way::Kind::kPreload) {
    const auto library = find_preload_library({});
    if (library.ok()) return way;
    way.kind = Way::Kind::kNone;
    way.why = library.error().to_string();
    way.next_step = "build all of it (./dev build) or install it as a whole";
  }
  if (way.kind != Way::Kind::kNone) return way;
#ifdef KVMTAPE_BPF
  auto bpf = BpfWatch::load(static_cast<uint32_t>(::getpid()));
  if (bpf.ok()) {
    way.kind = Way::Kind::kBpf;
    way.why += "; " + std::string(kMayLoad);
    return way;
  }
  if (::geteuid() == 0) way.why += "; " + bpf.error().message;  // else next_step says it
#endif
  return way;
}

RecordReport run_watched([[maybe_unused]] const RecordOptions& options, const Say& say) {
#ifdef KVMTAPE_BPF
  const std::string& monitor = options.command.front();
  if (options.recording.flight)
    return run_unrecorded(
        options,
        Error{ErrorCode::kUnsupported, "a flight recorder needs a monitor that can be preloaded",
              monitor, std::nullopt},
        say);
  std::unique_ptr<BpfWatch> watch;
  std::unique_ptr<kvmtape_session> session;
  WatchedProcess process;
  process.name = std::filesystem::path(monitor).filename().string();
  process.clock = read_monotonic_clocks;
  for (const std::string& word : options.command) process.command.append(word).push_back('\0');
  Way way;
  way.kind = Way::Kind::kBpf;
  bool is_recorded = false;
  std::vector<kvmtape_range> addresses;
  auto begin = [&](pid_t pid) -> Result<void> {
    process.pid = static_cast<uint32_t>(pid);
    KVMTAPE_TRY_ASSIGN(watch, BpfWatch::load(process.pid));
    KVMTAPE_TRY_ASSIGN(
        session,
        kvmtape_session::open(embedding_options(options.recording, way, addresses), &process));
    KVMTAPE_TRY(watch->record_into(*session));
    is_recorded = true;
    return {};
  };
  auto command = Command::start(options.command, {}, begin);
  if (!command.ok()) {
    if (session != nullptr) discard(*session);
    if (is_recorded) return failed(command.error(), say, status_of(command.error()));
    return run_unrecorded(options, command.error(), say);
  }
  while (command->wait(kPauseUs)) {
    watch->take_new();
    if (const auto news = session->news()) say(*news);
  }
  if (const std::string mark = command->killed_mark(); !mark.empty())
    kvmtape_mark(session.get(), mark.c_str());
  RecordReport report = end(*session, *watch, process, say);
  report.status = command->status();
  return report;
#else
  return failed(Error{ErrorCode::kUnsupported, "this kvmtape was built without eBPF", {}, {}}, say);
#endif
}

}  // namespace kvmtape
