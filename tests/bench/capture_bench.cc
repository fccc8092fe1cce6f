// Capture by itself: the comparison of words, and both calls of an exit into a ring that
// overwrites.
#include <benchmark/benchmark.h>

#include <array>

#include "recorder/capture/changed_words.h"
#include "recorder/capture/vcpu_capture.h"
#include "recorder/ring/clock.h"
#include "schema/snapshot.h"
#include "tests/bench/workload.h"
#include "tests/support/memory_ring.h"

namespace kvmtape::bench {
namespace {

void clock_read(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(read_clock());
}
BENCHMARK(clock_read);

void changed_words(benchmark::State& state) {
  alignas(64) std::array<uint64_t, kCoreWords> now{}, shadow{};
  const ChangedWordsFunction compare =
      state.range(0) != 0 ? changed_words_function() : detail::changed_words_portable;
  for (auto _ : state) {
    benchmark::DoNotOptimize(now.data());
    benchmark::DoNotOptimize(compare(now.data(), shadow.data(), kCoreWords));
    benchmark::ClobberMemory();
  }
  state.SetLabel(state.range(0) != 0 ? "fastest" : "portable");
}
BENCHMARK(changed_words)->Arg(0)->Arg(1);

// 0: the core of kvm_run; 1: with its sync area. Laying the moments down is part of it.
void capture_exit(benchmark::State& state) {
  const Workload workload(load_tracks(), state.range(0) != 0);
  RunPage page(workload);
  testing::MemoryRing<uint64_t> ring(16, /*overwrite=*/true, 64 * 1024);
  VcpuCapture capture(ring.header(), page.memory(), kRunPageBytes, -1, {});
  for (auto _ : state) {
    const int32_t ret = page.next();
    capture.exit(ret < 0 ? -1 : 0, -ret);
    page.next();
    capture.enter();
  }
}
BENCHMARK(capture_exit)->Arg(0)->Arg(1);

}  // namespace
}  // namespace kvmtape::bench
