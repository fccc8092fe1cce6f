#include "replayer/trace_description.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace kvmtape {
namespace {

// So many of a trace's clock pairs are read when it is opened, evenly spread: each costs a page of
// the file.
constexpr size_t kClockPairsMax = 512;

}  // namespace

Session find_session(ChunkStore& store, bool verify) {
  const auto& chunks = store.chunks();
  for (size_t number = chunks.size(); number-- > 0;) {
    if (chunks[number].entry.type != ChunkType::kSession) continue;
    auto bytes = store.bytes(number, verify);
    if (bytes) {
      auto decoded = decode_session(*bytes);
      if (decoded) return std::move(*decoded);
      store.mark_unreadable(number, std::move(decoded.error()));
    } else {
      store.mark_unreadable(number, std::move(bytes.error()));
    }
  }
  Session session;
  session.uuid = store.session();
  store.health().head_lost |= !chunks.empty();
  ChunkDecoder decoder;
  for (const ChunkStream& stream : store.streams()) {
    for (size_t number : stream.chunks) {
      if (!store.open(number, verify, decoder)) continue;
      session.ticks_per_second = decoder.ticks_per_second();
      if (session.start.ticks == 0 || decoder.clock().ticks < session.start.ticks)
        session.start = decoder.clock();
      if (stream.vcpu_index == kSessionStream) break;
      session.architecture = decoder.stream().architecture;
      session.byte_order = decoder.stream().byte_order;
      break;
    }
  }
  return session;
}

void add_unlisted_vcpus(ChunkStore& store, bool verify, Session& session) {
  ChunkDecoder decoder;
  for (const ChunkStream& stream : store.streams()) {
    const auto is_it = [&](const SessionVcpu& vcpu) { return vcpu.index == stream.vcpu_index; };
    if (stream.vcpu_index == kSessionStream || std::ranges::any_of(session.vcpus, is_it)) continue;
    for (size_t number : stream.chunks) {
      if (!store.open(number, verify, decoder)) continue;
      session.vcpus.push_back({stream.vcpu_index, decoder.stream().vcpu_id, 0});
      break;
    }
  }
}

TraceClock find_clock(ChunkStore& store, bool verify, const Session& session) {
  std::vector<size_t> cuts;
  const auto& chunks = store.chunks();
  for (size_t number = 0; number < chunks.size(); ++number)
    if (chunks[number].entry.type == ChunkType::kCut) cuts.push_back(number);
  const size_t step = cuts.size() / kClockPairsMax + 1;
  std::vector<ClockReading> pairs;
  if (session.now.ticks != 0) pairs.push_back(session.now);
  for (size_t i = 0; i < cuts.size(); i += step) {
    const auto bytes = store.bytes(cuts[i], verify);
    if (!bytes) continue;
    if (const auto cut = decode_cut(*bytes)) pairs.push_back(cut->clock);
  }
  ClockReading start = session.start;
  if (start.ticks == 0 && !pairs.empty())
    start = *std::min_element(pairs.begin(), pairs.end(),
                              [](const auto& a, const auto& b) { return a.ticks < b.ticks; });
  if (start.ticks == 0)
    for (const ChunkStream& stream : store.streams())
      if (start.ticks == 0 || stream.first_tsc < start.ticks) start.ticks = stream.first_tsc;
  return TraceClock(start, session.ticks_per_second, std::move(pairs));
}

}  // namespace kvmtape
