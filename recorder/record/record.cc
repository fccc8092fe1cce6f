#include "recorder/record/record.h"

#include <unistd.h>

#include <cstdlib>

#include "recorder/record/command.h"
#include "recorder/record/way.h"
#include "recorder/session_header.h"
#include "schema/base/count_text.h"

namespace kvmtape {
namespace {

constexpr uint32_t kUnrecordedPauseUs = 1'000'000;  // signals wake it

// In front of what is there already, which goes on working behind it.
std::string with_preload(const std::string& library) {
  const char* others = std::getenv("LD_PRELOAD");
  return others == nullptr || *others == '\0' ? library : library + ":" + others;
}

RecordReport failed(const Error& error, const Say& say, int status) {
  say(error.to_string());
  return {status, {}, {}, {}};
}

struct Prepared {
  std::string library;
  std::unique_ptr<Recording> recording;
};

Result<Prepared> prepare(const RecordOptions& options, const Way& way) {
  if (way.kind == Way::Kind::kNone)
    return Error{ErrorCode::kUsage, way.why + "; " + way.next_step, {}, std::nullopt};
  Prepared prepared;
  KVMTAPE_TRY_ASSIGN(prepared.library, find_preload_library(options.preload_library));
  KVMTAPE_TRY_ASSIGN(prepared.recording, Recording::open(options.recording, options.command));
  return prepared;
}

void say_what_is_missing(const RecordingTotals& totals, const std::string& monitor,
                         const Say& say) {
  if (totals.processes == 0)
    say(monitor +
        " did not load the preload library (did it clear its environment?): nothing was "
        "recorded");
  else if (totals.vcpus == 0)
    say("no vCPU was seen: of what " + monitor +
        " started, a static program, one that runs as another user, or that has cleared its "
        "environment or has another /dev/shm is not recorded in this way; while it runs, kvmtape "
        "record -p PID does");
  if (totals.filtered != 0 && totals.lost != 0)
    say("system call filters that the monitor was started under may kill for what recording asks "
        "of the kernel, so nothing was asked and its exits are only counted; while it runs, "
        "kvmtape record -p PID records it");
  if (!totals.vcpus_missing.empty() && totals.vcpus != 0)
    say(monitor + " had no vCPU " + totals.vcpus_missing +
        ", which --vcpu asks for (KVM's ids are meant)");
  if (totals.calls_lost != 0)
    say(counted(totals.calls_lost, "control call") + (totals.calls_lost == 1 ? " is" : " are") +
        " not in the recording");
}

}  // namespace

int status_of(const Error& cannot_start) {
  return cannot_start.code == ErrorCode::kUsage ? kNotFound : kCannotRun;
}

RecordReport run_unrecorded(const RecordOptions& options, const Error& why, const Say& say) {
  if (options.must_record) return failed(why, say, kRecordFailed);
  say(why.to_string() + "; " + options.command.front() + " runs without being recorded");
  auto command = Command::start(options.command, {});
  if (!command.ok()) return failed(command.error(), say, status_of(command.error()));
  while (command->wait(kUnrecordedPauseUs)) {
  }
  return {command->status(), {}, {}, why.to_string()};
}

RecordReport run_recorded(const RecordOptions& options, const Say& say) {
  const std::string& monitor = options.command.front();
  auto way = choose_way(monitor);
  if (!way.ok()) return failed(way.error(), say, status_of(way.error()));
  auto prepared = prepare(options, *way);
  if (!prepared.ok()) return run_unrecorded(options, prepared.error(), say);
  Recording& recording = *prepared->recording;
  if (auto control = recording.open_control(say); !control.ok())
    say(control.error().to_string() + "; kvmtape ctl cannot steer this recording");
  auto command =
      Command::start(options.command, {{"LD_PRELOAD", with_preload(prepared->library)},
                                       {kRecordDirectoryVariable, recording.ring_directory()}});
  if (!command.ok()) {
    recording.abandon();
    return failed(command.error(), say, status_of(command.error()));
  }
  recording.monitor_started(command->pid());
  while (command->wait(recording.pump()))
    if (const auto news = recording.news()) say(*news);
  if (const std::string mark = command->killed_mark(); !mark.empty()) recording.mark(mark);
  RecordReport report{command->status(), {}, {}, {}};
  const auto finished = recording.finish();
  const RecordingTotals totals = recording.totals();
  report.path = recording.path();
  if (!finished.ok())
    say(finished.error().to_string() + stopped_text(recording.ring_directory(), recording.path()));
  else
    say_what_is_missing(totals, monitor, say);
  const std::string& first = recording.first_path();
  if (options.recording.flight && report.path != first && ::access(first.c_str(), F_OK) == 0)
    say("the first snapshot, which shows how it began, is " + first);
  if (finished.ok() && options.recording.flight && totals.bytes == 0)
    say("nothing triggered, nothing was written");
  else
    report.totals = totals;
  return report;
}

}  // namespace kvmtape
