// Capture by itself: the comparison of words, and both calls of an exit into a ring that
// overwrites.
#include <benchmark/benchmark.h>

#include <array>

#include "recorder/capture/changed_words.h"
#include "recorder/ring/clock.h"
#include "schema/snapshot.h"

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

}  // namespace
}  // namespace kvmtape::bench
