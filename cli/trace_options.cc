#include "cli/trace_options.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "cli/human.h"
#include "cli/option_values.h"
#include "cli/ring_hint.h"
#include "cli/selection.h"
#include "cli/suggest.h"
#include "recorder/trace_directory.h"
#include "replayer/chunk_finder.h"
#include "replayer/exit_decoder.h"
#include "schema/abi/registry.h"
#include "schema/base/shell_word.h"

namespace kvmtape {
namespace {

bool exists(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 || errno != ENOENT;
}

}  // namespace

Result<uint32_t> parse_exit_name(const std::string& name) {
  const int64_t number = exit_reason_number(name);
  if (number >= 0) return static_cast<uint32_t>(number);
  std::vector<std::string> names;
  for (const abi::ExitReason& reason : abi::exit_reasons()) {
    names.emplace_back(reason.name);
    names.emplace_back(without_exit_prefix(reason.name));
  }
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string near = nearest_name(upper, names);
  return Error{ErrorCode::kUsage,
               fmt::format("--exit: no exit is called '{}'; {}", name,
                           near.empty() ? "write KVM_EXIT_IO, io or its number"
                                        : "did you mean " + near + "?"),
               {},
               {}};
}

namespace {

std::string next_step(const TraceReader& reader) {
  const TraceHealth& health = reader.health();
  if (health.rings_forbidden) return {};  // who may read them is told beside it
  if (reader.exits() == 0) return "; there is nothing to save";
  const std::string rings = health.ring_directory.empty() ? "" : reader.options().ring_directory;
  return fmt::format("; run: kvmtape recover {}{} -o saved.kvmtape", shell_path(reader.path()),
                     rings.empty() ? "" : " --ring-dir " + shell_path(rings));
}

// Of the place that was asked for.
bool no_rings_in_place(const TraceReader& reader) {
  return !reader.options().ring_directory.empty() && reader.health().ring_directory.empty();
}

// ", no rings are left", where there are none.
std::string no_rings_text(const TraceReader& reader) {
  const std::string& asked_for = reader.options().ring_directory;
  if (asked_for.empty()) return ", no rings are left";
  return ", no rings of this recording in " + asked_for;
}

// "; column 77 is ...: use a newer one".
std::string unsupported_text(const TraceHealth& health) {
  for (const Error& problem : health.problems)
    if (problem.code == ErrorCode::kUnsupported) return "; " + problem.message;
  return {};
}

}  // namespace

void OutputOptions::add_to(CLI::App& verb) {
  verb.add_flag("--json", json, "data as JSON on standard output");
  verb.add_flag("-q,--quiet", quiet, "no warnings");
  verb.add_flag("-v,--verbose", verbose, "more");
  verb.add_option("--color", color, "auto, always or never; auto heeds NO_COLOR")
      ->check(one_of({"auto", "always", "never"}));
}

void OutputOptions::apply(Console& console) const {
  console.set_quiet(quiet);
  console.set_color(color == "always"  ? Console::Color::kAlways
                    : color == "never" ? Console::Color::kNever
                                       : Console::Color::kAuto);
}

void TraceOptions::add_to(CLI::App& verb) {
  verb.add_option("trace", trace, "the recording; without it, the latest in the default directory");
  verb.add_option("--ring-dir", ring_directory,
                  "where its rings lie, or the --ring-dir of its recorder, if not where its header "
                  "says");
  OutputOptions::add_to(verb);
}

Result<std::unique_ptr<TraceReader>> TraceOptions::open() const {
  std::string path = trace;
  if (path.empty()) {
    KVMTAPE_TRY_ASSIGN(path, latest_trace());
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::error_code error;
  if (path.ends_with(".ctl") && std::filesystem::is_socket(path, error))
    return Error{ErrorCode::kNotATrace,
                 "is the control socket of " + path.substr(0, path.size() - 4) + ": name that",
                 path,
                 {}};
  if (!exists(path)) {
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    const std::string what = target.empty()
                                 ? "there is no such file"
                                 : "is a link to " + target.string() + ", which is not there";
    std::string rings = rings_of_missing(path);
    if (rings.empty() && !target.empty())
      rings = rings_of_missing(std::filesystem::path(path).parent_path() / target);
    if (!rings.empty())
      return Error{ErrorCode::kIo,
                   what + ", but its rings are left: name " + rings +
                       " instead, as in kvmtape recover " + shell_path(rings) + " -o saved.kvmtape",
                   path,
                   {}};
    if (!target.empty()) return Error{ErrorCode::kIo, what, path, {}};
    const std::string near = nearest_trace(path);
    return Error{ErrorCode::kIo,
                 near.empty() ? "there is no such file; kvmtape probe makes a recording, and "
                                "without a name the latest is taken"
                              : "there is no such file; did you mean " + near + "?",
                 path,
                 {}};
  }
  if (!ring_directory.empty() && !std::filesystem::is_directory(ring_directory, error) &&
      error != std::errc::permission_denied)
    return Error{ErrorCode::kIo,
                 "--ring-dir: there is no such directory; without the option, rings are looked for "
                 "where the recording's header says",
                 ring_directory,
                 {}};
  if (const std::string hint = ring_hint(path); !hint.empty())
    return Error{ErrorCode::kNotATrace, hint, path, {}};
  TraceReader::Options options;
  options.ring_directory = ring_directory;
  auto reader = TraceReader::open(path, options);
  if (!reader.ok() && reader.error().code == ErrorCode::kNotATrace &&
      reader.error().byte_offset.has_value()) {
    reader.error().byte_offset.reset();
    reader.error().message +=
        "; of raw bytes kvmtape decode shows one page and kvmtape import records many";
  }
  return reader;
}

void SelectOptions::add_to(CLI::App& verb) {
  verb.add_option("--vcpu", vcpus, "only these vCPUs (indexes), N,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--exit", exits, "only these exits, NAME,...: KVM_EXIT_IO, io or 2")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--seq", seq, "only these sequence numbers, A-B");
  verb.add_option(
      "--time", time,
      "only from A to B, A,B: 81234 (ns), 12.5ms, 0.000081234 (s); marks and calls too, which "
      "--vcpu, --exit and --seq leave out");
  verb.add_option("--tail", tail,
                  "only the last N selected exits, and what stands behind the first of them")
      ->check(positive_number())
      ->type_name("N");
}

Result<Selection> SelectOptions::selection(const TraceReader& reader) const {
  Selection selection;
  for (const std::string& text : vcpus) {
    KVMTAPE_TRY_ASSIGN(const uint64_t index, parse_number("--vcpu", text));
    const bool known =
        std::ranges::any_of(reader.vcpus(), [&](const auto& vcpu) { return vcpu.index == index; });
    if (!known)
      return Error{
          ErrorCode::kUsage,
          fmt::format("--vcpu {}: this recording has no such vCPU; kvmtape info lists them", text),
          reader.path(),
          {}};
    selection.vcpus.push_back(static_cast<uint32_t>(index));
  }
  for (const std::string& name : exits) {
    KVMTAPE_TRY_ASSIGN(const uint32_t reason, parse_exit_name(name));
    selection.reasons.push_back(reason);
  }
  if (!seq.empty()) {
    KVMTAPE_TRY_ASSIGN(selection.seq, parse_seq_range(seq));
  }
  if (!time.empty()) {
    KVMTAPE_TRY_ASSIGN(selection.time_ns, parse_time_range(time));
  }
  return selection;
}

std::string redundant_text(const TraceHealth& health) {
  if (health.redundant_chunks == 0) return {};
  return fmt::format(" ({} more that others make up for)", count_text(health.redundant_chunks));
}

std::string end_text(const TraceHealth& health) {
  if (health.sealed) return "sealed";
  if (health.rings_alone) return "rings alone";
  if (health.writer_alive) return "still being recorded";
  return health.torn_at ? fmt::format("torn at byte {}", *health.torn_at) : "not sealed";
}

std::string abandoned_text(const TraceHealth& health) {
  if (health.ring_writer_pid == 0) return {};
  return fmt::format(
      "its recorder is gone, the monitor (pid {0}) still runs: what does not fit its rings is "
      "lost; kvmtape record -p {0} records on",
      health.ring_writer_pid);
}

std::string copied_text(const TraceHealth& health) {
  if (health.copied_end == OpenEnd::kNone) return {};
  return fmt::format(
      "a copy of a recording {}: what was recorded last, if anything, may be missing",
      health.copied_end == OpenEnd::kTorn ? "whose end was torn" : "that was never sealed");
}

void note_nothing_selected(const TraceReader& reader, Console& console) {
  console.warn(fmt::format("{}: nothing selected; the recording spans 0 s to {:.9g} s, {}",
                           reader.path(), static_cast<double>(reader.duration_ns()) * 1e-9,
                           counted(reader.exits(), "exit")));
}

int report_health(TraceReader& reader, Console& console) {
  if (!console.closed()) reader.check();
  const TraceHealth& health = reader.health();
  const std::string readable = counted(reader.exits(), "exit") + " readable";
  int status = kDone;
  const auto missing = [&](const std::string& text) {
    status = kIncomplete;
    console.warn(reader.path() + ": " + text);
  };
  if (health.vcpus_without_ring != 0)
    missing(
        fmt::format("no ring is there, or can be read, of {}: what the file had of {} exits is not "
                    "counted as lost",
                    counted(health.vcpus_without_ring, "vCPU"),
                    health.vcpus_without_ring == 1 ? "its" : "their"));
  if (health.torn_at)
    missing(fmt::format("torn at byte {} (the monitor was killed?): {}{}{}", *health.torn_at,
                        readable, no_rings_in_place(reader) ? no_rings_text(reader) : "",
                        next_step(reader)));
  if (health.writer_alive)
    missing(fmt::format("still being recorded: {} so far; run it again for more", readable));
  else if (health.rings_alone)
    missing(fmt::format("{}: {}{}", missing_trace_text(health.ring_directory), readable,
                        next_step(reader)));
  else if (!health.sealed && !health.footer_damaged && (!health.torn_at || health.ring_count != 0))
    missing(fmt::format("unsealed: {} from the file{}{}", counted(health.file_exits, "exit"),
                        health.ring_count == 0
                            ? health.ring_directory.empty()  ? no_rings_text(reader)
                              : health.ring_problems.empty() ? ", its rings hold nothing more"
                                                             : ", none from rings"
                            : fmt::format(", {} from {}", count_text(health.ring_exits),
                                          counted(health.ring_count, "ring")),
                        next_step(reader)));
  if (const std::string text = copied_text(health); !text.empty()) missing(text);
  if (const std::string text = abandoned_text(health); !text.empty()) missing(text);
  for (const Error& problem : health.ring_problems) missing(problem.to_string());
  if (health.unsupported_chunks != 0)
    missing(fmt::format("{} of a newer version: {}{}", counted(health.unsupported_chunks, "chunk"),
                        readable, unsupported_text(health)));
  if (const uint64_t damaged = health.damaged_chunks - health.unsupported_chunks; damaged != 0)
    missing(fmt::format("{} damaged{}: {}{}", counted(damaged, "chunk"),
                        health.damaged_bytes == 0 ? "" : ", " + bytes_text(health.damaged_bytes),
                        readable, next_step(reader)));
  if (reader.lost() != 0)
    missing(
        fmt::format("{} lost; kvmtape info says where, and why", counted(reader.lost(), "exit")));
  if (health.behind == BehindEnd::kAnother)
    missing(fmt::format("{}; to read it: tail -c +{} {} > other.kvmtape", behind_text(health),
                        health.behind_at + 1, shell_path(reader.path())));
  else if (health.behind != BehindEnd::kNothing)
    console.warn(reader.path() + ": " + behind_text(health));
  if (health.footer_damaged)
    console.warn(reader.path() + ": the index at its end is damaged; nothing else rests on it");
  if (health.redundant_chunks != 0)
    console.warn(fmt::format("{}: {} damaged that others make up for, no exit is missing by it",
                             reader.path(), counted(health.redundant_chunks, "chunk")));
  if (health.head_lost)
    console.warn(
        reader.path() +
        (reader.session().capabilities.empty() && reader.session().kernel_release.empty()
             ? ": its head is damaged, and what it said of kernel and capabilities is gone: "
               "what depends on them is unknown"
             : ": its head is damaged; what it said stands further on as well"));
  return status;
}

}  // namespace kvmtape
