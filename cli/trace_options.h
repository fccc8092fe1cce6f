// The options that read verbs share, and what follows from them: the recording that is meant, what
// of it is selected, and the exit status that its health calls for. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/console.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// Of every verb.
struct OutputOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string color = "auto";

  void add_to(CLI::App& verb);
  void apply(Console& console) const;
};

struct TraceOptions : OutputOptions {
  std::string trace;           // empty: latest
  std::string ring_directory;  // instead of the one that the header names

  void add_to(CLI::App& verb);
  Result<std::unique_ptr<TraceReader>> open() const;
};

// --exit: KVM_EXIT_IO, io or 2.
Result<uint32_t> parse_exit_name(const std::string& name);

struct SelectOptions {
  std::vector<std::string> vcpus;
  std::vector<std::string> exits;
  std::string seq;
  std::string time;
  uint64_t tail = 0;  // 0: all

  void add_to(CLI::App& verb);
  Result<Selection> selection(const TraceReader& reader) const;
};

// " (2 more that others make up for)": damaged chunks beside those that exits are lost with; empty
// where there are none.
std::string redundant_text(const TraceHealth& health);

// How its file ends: "sealed", "still being recorded", "torn at byte 3104", "not sealed".
std::string end_text(const TraceHealth& health);

// "its recorder is gone, the monitor (pid 1) still runs: ...", empty if that is not so.
std::string abandoned_text(const TraceHealth& health);

// "a copy of a recording whose end was torn: ...", empty if that is not so.
std::string copied_text(const TraceHealth& health);

// Where a selection took nothing: says what it could have been taken from.
void note_nothing_selected(const TraceReader& reader, Console& console);

// kIncomplete if exits may be missing, kDone otherwise; says why on standard error. It speaks of
// the whole recording, whatever was selected: what the verb did not read is checked here, unless
// nobody reads its output any more.
int report_health(TraceReader& reader, Console& console);

}  // namespace kvmtape
