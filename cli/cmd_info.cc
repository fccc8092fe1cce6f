// `kvmtape info`: what a recording is, at a glance, and what is wrong with it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "analysis/capability_names.h"
#include "analysis/gaps.h"
#include "analysis/monitor_end.h"
#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/trace_options.h"
#include "schema/base/uuid_text.h"

namespace kvmtape {
namespace {

constexpr size_t kGapsShown = 20;
constexpr size_t kVcpusShown = 64;

// Without -v: which processor it is, and whether KVM itself ran in a guest or may run some.
bool is_telling(const std::string& name) {
  return name == "model name" || name == "vendor_id" || name == "CPU implementer" ||
         name == "CPU part" || name.ends_with(".nested") || name == "kvm.ignore_msrs";
}

class InfoText {
 public:
  InfoText(const TraceReader& reader, const std::string& killed_by, Console& console)
      : reader_(reader), session_(reader.session()), killed_by_(killed_by), console_(console) {}

  void line(const std::string& label, const std::string& text) {
    if (!text.empty())
      console_.print(fmt::format("{} {}\n", console_.painted(fmt::format("{:<12}", label), "1"),
                                 printable(text)));
  }

  void session(bool all) {
    line("recording", reader_.path());
    line("session",
         to_string(session_.uuid) + (session_.recorder.empty() ? "" : ", by " + session_.recorder));
    const bool lasted = reader_.recorded_ns() > 0;
    if (session_.start.realtime_ns != 0)
      line("recorded",
           utc_text(session_.start.realtime_ns) + (lasted ? ", for " + duration() : ""));
    else if (lasted)
      line("recorded", "for " + duration());
    if (const int64_t begin = reader_.begin_ns(), end = reader_.duration_ns(); begin != 0)
      line("this file",
           fmt::format("from {} s to {} s of that: {}", seconds_text(begin), seconds_text(end),
                       duration_text(static_cast<uint64_t>(std::max(end - begin, int64_t{0})))));
    line("kernel", session_.kernel_release.empty()
                       ? "not known"
                       : session_.kernel_release + " " + session_.kernel_version);
    line("system", session_.distribution);
    line("host", fmt::format("{}{}{}, {} endian{}", session_.host_name,
                             session_.host_name.empty() ? "" : ", ",
                             architecture_name(session_.architecture),
                             session_.byte_order == ByteOrder::kLittle ? "little" : "big",
                             session_.page_bytes == 0
                                 ? ""
                                 : fmt::format(", pages of {} bytes", session_.page_bytes)));
    line("monitor", monitor());
    for (const auto& [name, value] : session_.cpu_facts)
      if (all || is_telling(name)) line("cpu", name + ": " + value);
    line("clock", session_.clock_name.empty() ? "not known"
                                              : fmt::format("{}, {} ticks/s", session_.clock_name,
                                                            count_text(session_.ticks_per_second)));
    line("registers", session_.register_policy);
    line("ring full", session_.ring_full);
    line("redacted", session_.redaction);
    line("trigger", session_.trigger);
    line("ABI", session_.abi_variant);
    for (const std::string& words : session_.left_out) line("left out", words);
    for (const std::string& what : session_.history) line("history", what);
  }

  void totals() {
    const uint64_t exits = reader_.exits();
    line("exits", fmt::format("{}, {} lost, {}", count_text(exits), count_text(reader_.lost()),
                              counted(reader_.vcpus().size(), "vCPU")));
    size_t shown = 0;
    for (const VcpuTotals& vcpu : reader_.vcpus()) {
      if (shown++ == kVcpusShown) break;
      line(fmt::format("  vCPU {}", vcpu.index),
           fmt::format("{}, {} lost{}", counted(vcpu.exits, "exit"), count_text(vcpu.lost),
                       vcpu.id == vcpu.index ? "" : fmt::format(" (KVM's id {})", vcpu.id)));
    }
    if (reader_.vcpus().size() > kVcpusShown)
      line("  ...", fmt::format("{} more", reader_.vcpus().size() - kVcpusShown));
    const double per_exit =
        exits == 0 ? 0 : static_cast<double>(reader_.file_bytes()) / static_cast<double>(exits);
    const TraceHealth& health = reader_.health();
    line("storage",
         fmt::format("{} in {}, {:.1f} bytes an exit, {}", bytes_text(reader_.file_bytes()),
                     counted(reader_.chunk_count(), "chunk"), per_exit, end_text(health)));
    if (health.ring_exits != 0)
      line("rings", fmt::format("{} only in rings: {}", counted(health.ring_exits, "exit"),
                                health.ring_directory));
  }

  void gaps(const GapList& list) {
    for (size_t i = 0; i < list.gaps.size() && i < kGapsShown; ++i) {
      const auto& [vcpu, gap] = list.gaps[i];
      line("gap", fmt::format("{}:{} {} lost: {}", vcpu, gap.first_seq, count_text(gap.lost),
                              to_string(gap.why)));
    }
    const uint64_t more = list.gaps.size() + list.left_out;
    if (more > kGapsShown) line("gap", fmt::format("{} more", count_text(more - kGapsShown)));
  }

  void capabilities(bool all) {
    const auto known = decode_context_of(session_).capabilities;
    size_t offered = 0;
    for (const auto& [number, value] : known) offered += value != 0 ? 1 : 0;
    line("capabilities", known.empty() ? "not known"
                                       : fmt::format("{} of {} asked are offered{}", offered,
                                                     known.size(), all ? "" : "; -v lists them"));
    for (const auto& [number, value] : known) {
      if (!all) break;
      const std::string_view name = capability_name(number);
      console_.print(fmt::format("  {:>4} {} = {}\n", number, name.empty() ? "?" : name, value));
    }
  }

  void problems() {
    for (const std::string& text : problem_texts(reader_.health())) line("problem", text);
  }

 private:
  std::string monitor() const {
    std::string text = session_.monitor_name;
    if (!text.empty() && session_.monitor_pid != 0)
      text += fmt::format(" (pid {})", session_.monitor_pid);
    if (!killed_by_.empty())
      text += fmt::format("{}killed by {}", text.empty() ? "" : ", ", killed_by_);
    return text;
  }
  // A guest that was silent at the end is one to look at.
  std::string duration() const {
    constexpr int64_t kSilentNs = 1'000'000'000;
    const int64_t last = reader_.duration_ns(), end = reader_.recorded_ns();
    std::string text = duration_text(static_cast<uint64_t>(std::max<int64_t>(end, 0)));
    if (last > 0 && end - last >= kSilentNs)
      text += ", nothing after " + duration_text(static_cast<uint64_t>(last));
    return text;
  }

  const TraceReader& reader_;
  const Session& session_;
  const std::string& killed_by_;
  Console& console_;
};

int run_info(const TraceOptions& options, Console& console) {
  auto opened = options.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  reader.check();
  const GapList gaps = find_gaps(reader);
  const std::string killed_by = monitor_killed_by(reader);
  if (options.json) {
    nlohmann::ordered_json document = {{"kvmtape_json", 1}};
    document["session"] = session_json(reader.session());
    document["session"]["monitor"]["killed_by"] =
        killed_by.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(killed_by);
    document["totals"] = totals_json(reader);
    document["gaps"] = gaps_json(gaps);
    document["storage"] = storage_json(reader);
    console.print(to_line(document));
  } else {
    InfoText text(reader, killed_by, console);
    text.session(options.verbose);
    text.totals();
    text.gaps(gaps);
    text.problems();
    text.capabilities(options.verbose);
  }
  return report_health(reader, console);
}

}  // namespace

void add_info(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("info", "what a recording is: kernel, vCPUs, exits, health");
  auto options = std::make_shared<TraceOptions>();
  options->add_to(*verb);
  verb->callback([options, &chosen] {
    chosen = [options](Console& console) {
      options->apply(console);
      return run_info(*options, console);
    };
  });
}

}  // namespace kvmtape
