#include "tests/fuzz/seed_traces.h"

#include "schema/file_order.h"
#include "tests/fuzz/trace_repair.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::fuzz {

std::vector<Bytes> seed_traces() {
  std::vector<Bytes> traces;
  auto add = [&](testing::TraceBuilder& trace) { traces.push_back(trace.bytes()); };
  {
    testing::TraceBuilder trace;
    add(trace.add_exits(0, 3).seal());
  }
  {
    testing::TraceBuilder trace;
    trace.add_exits(0, 4).cut().add_exits(1, 2).add_exits(0, 2).cut();
    add(trace.add_gap(1, 7, GapReason::kRingFull).add_exits(1, 3).seal());
    Bytes torn = trace.bytes();
    torn.resize(torn.size() / 2);
    traces.push_back(std::move(torn));
  }
  {
    testing::TraceBuilder trace;
    trace.add_exits(0, 2).add_mark("here").add_exits(0, 1);
    trace.add_record(0, RecordKind::kRegisters, 0, {uint64_t{1}, uint64_t{16}, 0, 0x400});
    trace.add_record(0, RecordKind::kRepeat, 0, {2, 5, 1'000'300, 1'000'900, 10, 20});
    trace.add_record(0, RecordKind::kControlCall, 0, {uint64_t{0xae80} << 32 | 2, 0, 1, 0, 0});
    add(trace.add_exits(0, 2).cut());
  }
  {
    testing::TraceBuilder trace;
    trace.add_exits(0, 40).flush(0).add_exits(0, 40).flush(0);
    add(trace.seal());
  }
  return traces;
}

std::vector<Bytes> seed_chunks(uint16_t type) {
  std::vector<Bytes> chunks;
  for (const Bytes& trace : seed_traces())
    for (const ChunkExtent& chunk : find_chunks(trace)) {
      auto header = load_file_struct<ChunkHeader>(trace.data() + chunk.begin);
      if (type != 0 && header.type != type) continue;
      const auto begin = trace.begin() + static_cast<ptrdiff_t>(chunk.begin);
      chunks.emplace_back(begin, begin + static_cast<ptrdiff_t>(chunk.bytes));
    }
  return chunks;
}

}  // namespace kvmtape::fuzz
