#include "cli/stat_live.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "cli/live.h"
#include "cli/recorders_of.h"
#include "cli/ring_hint.h"

namespace kvmtape {

Result<std::string> trace_of_process(pid_t process) {
  for (const pid_t recorder : recorders_of(process))
    for (const OpenTrace& trace : open_traces_of(recorder))
      if (!trace.is_removed) return trace.path;
  return Error{ErrorCode::kIo,
               "this process has no recording open that this user may see: name the recording",
               std::to_string(process),
               {}};
}

int watch_exits(TraceOptions trace, const SelectOptions& select, StatOptions options,
                int64_t interval_ns,
                const std::function<void(const TraceReader&, const Stat&)>& print,
                Console& console) {
  const EndSignals signals;
  auto reader = trace.open();
  if (!reader.ok()) return console.fail(reader.error());
  if (!(*reader)->health().writer_alive) {
    if ((*reader)->health().rings_forbidden)
      return console.fail((*reader)->path() +
                          ": --live: " + (*reader)->health().ring_problems.front().message);
    const auto running = running_recording(**reader);
    if (!running)
      return console.fail((*reader)->path() +
                          ": --live: it is no longer being recorded; without --live stat shows it");
    return console.fail((*reader)->path() + ": --live: this is " + running->what +
                        (running->monitor_pid == 0 ? ": name the process of its monitor"
                                                   : ": name its monitor, process " +
                                                         std::to_string(running->monitor_pid)));
  }
  const int64_t begin_ns = (*reader)->duration_ns() + 1;
  const uint64_t begin_ticks = (*reader)->session().start.ticks;
  int64_t shown_ns = begin_ns;
  auto shown_at = std::chrono::steady_clock::now();
  StatProgress progress;
  for (;;) {
    const bool interrupted = signals.wait(interval_ns);
    reader = trace.open();
    if (!reader.ok()) return console.fail(reader.error());
    auto selection = select.selection(**reader);
    if (!selection.ok()) return console.fail(selection.error());
    options.selection = *selection;
    // A recording of bounded files goes on in a new one, whose time begins anew.
    const bool same_file = (*reader)->session().start.ticks == begin_ticks;
    options.selection.time_ns = {same_file ? std::max(begin_ns, shown_ns - kMarginNs) : 0,
                                 std::numeric_limits<int64_t>::max()};
    Stat stat = count_new_exits(**reader, options, progress);
    // A guest that is idle leaves nothing behind that says how long.
    const auto now = std::chrono::steady_clock::now();
    stat.from_ns = shown_ns;
    stat.to_ns = shown_ns + std::chrono::nanoseconds(now - shown_at).count();
    shown_at = now;
    shown_ns = (*reader)->duration_ns();
    print(**reader, stat);
    if (console.finish(kDone) != kDone) return kFailed;
    if (console.closed() || interrupted) return kDone;
    if (!(*reader)->health().writer_alive) return report_health(**reader, console);
  }
}

}  // namespace kvmtape
