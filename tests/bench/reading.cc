#include "tests/bench/reading.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <vector>

#include "replayer/exit_decoder.h"
#include "replayer/trace_reader.h"
#include "tests/bench/child_process.h"
#include "tests/bench/contender.h"
#include "tests/bench/stopwatch.h"

namespace kvmtape::bench {
namespace {

constexpr int kRepetitions = 5;

struct Counted {
  uint64_t exits = 0;
  uint64_t check = 0;  // so that nothing is optimised away
};

DecodeContext context_of(const Session& session) {
  DecodeContext context;
  context.architecture = session.architecture;
  context.byte_order = session.byte_order;
  context.kernel = parse_kernel_release(session.kernel_release);
  return context;
}

Result<Counted> count(TraceReader& reader) {
  Counted counted;
  uint64_t by_reason[64] = {};
  reader.summarize([&](uint32_t, const ChunkDecoder::Summary& chunk) {
    counted.exits += chunk.reasons.size();
    for (size_t i = 0; i < chunk.reasons.size(); ++i) {
      ++by_reason[chunk.reasons[i] % 64];
      if (chunk.monitor[i] != ChunkDecoder::kNoTicks) counted.check += chunk.monitor[i];
    }
  });
  counted.check += by_reason[2];
  return counted;
}

template <typename Watch>
Result<Counted> decode(TraceReader& reader, Watch watch) {
  const ExitDecoder decoder(context_of(reader.session()));
  Counted counted;
  Exit exit;
  Item item;
  reader.rewind();
  while (reader.next(item)) {
    if (item.kind != Item::Kind::kExit) continue;
    watch(++counted.exits);
    RawMoment moment{item.exit->kvm_run, item.exit->data, item.exit->ret};
    decoder.decode(moment, exit);
    counted.check += exit.field_count;
    if (!item.exit->has_answer) continue;
    moment.kvm_run = item.exit->answer_kvm_run;
    moment.data = item.exit->answer_data;
    moment.is_answer = true;
    decoder.decode(moment, exit);
    counted.check += exit.field_count;
  }
  return counted;
}

template <typename Walk>
Result<ReadTime> time_walk(const std::string& trace, Walk walk) {
  KVMTAPE_TRY_ASSIGN(auto reader, TraceReader::open(trace));
  ReadTime time;
  std::vector<double> seconds;
  for (int i = 0; i < kRepetitions; ++i) {
    const CpuStopwatch watch;
    KVMTAPE_TRY_ASSIGN(const Counted counted, walk(*reader));
    asm volatile("" : : "r"(counted.check));
    seconds.push_back(watch.seconds());
    time.exits = counted.exits;
  }
  time.seconds = median(seconds);
  return time;
}

// What malloc has given out, large blocks included.
uint64_t heap_bytes() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

Result<ReadTime> time_counting(const std::string& trace) { return time_walk(trace, count); }
Result<ReadTime> time_decoding(const std::string& trace) {
  return time_walk(trace, [](TraceReader& reader) { return decode(reader, [](uint64_t) {}); });
}

Result<uint64_t> reader_memory_bytes(const std::string& trace) {
  const uint64_t before = heap_bytes();
  KVMTAPE_TRY_ASSIGN(auto reader, TraceReader::open(trace));
  uint64_t most = 0;
  KVMTAPE_TRY(decode(*reader, [&](uint64_t exits) {
    if (exits % 10'000 == 0) most = std::max(most, heap_bytes() - before);
  }));
  return most;
}

PeerReadTime time_babeltrace(const std::string& trace_directory, uint64_t events,
                             const std::string& directory) {
  const ProgramRun run = run_program({"babeltrace2", "-c", "sink.utils.dummy", trace_directory},
                                     directory, kProducerCpu);
  if (run.status != 0) return {0, "babeltrace2: " + run.error_text};
  return {run.cpu_seconds * 1e9 / static_cast<double>(events), ""};
}

PeerReadTime time_perf_script(const std::string& own_path, const std::string& directory) {
  const std::string data = directory + "/perf.data";
  ProgramRun run = run_program({"perf", "record", "-q", "-e", "page-faults", "-c", "1", "-o", data,
                                "--", own_path, "--touch-pages"},
                               directory);
  if (run.status != 0) return {0, "perf record: " + run.error_text};
  run = run_program({"perf", "script", "-i", data}, directory, kProducerCpu);
  if (run.status != 0) return {0, "perf script: " + run.error_text};
  return {run.cpu_seconds * 1e9 / static_cast<double>(kPageFaults), ""};
}

void touch_pages() {
  constexpr size_t kPages = 1000, kPageBytes = 4096;
  void* memory = ::mmap(nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  ::madvise(memory, kPages * kPageBytes, MADV_NOHUGEPAGE);
  for (uint64_t round = 0; round < kPageFaults / kPages; ++round) {
    for (size_t page = 0; page < kPages; ++page)
      static_cast<volatile uint8_t*>(memory)[page * kPageBytes] = 1;
    ::madvise(memory, kPages * kPageBytes, MADV_DONTNEED);
  }
}

}  // namespace kvmtape::bench
