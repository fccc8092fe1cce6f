// `./dev bench`: every figure of the table of goals in one run, then Google Benchmark's single
// figures. `--out FILE` writes the figures with a goal as JSON; without it only the single figures
// are measured. Other options are Google Benchmark's.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/bench/contender.h"
#include "tests/bench/diffing.h"
#include "tests/bench/figures.h"
#include "tests/bench/hot_path_calls.h"
#include "tests/bench/lttng_session.h"
#include "tests/bench/reading.h"
#include "tests/bench/recorded_words.h"
#include "tests/bench/recordings.h"
#include "tests/bench/side_by_side.h"
#include "tests/bench/stopwatch.h"
#include "tests/bench/unmodified.h"

namespace kvmtape::bench {
namespace {

std::string quantile_text(const Quantiles& quantiles) {
  return fmt::format("{:6.0f} {:6.0f} {:6.0f}", quantiles.p50, quantiles.p99, quantiles.p999);
}

class Report {
 public:
  explicit Report(std::string directory)
      : directory_(std::move(directory)), tracks_(load_tracks()) {}

  bool has_streams() const { return !tracks_.empty(); }
  const Figures& figures() const { return figures_; }

  void run(const std::string& own_path) {
    const Workload workload(tracks_, false);
    capture(workload);
    hot_path(workload);
    size();
    drain(workload);
    reading(workload, own_path);
    diffing();
    unmodified();
  }

 private:
  void add(std::string name, const char* unit, double value, double goal,
           Better better = Better::kLower, std::string reason_skipped = "") {
    figures_.add({std::move(name), unit, value, goal, better, std::move(reason_skipped)});
  }

  void capture(const Workload& workload) {
    LttngSession lttng(directory_);
    lttng.start("lttng-288");
    const auto core =
        compare_side_by_side(workload, kCoreBytes, directory_, lttng.reason_skipped());
    lttng.stop();
    if (const Standing* peer = find_standing(core, "LTTng-UST"); peer->reason_skipped.empty())
      babeltrace_ = time_babeltrace(lttng.trace_directory("lttng-288"), peer->moments, directory_);
    else
      babeltrace_.reason_skipped = peer->reason_skipped;
    lttng.start("lttng-2352");
    const Workload with_sync(tracks_, true);
    const auto sync =
        compare_side_by_side(with_sync, kSyncBytes, directory_, lttng.reason_skipped());
    lttng.stop();

    const Standing& own = *find_standing(core, "kvmtape");
    const Standing& peer = *find_standing(core, "LTTng-UST");
    const Standing& copy = *find_standing(core, "two plain copies");
    const Standing& peer_sync = *find_standing(sync, "LTTng-UST");
    const std::string& own_skipped = own.reason_skipped;  // a ratio of 0 is no goal reached
    const std::string& skipped = own_skipped.empty() ? peer.reason_skipped : own_skipped;
    const std::string& sync_skipped = own_skipped.empty() ? peer_sync.reason_skipped : own_skipped;
    add("capture of one exit, both moments, against LTTng-UST with 288 bytes", "", peer.ratio, 0.25,
        Better::kLower, skipped);
    add("capture p99 against LTTng-UST's, paced", "", own.paced.p99 / peer.paced.p99, 1,
        Better::kLower, skipped);
    add("the same with 2,352 bytes", "", peer_sync.ratio, 0.125, Better::kLower, sync_skipped);
    add("against two plain copies of the same 288 bytes", "", copy.ratio, 1.5, Better::kLower,
        own_skipped);
    note_standings("288 bytes", core);
    note_standings("2,352 bytes", sync);
  }

  void note_standings(const char* payload, const std::vector<Standing>& standings) {
    figures_.note(fmt::format("{}: ns an exit, both moments{:>16} | {:>20} | {:>20} | {:>6} | lost",
                              payload, "flat out", "paced p50 p99 p99.9", "cold p50 p99 p99.9",
                              "ratio"));
    for (const Standing& standing : standings) {
      if (!standing.reason_skipped.empty())
        figures_.note(fmt::format("  {:<28} skipped: {}", standing.name, standing.reason_skipped));
      else
        figures_.note(
            fmt::format("  {:<28} {:>18.1f} | {} | {} | {:>6.3f} | {} of {}", standing.name,
                        standing.flat_out_ns, quantile_text(standing.paced),
                        quantile_text(standing.cold), standing.ratio,
                        standing.lost ? fmt::format("{}", *standing.lost) : "?", standing.moments));
    }
  }

  void hot_path(const Workload& workload) {
    const HotPathCalls calls = count_hot_path_calls(workload, directory_);
    add("system calls on the capture path", "", static_cast<double>(calls.system_calls), 0,
        Better::kLower, calls.reason_skipped);
    add("allocations on the capture path", "", static_cast<double>(calls.allocations), 0,
        Better::kLower, calls.reason_skipped);
    figures_.note(fmt::format("{} system calls and {} allocations in {} exits", calls.system_calls,
                              calls.allocations, calls.exits));
  }

  struct Size {
    double ns = 0;
    double bytes = 0;
    double raw_ns = 0;
    double raw_bytes = 0;
  };

  Size measure_size(size_t chunk_exits, bool with_answers) const {
    std::vector<double> ns, raw_ns;
    Size size;
    std::vector<RecordedWords> recorded;
    for (const Track& track : tracks_) recorded.push_back(record_track(track, with_answers));
    for (int repetition = 0; repetition < 5; ++repetition) {
      Encoded own, raw;
      for (size_t i = 0; i < tracks_.size(); ++i) {
        sum(own, encode(recorded[i], chunk_exits));
        // Once is enough where the time is not compared.
        if (repetition == 0) sum(raw, compress_raw_rows(tracks_[i], chunk_exits, with_answers));
      }
      const auto exits = static_cast<double>(own.exits);
      ns.push_back(own.seconds * 1e9 / exits);
      size.bytes = static_cast<double>(own.bytes) / exits;
      if (repetition != 0) continue;
      size.raw_ns = raw.seconds * 1e9 / exits;
      size.raw_bytes = static_cast<double>(raw.bytes) / exits;
    }
    size.ns = median(ns);
    return size;
  }
  static void sum(Encoded& total, const Encoded& part) {
    total.seconds += part.seconds;
    total.exits += part.exits;
    total.bytes += part.bytes;
  }

  void size() {
    pin_to(kProducerCpu);
    for (size_t chunk_exits : {size_t{512}, size_t{4096}, size_t{kChunkExitsMax}}) {
      const Size both = measure_size(chunk_exits, true);
      const Size exits = measure_size(chunk_exits, false);
      figures_.note(fmt::format(
          "chunks of {:>6}: {:5.1f} ns {:5.2f} bytes an exit (raw rows, zstd-3: {:5.2f}); answers "
          "left out: {:5.1f} ns {:5.2f} bytes (raw rows: {:5.2f})",
          chunk_exits, both.ns, both.bytes, both.raw_bytes, exits.ns, exits.bytes,
          exits.raw_bytes));
      if (chunk_exits != kChunkExitsMax) continue;
      add("drain: encode and compress, both moments", "ns an exit", both.ns, 60);
      add("size on the streams: both moments and both timestamps", "bytes an exit", both.bytes, 5);
      add("size on the streams: the answers left out, one timestamp", "bytes an exit", exits.bytes,
          2.6);
      add("against zstd-3 on the raw rows, both moments", "", both.bytes / both.raw_bytes, 0.45);
      add("against zstd-3 on the raw rows, the answers left out", "", exits.bytes / exits.raw_bytes,
          0.45);
    }
    for (const Track& track : tracks_) {
      if (track.moments.size() < 1000) continue;
      const Encoded own = encode(record_track(track, true), kChunkExitsMax);
      figures_.note(fmt::format("{}: {:.2f} bytes an exit", track.name,
                                static_cast<double>(own.bytes) / static_cast<double>(own.exits)));
    }
  }

  void drain(const Workload& workload) {
    pin_to_all();
    double best = 0;
    for (double rate : {12e6, 11e6, 10.5e6, 10e6, 8e6, 6e6, 4e6, 2e6, 1e6}) {
      const Recording recording = record_at_rate(workload, directory_, "rate.kvmtape", 4, rate,
                                                 static_cast<uint64_t>(rate));
      figures_.note(fmt::format("4 threads at {:.1f} M exits/s wanted: {:.2f} M/s, {} lost {}",
                                rate / 1e6, recording.exits_per_second() / 1e6, recording.lost,
                                recording.error));
      if (recording.lost != 0 || !recording.error.empty()) continue;
      best = recording.exits_per_second();
      break;
    }
    add("drain: from 4 threads with nothing lost", "exits/s", best, 10e6, Better::kHigher);
  }

  void reading(const Workload& workload, const std::string& own_path) {
    constexpr uint64_t kShort = 200'000;
    const Recording once = record_at_rate(workload, directory_, "short.kvmtape", 1, 1e6, kShort);
    const Recording ten = record_at_rate(workload, directory_, "long.kvmtape", 1, 1e6, 10 * kShort);
    std::string failed = once.error + ten.error;
    if (once.lost + ten.lost != 0) figures_.note("the traces for the reader have gaps");
    pin_to(kProducerCpu);
    const std::string trace = directory_ + "/long.kvmtape";
    const auto counting = time_counting(trace);
    const auto decoding = time_decoding(trace);
    if (!counting.ok()) failed += counting.error().to_string();
    if (!decoding.ok()) failed += decoding.error().to_string();
    const double counted = counting.ok() ? counting->exits_per_second() : 0;
    const double decoded = decoding.ok() ? decoding->exits_per_second() : 0;
    const double own_ns = decoding.ok() ? decoding->ns_per_moment() : 0;
    add("read: count reasons and times of a trace", "exits/s", counted, 50e6, Better::kHigher,
        failed);
    add("read: rebuild raw bytes and decode every field", "exits/s", decoded, 5e6, Better::kHigher,
        failed);
    add("read: times faster than babeltrace2, per event", "", babeltrace_.ns_per_event / own_ns,
        100, Better::kHigher, failed + babeltrace_.reason_skipped);
    const PeerReadTime perf = time_perf_script(own_path, directory_);
    add("read: times faster than perf script, per event", "", perf.ns_per_event / own_ns, 30,
        Better::kHigher, failed + perf.reason_skipped);
    figures_.note(
        fmt::format("decode: kvmtape {:.1f} ns a moment, babeltrace2 {:.0f}, perf script {:.0f}",
                    own_ns, babeltrace_.ns_per_event, perf.ns_per_event));
    const auto memory = reader_memory_bytes(directory_ + "/short.kvmtape");
    const auto memory_ten = reader_memory_bytes(trace);
    if (!memory.ok() || !memory_ten.ok() || *memory == 0) {
      add("memory of the reader: ten times the trace against one", "", 0, 1.1, Better::kLower,
          "the traces could not be read");
      return;
    }
    add("memory of the reader: ten times the trace against one", "",
        static_cast<double>(*memory_ten) / static_cast<double>(*memory), 1.1);
    figures_.note(fmt::format("reader: {} KiB for {} exits, {} KiB for {}", *memory / 1024,
                              once.exits, *memory_ten / 1024, ten.exits));
  }

  void diffing() {
    pin_to_all();
    uint64_t peak_bytes = 0;
    std::string failed;
    for (const DiffCost& cost : measure_diff(directory_)) {
      add(fmt::format("diff: 10 M exits with 10 M, {:g} % different", cost.share * 100), "s",
          cost.seconds, 10, Better::kLower, cost.reason_skipped);
      figures_.note(fmt::format("diff at {:g} %: {:.2f} s, {:.2f} s of processor time",
                                cost.share * 100, cost.seconds, cost.cpu_seconds));
      peak_bytes = std::max(peak_bytes, cost.peak_bytes);
      failed += cost.reason_skipped;
    }
    add("diff: most memory at any of these", "MB", static_cast<double>(peak_bytes) / 1e6, 1000,
        Better::kLower, failed);
  }

  void unmodified() {
    pin_to_all();
    const UnmodifiedCosts costs = measure_unmodified(directory_);
    add("preload: time of a PIO-bound vCPU, recorded to plain", "", costs.preload.ratio, 1.02,
        Better::kLower, costs.preload.reason_skipped);
    add("eBPF: time in the kernel's programs", "ns an exit", costs.bpf_program_ns, 1000,
        Better::kLower, costs.bpf.reason_skipped);
    for (const auto& [name, cost] :
         {std::pair{"preload", costs.preload}, std::pair{"eBPF", costs.bpf},
          std::pair{"perf record", costs.perf}})
      figures_.note(
          cost.reason_skipped.empty()
              ? fmt::format("PIO-bound guest by {}: {:.3f} times the plain run's time, "
                            "{:+.0f} ns an exit",
                            name, cost.ratio, cost.ns_an_exit)
              : fmt::format("PIO-bound guest by {}: skipped: {}", name, cost.reason_skipped));
  }

  static void pin_to_all() {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
  }

  std::string directory_;
  std::vector<Track> tracks_;
  Figures figures_;
  PeerReadTime babeltrace_;
};

// A directory in memory for traces, rings and peers' files; goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    if (::mkdtemp(path_) == nullptr) path_[0] = '\0';
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (path_[0] != '\0') std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  std::string path() const { return path_; }

 private:
  char path_[64] = "/dev/shm/kvmtape-bench-XXXXXX";
};

int report(const std::string& out) {
  const TemporaryDirectory directory;
  Report report(directory.path());
  if (directory.path().empty() || !report.has_streams()) {
    fmt::print(stderr, "kvmtape_bench: needs /dev/shm and traces/streams/*.raw.zst\n");
    return 2;
  }
  report.run(std::filesystem::read_symlink("/proc/self/exe"));
  report.figures().print();
  if (auto written = report.figures().write_json(out); !written.ok()) {
    fmt::print(stderr, "kvmtape_bench: {}\n", written.error().to_string());
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace kvmtape::bench

int main(int argc, char** argv) {
  std::string out;
  if (argc == 2 && std::strcmp(argv[1], "--touch-pages") == 0) {
    kvmtape::bench::touch_pages();
    return 0;
  }
  if (argc >= 3 && std::strcmp(argv[1], "--out") == 0) {
    out = argv[2];
    argv[2] = argv[0];
    argv += 2;
    argc -= 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (!out.empty()) {
    if (const int status = kvmtape::bench::report(out); status != 0) return status;
    fmt::print("\n");
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
