#include "recorder/attach/attach.h"

#include <memory>

#include "recorder/attach/stop_signals.h"
#include "recorder/attach/target.h"
#include "recorder/attach/watch.h"
#include "recorder/record/way.h"
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

Result<Chosen> choose(const WatchedProcess& process) {
  Chosen chosen;
  chosen.way.program = process.name;
#ifdef KVMTAPE_BPF
  auto bpf = BpfWatch::load(process.pid);
  if (bpf.ok()) {
    chosen.way.kind = Way::Kind::kBpf;
    chosen.way.why = "this user may load programs into the kernel, which has BTF";
    chosen.watch = std::move(*bpf);
    chosen.clock = read_monotonic_clocks;
    return chosen;
  }
  chosen.way.why = bpf.error().message;
  chosen.way.next_step = "or build the monitor with recorder/kvmtape.h";
#else
  chosen.way.why = "this kvmtape was built without eBPF";
  chosen.way.next_step = "build it where libbpf-dev, bpftool and clang are installed";
#endif
  return chosen;
}

kvmtape_options embedding_options(const RecordingOptions& from, const Way& way) {
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = from.path.empty() ? nullptr : from.path.c_str();
  options.force = from.force ? 1 : 0;
  options.ring_directory = from.ring_directory.empty() ? nullptr : from.ring_directory.c_str();
  options.ring_bytes = from.ring_bytes;
  options.ring_bytes_total = from.ring_bytes_total;
  options.ring_full = from.overwrite ? KVMTAPE_OVERWRITE : KVMTAPE_DROP;
  options.recorder = way.kind == Way::Kind::kBpf ? "attach bpf" : "attach ptrace";
  return options;
}

RecordReport failed(const Error& error, const Say& say) {
  say(error.to_string());
  return {kRecordFailed, {}, {}};
}

Result<Chosen> prepare(const WatchedProcess& process) {
  KVMTAPE_TRY(check_is_monitor(process.pid, process.name));
  return choose(process);
}

RecordReport end(kvmtape_session& session, Watch& watch, const WatchedProcess& process,
                 const Say& say) {
  watch.finish();
  RecordReport report{0, session.path(), {}};
  kvmtape_totals totals{};
  if (auto closed = session.close(totals); !closed.ok()) {
    say(closed.error().to_string() + "; the rings stay in " + session.ring_directory() +
        ", every read verb takes trace and rings together");
    report.status = kRecordFailed;
    return report;
  }
  if (watch.unidentified() != 0)
    say(std::to_string(watch.unidentified()) +
        " exits are not in the recording: it could not be told of which vCPU they were");
  if (totals.vcpus == 0) say(process.name + " ran no vCPU while it was watched");
  report.totals = RecordingTotals{totals.exits, totals.lost, totals.vcpus, totals.bytes, 0, 1};
  if (totals.lost != 0 || watch.unidentified() != 0) report.status = kExitsMissing;
  return report;
}

}  // namespace

Result<Way> choose_attach_way(uint32_t pid) {
  KVMTAPE_TRY_ASSIGN(const WatchedProcess process, describe_process(pid));
  KVMTAPE_TRY_ASSIGN(Chosen chosen, prepare(process));
  return chosen.way;
}

RecordReport run_attached(const AttachOptions& options, const Say& say, const Say& note) {
  auto process = describe_process(options.pid);
  if (!process.ok()) return failed(process.error(), say);
  auto chosen = prepare(*process);
  if (!chosen.ok()) return failed(chosen.error(), say);
  if (chosen->watch == nullptr)
    return failed(Error{ErrorCode::kRefused, chosen->way.to_string(), {}, std::nullopt}, say);
  process->clock = chosen->clock;
  const StopSignals signals;
  const kvmtape_options embedding = embedding_options(options.recording, chosen->way);
  auto session = kvmtape_session::open(embedding, &*process);
  if (!session.ok()) return failed(session.error(), say);
  Watch& watch = *chosen->watch;
  if (auto started = watch.record_into(**session); !started.ok())
    return failed(started.error(), say);
  note("attached to " + process->name + " (pid " + std::to_string(process->pid) + ") by " +
       chosen->way.to_string());
  while (!signals.came() && watch.step()) {
  }
  return end(**session, watch, *process, say);
}

}  // namespace kvmtape
