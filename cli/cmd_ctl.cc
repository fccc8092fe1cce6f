// `kvmtape ctl`: steers a recording that runs, through the socket beside its trace.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/human.h"
#include "cli/recorders_of.h"
#include "cli/ring_hint.h"
#include "cli/trace_options.h"
#include "recorder/control/control_server.h"
#include "recorder/control/unix_socket.h"

namespace kvmtape {
namespace {

namespace fs = std::filesystem;

struct CtlCommand {
  OutputOptions output;
  std::string target;
  std::string request;
  std::string text;
};

std::string whom_to_name(const RunningRecording& recording) {
  std::error_code error;
  if (!fs::exists(control_path(recording.trace), error))
    return ", but nobody listens beside " + recording.trace;
  return ": name " + recording.trace +
         (recording.monitor_pid == 0
              ? ""
              : ", or its monitor, process " + std::to_string(recording.monitor_pid));
}

Error nobody(const std::string& target) {
  if (const auto reader = TraceReader::open(target); reader.ok()) {
    const TraceHealth& health = (*reader)->health();
    const std::string text = abandoned_text(health);
    if (!text.empty()) return Error{ErrorCode::kIo, text, target, std::nullopt};
    if (const auto running = running_recording(**reader))
      return Error{ErrorCode::kIo, "this is " + running->what + whom_to_name(*running), target, {}};
    if (health.sealed)
      return Error{ErrorCode::kIo, "this recording has ended and is sealed", target, std::nullopt};
  }
  return Error{ErrorCode::kIo,
               "no recording that runs is found by this: name its trace, or the "
               "process of its monitor or recorder",
               target, std::nullopt};
}

// The socket that process `pid` listens on, beside a trace that it has open.
Result<UniqueFd> connect_to_process(pid_t pid) {
  Error why = nobody(std::to_string(pid));
  for (const OpenTrace& trace : open_traces_of(pid)) {
    std::error_code error;
    for (fs::directory_iterator file(fs::path(trace.path).parent_path(), error), end;
         !error && file != end; file.increment(error)) {
      if (file->path().extension() != ".ctl") continue;
      auto socket = connect_to(file->path().string());
      if (!socket.ok() && socket.error().code == ErrorCode::kRefused) why = socket.error();
      if (!socket.ok()) continue;
      const auto peer = peer_of(socket->get());
      if (peer && peer->pid == pid) return socket;
    }
  }
  return why;
}

// In a directory where anybody may write, anybody may listen beside a trace.
Result<UniqueFd> connect_to_trace(const fs::path& trace) {
  KVMTAPE_TRY_ASSIGN(UniqueFd socket, connect_to(control_path(trace)));
  struct stat status {};
  const bool is_there = ::stat(trace.c_str(), &status) == 0;
  const auto peer = peer_of(socket.get());
  if (peer &&
      (peer->uid == 0 || peer->uid == ::geteuid() || (is_there && peer->uid == status.st_uid)))
    return socket;
  return Error{ErrorCode::kRefused, "it is not the recorder of this trace who listens here",
               control_path(trace), std::nullopt};
}

Result<UniqueFd> connect_to_target(const std::string& target) {
  const auto process = process_named(target);
  if (!process) {
    std::error_code error;
    const fs::path trace = fs::weakly_canonical(target, error);
    auto socket = connect_to_trace(error ? fs::path(target) : trace);
    if (socket.ok() || socket.error().code == ErrorCode::kRefused) return socket;
    return nobody(target);
  }
  Error why = nobody(target);
  std::error_code hidden;
  fs::directory_iterator(fs::path("/proc") / target / "fd", hidden);
  if (hidden == std::errc::permission_denied)
    why = {ErrorCode::kRefused,
           "permission denied: only its own user and root may see what it records",
           target,
           {}};
  for (const pid_t recorder : recorders_of(*process)) {
    auto socket = connect_to_process(recorder);
    if (socket.ok()) return socket;
    if (socket.error().code == ErrorCode::kRefused) why = socket.error();
  }
  return why;
}

// How long an answer may take: a snapshot waits for the disk.
timeval patience_for(Request::Kind request) {
  return request == Request::Kind::kSnapshot ? timeval{60, 0} : timeval{5, 0};
}

Result<nlohmann::ordered_json> ask(const std::string& target, const std::string& line,
                                   const timeval& patience) {
  KVMTAPE_TRY_ASSIGN(const UniqueFd socket, connect_to_target(target));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size()))
    return nobody(target);
  std::string reply;
  char bytes[4096];
  ssize_t got = 0;
  while (reply.find('\n') == std::string::npos &&
         (got = ::recv(socket.get(), bytes, sizeof bytes, 0)) > 0)
    reply.append(bytes, static_cast<size_t>(got));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return Error{ErrorCode::kIo,
                 fmt::format("no answer within {} s: is its process stopped, or its disk stuck? It "
                             "does what was asked when it goes on",
                             patience.tv_sec),
                 target,
                 {}};
  auto json = nlohmann::ordered_json::parse(reply, nullptr, false);
  if (!json.is_object())
    return Error{ErrorCode::kIo, "it ended, or let go of us, before it answered", target, {}};
  return json;
}

void print_status(const nlohmann::ordered_json& status, Console& console) {
  auto count = [&](const char* name) { return count_text(status.value(name, uint64_t{0})); };
  auto rate = [&](const char* name) {
    return static_cast<uint64_t>(std::max(0.0, status.value(name, 0.0)));
  };
  console.print(fmt::format("{:<10}{}\n", "trace", printable(status.value("trace", ""))));
  const auto snapshots = status.find("snapshots");
  const bool is_flight = snapshots != status.end() && snapshots->is_number_unsigned();
  std::string state = status.value("state", "");
  if (is_flight)
    state += ", the last of it in the rings, " + counted(snapshots->get<uint64_t>(), "snapshot") +
             " written";
  if (const auto why = status.find("write_error"); why != status.end() && why->is_string())
    state += ", but nothing can be written: " + why->get<std::string>();
  console.print(fmt::format("{:<10}{}\n", "state", printable(state)));
  console.print(fmt::format("{:<10}{}, {}/s, {} lost\n", "exits", count("exits"),
                            count_text(rate("exits_per_second")), count("lost")));
  console.print(fmt::format("{:<10}{}, {}/s, {}\n", "bytes",
                            bytes_text(status.value("bytes", uint64_t{0})),
                            bytes_text(rate("bytes_per_second")),
                            counted(status.value("write_errors", uint64_t{0}), "write error")));
  // An older recorder's are of no such time.
  if (const auto seconds = status.find("rate_seconds");
      seconds != status.end() && seconds->is_number())
    console.print(fmt::format("{:<10}over the last {:.1f} s\n", "rates", seconds->get<double>()));
  for (const auto& ring : status.value("rings", nlohmann::ordered_json::array()))
    console.print(fmt::format(
        "{:<10}{:.0f}% of {}\n", fmt::format("ring {}", ring.value("vcpu", uint64_t{0})),
        100 * ring.value("fill", 0.0), bytes_text(ring.value("bytes", uint64_t{0}))));
}

int run_ctl(const CtlCommand& command, Console& console) {
  const std::string line = command.request + (command.text.empty() ? "" : " " + command.text);
  const auto request = parse_request(line);
  if (!request.ok()) return console.fail(request.error());
  const auto reply = ask(command.target, line + "\n", patience_for(request->kind));
  if (!reply.ok()) return console.fail(reply.error());
  if (reply->contains("error")) return console.fail(reply->value("error", ""));
  if (command.output.json) {
    nlohmann::ordered_json document = {{"kvmtape_json", 1}};
    for (const auto& [name, value] : reply->items())
      if (name != "kvmtape_ctl") document[name] = value;  // the socket's version, not ours
    console.print(document.dump() + "\n");
  } else if (request->kind == Request::Kind::kStatus) {
    print_status(*reply, console);
  } else if (request->kind == Request::Kind::kSnapshot) {
    console.print(printable(reply->value("path", "")) + "\n");
  }
  return kDone;
}

}  // namespace

void add_ctl(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("ctl", "steers a recording that runs");
  verb->footer("Exit status: 0 done; 2 it failed.");
  auto command = std::make_shared<CtlCommand>();
  command->output.add_to(*verb);
  verb->add_option("target", command->target,
                   "its trace, or the process of its monitor or recorder")
      ->required();
  verb->add_option("request", command->request, "status, start, stop, snapshot [TEXT], mark TEXT")
      ->required();
  verb->add_option("text", command->text, "of a mark, or why a snapshot is made");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run_ctl(*command, console);
    };
  });
}

}  // namespace kvmtape
