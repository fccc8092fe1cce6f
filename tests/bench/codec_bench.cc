// The codec by itself, on the larger of the streams: chunks in, chunks out.
#include <benchmark/benchmark.h>

#include "replayer/exit_decoder.h"
#include "tests/bench/recorded_words.h"

namespace kvmtape::bench {
namespace {

const RecordedWords& linux_boot() {
  static const RecordedWords recorded = record_track(load_tracks().at(0), true);
  return recorded;
}

void per_exit(benchmark::State& state, uint64_t exits) {
  state.counters["exits"] =
      benchmark::Counter(static_cast<double>(exits), benchmark::Counter::kIsIterationInvariantRate);
}

void encode_chunks(benchmark::State& state) {
  const auto chunk_exits = static_cast<size_t>(state.range(0));
  Encoded encoded;
  for (auto _ : state) benchmark::DoNotOptimize(encoded = encode(linux_boot(), chunk_exits));
  per_exit(state, linux_boot().exits());
  state.counters["bytes/exit"] =
      static_cast<double>(encoded.bytes) / static_cast<double>(encoded.exits);
}
BENCHMARK(encode_chunks)->Arg(512)->Arg(4096)->Arg(32768)->Unit(benchmark::kMillisecond);

std::vector<std::vector<uint8_t>> chunks_of(size_t chunk_exits) {
  std::vector<std::vector<uint8_t>> chunks;
  encode(linux_boot(), chunk_exits, &chunks);
  return chunks;
}

void summarize_chunks(benchmark::State& state) {
  const auto chunks = chunks_of(static_cast<size_t>(state.range(0)));
  ChunkDecoder decoder;
  for (auto _ : state)
    for (const auto& chunk : chunks) {
      if (!decoder.open(chunk).ok()) return state.SkipWithError("a chunk does not open");
      benchmark::DoNotOptimize(decoder.summarize().ok());
    }
  per_exit(state, linux_boot().exits());
}
BENCHMARK(summarize_chunks)->Arg(4096)->Arg(32768)->Unit(benchmark::kMillisecond);

void rebuild_bytes(benchmark::State& state) {
  const auto chunks = chunks_of(static_cast<size_t>(state.range(0)));
  ChunkDecoder decoder;
  for (auto _ : state)
    for (const auto& chunk : chunks) {
      if (!decoder.open(chunk).ok() || !decoder.begin().ok())
        return state.SkipWithError("a chunk does not open");
      while (decoder.next() == ChunkDecoder::Item::kExit)
        benchmark::DoNotOptimize(decoder.exit().kvm_run.data());
    }
  per_exit(state, linux_boot().exits());
}
BENCHMARK(rebuild_bytes)->Arg(4096)->Arg(32768)->Unit(benchmark::kMillisecond);

// Every field of both moments.
void decode_fields(benchmark::State& state) {
  const auto chunks = chunks_of(static_cast<size_t>(state.range(0)));
  DecodeContext context;
  context.architecture = Architecture::kX86_64;
  context.kernel = parse_kernel_release("6.12.0");
  const ExitDecoder fields(context);
  ChunkDecoder decoder;
  Exit exit;
  for (auto _ : state)
    for (const auto& chunk : chunks) {
      if (!decoder.open(chunk).ok() || !decoder.begin().ok())
        return state.SkipWithError("a chunk does not open");
      while (decoder.next() == ChunkDecoder::Item::kExit) {
        const RecordedExit& recorded = decoder.exit();
        RawMoment moment{recorded.kvm_run, recorded.data, recorded.ret};
        fields.decode(moment, exit);
        benchmark::DoNotOptimize(exit.field_count);
        moment = {recorded.answer_kvm_run, recorded.answer_data, recorded.ret};
        moment.is_answer = true;
        fields.decode(moment, exit);
        benchmark::DoNotOptimize(exit.field_count);
      }
    }
  per_exit(state, linux_boot().exits());
}
BENCHMARK(decode_fields)->Arg(32768)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvmtape::bench
