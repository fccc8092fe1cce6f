// `kvmtape record -- VMM args...`: starts an unmodified monitor with the preload library in it,
// drains its rings until it and what it left behind have ended, and passes its status on. The
// monitor's standard streams are its own; everything said here goes through `say`. Blocks; one a
// process, on its only thread.
#pragma once

#include <functional>
#include <optional>

#include "recorder/record/recording.h"

namespace kvmtape {

struct RecordOptions {
  RecordingOptions recording;
  bool must_record = false;     // fail where recording cannot start, instead of running without
  std::string preload_library;  // empty: where it was installed with this program
  std::vector<std::string> command;
};

// Exit statuses beside the monitor's own, as of env(1) and timeout(1).
inline constexpr int kRecordFailed = 125, kCannotRun = 126, kNotFound = 127;

struct RecordReport {
  int status = kRecordFailed;
  std::string path;  // of the trace
  std::optional<RecordingTotals> totals;
  std::string not_recorded;  // why the command ran without
};

// One line, for people, without an end of line.
using Say = std::function<void(const std::string&)>;

// Runs the monitor after saying that it is not recorded and why, which the report says again: the
// monitor's own lines bury the first. With must_record it is not started.
RecordReport run_unrecorded(const RecordOptions& options, const Error& why, const Say& say);
// The exit status for a command that could not be started.
int status_of(const Error& cannot_start);

RecordReport run_recorded(const RecordOptions& options, const Say& say);

}  // namespace kvmtape
