#include "tests/bench/recorded_words.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/ring/ring_memory.h"
#include "schema/ring_reader.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/memory_ring.h"

namespace kvmtape::bench {
namespace {

uint64_t set_time(uint64_t* record, uint64_t tsc) {
  record[1] = tsc;
  return record[0] & 0xffff;
}

}  // namespace

std::span<const uint64_t> RecordedWords::slice(size_t begin, size_t end) const {
  const size_t first = exit_starts[begin];
  const size_t last = end < exit_starts.size() ? exit_starts[end] : words.size();
  return std::span(words).subspan(first, last - first);
}

RecordedWords record_track(const Track& track, bool with_answers) {
  std::vector<uint64_t> page(kRunPageBytes / kWordBytes);
  const RingGeometry geometry = ring_geometry(uint64_t{64} << 20);
  testing::MemoryRing<uint64_t> ring(geometry.block_count, /*overwrite=*/false,
                                     geometry.block_bytes);
  VcpuCapture capture(ring.header(), page.data(), kRunPageBytes, -1,
                      {RegisterPolicy::kNever, 1, false});
  RecordedWords recorded;
  std::vector<uint64_t> times;
  for (const StreamMoment& moment : track.moments) {
    std::memcpy(page.data(), moment.kvm_run.data(), moment.kvm_run.size());
    if (!moment.data.empty() && page[5] + moment.data.size() <= kRunPageBytes)
      std::memcpy(reinterpret_cast<uint8_t*>(page.data()) + page[5], moment.data.data(),
                  moment.data.size());
    if (moment.answer && !with_answers) continue;
    times.push_back(moment.tsc);
    if (moment.answer)
      capture.enter();
    else
      capture.exit(moment.ret < 0 ? -1 : 0, -moment.ret);
  }
  RingReader reader(ring.header());
  for (RingBatch batch = reader.poll(); !batch.words.empty(); batch = reader.poll())
    recorded.words.insert(recorded.words.end(), batch.words.begin(), batch.words.end());
  // The times of the stream in place of those of this run.
  size_t moment = 0;
  for (size_t at = 0; at < recorded.words.size();) {
    if ((recorded.words[at] >> 16 & 0xff) == static_cast<uint64_t>(RecordKind::kExit))
      recorded.exit_starts.push_back(at);
    at += set_time(&recorded.words[at], times[moment++]);
  }
  return recorded;
}

Encoded encode(const RecordedWords& recorded, size_t chunk_exits,
               std::vector<std::vector<uint8_t>>* chunks) {
  StreamDescription stream;
  stream.architecture = Architecture::kX86_64;
  ChunkEncoder encoder(stream);
  Encoded encoded;
  std::vector<uint8_t> chunk;
  // The second time counts: an encoder lives as long as its vCPU, with its memory at hand.
  for (int round = 0; round < 2; ++round) {
    encoded = {};
    if (chunks != nullptr) chunks->clear();
    const CpuStopwatch watch;
    for (size_t at = 0; at < recorded.exits(); at += chunk_exits) {
      const size_t end = std::min(at + chunk_exits, recorded.exits());
      encoder.add(recorded.slice(at, end), true);
      chunk.clear();
      encoder.finish(ChunkPlace{}, chunk);
      encoded.bytes += chunk.size();
      if (chunks != nullptr) chunks->push_back(chunk);
    }
    encoded.seconds = watch.seconds();
  }
  encoded.exits = encoder.exits_total() / 2;
  return encoded;
}

Encoded compress_raw_rows(const Track& track, size_t chunk_exits, bool with_answers) {
  Encoded encoded;
  std::vector<uint8_t> rows, packed;
  ZSTD_CCtx* context = ZSTD_createCCtx();
  const CpuStopwatch watch;
  auto flush = [&] {
    packed.resize(ZSTD_compressBound(rows.size()));
    encoded.bytes +=
        ZSTD_compressCCtx(context, packed.data(), packed.size(), rows.data(), rows.size(), 3);
    rows.clear();
  };
  auto put = [&](const void* from, size_t bytes) {
    const auto* first = static_cast<const uint8_t*>(from);
    rows.insert(rows.end(), first, first + bytes);
  };
  for (const StreamMoment& moment : track.moments) {
    if (moment.answer && !with_answers) continue;
    if (!moment.answer && encoded.exits % chunk_exits == 0 && !rows.empty()) flush();
    encoded.exits += !moment.answer;
    const auto data_bytes = static_cast<uint32_t>(moment.data.size());
    put(&moment.tsc, sizeof moment.tsc);
    put(&moment.ret, sizeof moment.ret);
    put(&data_bytes, sizeof data_bytes);
    put(moment.kvm_run.data(), moment.kvm_run.size());
    put(moment.data.data(), moment.data.size());
    rows.resize((rows.size() + 7) / 8 * 8);
  }
  if (!rows.empty()) flush();
  encoded.seconds = watch.seconds();
  ZSTD_freeCCtx(context);
  return encoded;
}

}  // namespace kvmtape::bench
