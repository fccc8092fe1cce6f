#include "tests/support/walk_trace.h"

#include <utility>

namespace kvmtape::testing {

uint64_t WalkedTrace::exits() const {
  uint64_t sum = 0;
  for (const auto& [index, stream] : streams) sum += stream.exits;
  return sum;
}

uint64_t WalkedTrace::lost() const {
  uint64_t sum = 0;
  for (const auto& [index, stream] : streams) sum += stream.lost;
  return sum;
}

GapRecord gap_in(const SideRecord& side) { return record_in<GapRecord>(side); }

std::string mark_in(const SideRecord& side) {
  return {reinterpret_cast<const char*>(side.payload.data()),
          std::min(side.payload.size(), static_cast<size_t>(side.ret))};
}

namespace {

Result<void> walk_exits(std::span<const uint8_t> chunk, ChunkDecoder& decoder, WalkedTrace& trace,
                        const std::function<void(const WalkedItem&)>& visit) {
  KVMTAPE_TRY(decoder.open(chunk));
  KVMTAPE_TRY(decoder.begin());
  const uint32_t index = decoder.header().vcpu_index;
  WalkedStream& stream = trace.streams[index];
  stream.in_sequence &= decoder.header().first_seq == stream.next_seq;
  for (;;) {
    switch (decoder.next()) {
      case ChunkDecoder::Item::kExit:
        stream.in_sequence &= decoder.exit().seq == stream.next_seq;
        ++stream.next_seq;
        ++stream.exits;
        visit({index, &decoder.exit(), nullptr});
        break;
      case ChunkDecoder::Item::kSide:
        if (decoder.side().kind == RecordKind::kGap) {
          const GapRecord gap = gap_in(decoder.side());
          stream.in_sequence &= gap.first_seq == stream.next_seq;
          stream.next_seq += gap.lost;
          stream.lost += gap.lost;
          stream.in_sequence &= gap.lost_total == stream.lost;
        }
        visit({index, nullptr, &decoder.side()});
        break;
      case ChunkDecoder::Item::kEnd:
        stream.in_sequence &= decoder.header().end_seq == stream.next_seq;
        return {};
      case ChunkDecoder::Item::kCorrupt:
        return decoder.error();
    }
  }
}

}  // namespace

Result<WalkedTrace> walk_trace(const std::string& path,
                               const std::function<void(const WalkedItem&)>& visit) {
  const std::vector<uint8_t> file = file_bytes(path);
  KVMTAPE_TRY_ASSIGN(FileHeader file_header, check_file_header(file));
  WalkedTrace trace;
  ChunkDecoder decoder;
  std::span<const uint8_t> rest = file;
  rest = rest.subspan(file_header.header_bytes);
  while (rest.size() > sizeof(FileTrailer)) {
    auto header = check_chunk(rest, file.size() - rest.size());
    if (!header.ok() && header.error().code == ErrorCode::kTruncated) break;
    if (!header.ok()) return header.error();
    const auto chunk = rest.first(size_t{header->header_bytes} + header->body_bytes);
    rest = rest.subspan(chunk.size());
    ++trace.chunks;
    switch (static_cast<ChunkType>(header->type)) {
      case ChunkType::kSession: {
        KVMTAPE_TRY_ASSIGN(trace.session, decode_session(chunk));
        break;
      }
      case ChunkType::kExits:
        KVMTAPE_TRY(walk_exits(chunk, decoder, trace, visit));
        break;
      case ChunkType::kCut:
        ++trace.cuts;
        break;
      case ChunkType::kIndex:
        break;
    }
  }
  trace.sealed = check_file_trailer(file).ok();
  return trace;
}

}  // namespace kvmtape::testing
