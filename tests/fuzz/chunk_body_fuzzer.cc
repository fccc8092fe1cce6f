// One chunk of arbitrary bytes, as it is and with its frame made good, through every decoder of a
// chunk's body. What decodes must survive being written and decoded again.
#include <cstring>

#include "schema/base/check.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/seed_traces.h"
#include "tests/fuzz/trace_repair.h"

namespace kvmtape::fuzz {
namespace {

void decode_exits(std::span<const uint8_t> chunk) {
  ChunkDecoder decoder;
  if (!decoder.open(chunk)) return;
  if (const auto summary = decoder.summarize())
    KVMTAPE_CHECK(summary->reasons.size() == decoder.header().exits);
  for (int walk = 0; walk < 2; ++walk) {
    if (!decoder.begin()) return;
    for (auto item = decoder.next(); item != ChunkDecoder::Item::kEnd; item = decoder.next()) {
      if (item == ChunkDecoder::Item::kCorrupt) {
        KVMTAPE_CHECK(!decoder.error().message.empty());
        break;
      }
      touch(item == ChunkDecoder::Item::kExit ? decoder.exit().kvm_run : decoder.side().payload);
    }
  }
}

// encode(decode(chunk)) decodes to the same, seen by encoding that once more.
template <typename Decode, typename Encode>
void write_and_read_again(std::span<const uint8_t> chunk, Decode decode, Encode encode) {
  const auto first = decode(chunk);
  if (!first) return;
  Bytes written, again;
  encode(*first, written);
  const auto second = decode(std::span<const uint8_t>(written));
  KVMTAPE_CHECK(second.ok());
  encode(*second, again);
  KVMTAPE_CHECK(written == again);
}

void decode_all(std::span<const uint8_t> chunk) {
  const Uuid session{};
  decode_exits(chunk);
  write_and_read_again(chunk, decode_session,
                       [](const Session& value, Bytes& out) { encode_session(value, out); });
  write_and_read_again(chunk, decode_cut,
                       [&](const Cut& value, Bytes& out) { encode_cut(value, session, out); });
  write_and_read_again(chunk, decode_index, [&](const TraceIndex& value, Bytes& out) {
    encode_index(value, session, out);
  });
}

void check_file_frame(std::span<const uint8_t> bytes) {
  if (const auto header = check_file_header(bytes))
    KVMTAPE_CHECK(header->header_bytes <= bytes.size());
  if (const auto trailer = check_file_trailer(bytes))
    KVMTAPE_CHECK(trailer->index_offset < bytes.size());
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  check_file_frame(input);
  if (check_chunk(input, 0)) decode_all(input);
  decode_all(input);  // as when checksums are not wanted
  Bytes chunk(input.begin(), input.end());
  repair_chunk(chunk);
  KVMTAPE_CHECK(check_chunk(chunk, 0).ok());
  decode_all(chunk);
}

std::vector<Bytes> seeds() { return seed_chunks(0); }

}  // namespace kvmtape::fuzz
