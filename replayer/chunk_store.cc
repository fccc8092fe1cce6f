#include "replayer/chunk_store.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace kvmtape {

Result<void> ChunkStore::find(std::span<const uint8_t> file) {
  file_bytes_ = file.size();
  KVMTAPE_TRY_ASSIGN(FoundChunks found, find_chunks(file));
  session_ = found.session;
  chunks_ = std::move(found.chunks);
  health_ = std::move(found.health);
  first_damage_ = found.first_damage;
  return {};
}

std::optional<ChunkStore::RingEnd> ChunkStore::ring_end(uint32_t vcpu_index) {
  for (size_t number = chunks_.size(); number-- > 0;) {
    const ChunkRef& ref = chunks_[number];
    if (ref.entry.type != ChunkType::kExits || ref.entry.vcpu_index != vcpu_index || ref.from_ring)
      continue;
    if (const auto chunk = bytes(number, true)) {
      const ChunkHeader header = header_at(*chunk);
      return RingEnd{header.ring_block, header.ring_bytes, header.end_seq};
    }
  }
  return std::nullopt;
}

void ChunkStore::add_from_ring(std::vector<uint8_t> chunk,
                               std::vector<std::pair<uint32_t, uint32_t>> reasons, uint64_t lost) {
  ring_chunks_.push_back(std::move(chunk));
  ChunkRef& ref = chunks_.emplace_back();
  ref.bytes = ring_chunks_.back();
  ref.entry = index_entry_of(file_bytes_, header_at(ref.bytes));
  ref.entry.reasons = std::move(reasons);
  ref.entry.lost = lost;
  ref.checked = ref.from_ring = true;
}

void ChunkStore::build_streams() {
  // What an index names and what is gone comes last: a copy of its exits may be there, from a ring.
  std::stable_partition(chunks_.begin(), chunks_.end(),
                        [](const ChunkRef& ref) { return !ref.is_gone(); });
  std::map<uint32_t, uint64_t> first_gone;  // sequences, by vCPU
  for (const ChunkRef& ref : chunks_)
    if (ref.is_gone() && ref.entry.type == ChunkType::kExits) {
      const auto known = first_gone.emplace(ref.entry.vcpu_index, ref.entry.first_seq).first;
      known->second = std::min(known->second, ref.entry.first_seq);
    }
  std::map<uint32_t, ChunkStream> streams;
  health_.file_exits = health_.ring_exits = health_.lost = folded_ = 0;
  for (size_t number = 0; number < chunks_.size(); ++number) {
    ChunkRef& ref = chunks_[number];
    const IndexEntry& entry = ref.entry;
    if (entry.type != ChunkType::kExits) continue;
    ChunkStream& stream = streams[entry.vcpu_index];
    if (stream.chunks.empty()) {
      stream.vcpu_index = entry.vcpu_index;
      stream.first_tsc = entry.first_tsc;
      // A first chunk that does not begin at 0 continues an earlier file, unless damage precedes.
      stream.end_seq = first_damage_ < entry.offset && !ref.from_ring ? 0 : entry.first_seq;
      if (const auto gone = first_gone.find(entry.vcpu_index); gone != first_gone.end())
        stream.end_seq = std::min(stream.end_seq, gone->second);
      stream.begin_seq = stream.end_seq;
    }
    stream.chunks.push_back(number);
    ref.duplicate = entry.end_seq <= stream.end_seq && entry.end_seq != entry.first_seq;
    if (ref.duplicate) continue;
    ref.skip_below = entry.first_seq < stream.end_seq ? stream.end_seq : 0;
    ref.missing_before = entry.first_seq > stream.end_seq ? entry.first_seq - stream.end_seq : 0;
    ref.exits = std::min(entry.recorded(), ref.own());
    ref.lost = ref.own() - ref.exits;
    folded_ += entry.recorded() - entry.exits;
    stream.exits += ref.exits;
    stream.lost += ref.lost + ref.missing_before;
    (ref.from_ring ? health_.ring_exits : health_.file_exits) += ref.exits;
    health_.lost += ref.lost + ref.missing_before;
    stream.end_seq = std::max(stream.end_seq, entry.end_seq);
    stream.last_tsc = std::max(stream.last_tsc, entry.last_tsc);
  }
  streams_.clear();
  for (auto& [index, stream] : streams) streams_.push_back(std::move(stream));
}

Result<std::span<const uint8_t>> ChunkStore::bytes(size_t number, bool verify) {
  ChunkRef& ref = chunks_[number];
  if (ref.bytes.empty())
    return Error{ErrorCode::kCorrupt, "the index names a chunk that is gone", {}, ref.entry.offset};
  const ChunkHeader header = header_at(ref.bytes);
  if (verify && !ref.checked) {
    KVMTAPE_TRY(check_chunk(ref.bytes, ref.entry.offset));
    ref.checked = true;
  }
  const uint64_t size = chunk_bytes(header);
  const IndexEntry& entry = ref.entry;
  if (size > ref.bytes.size() || header.header_bytes < sizeof header ||
      header.session != session_ || header.type != static_cast<uint16_t>(entry.type) ||
      header.vcpu_index != entry.vcpu_index || header.exits != entry.exits ||
      header.first_seq != entry.first_seq || header.end_seq != entry.end_seq)
    return Error{
        ErrorCode::kCorrupt, "the chunk is not the one that the index names", {}, entry.offset};
  return ref.bytes.first(size);
}

// What the header of a damaged chunk says of its size may be wrong: up to the next one that is
// there. One that is gone has no bytes, and its place is the index's, which need not be this
// file's.
uint64_t ChunkStore::room_of(size_t number) const {
  const ChunkRef& ref = chunks_[number];
  if (ref.bytes.empty()) return 0;
  size_t next = number + 1;
  while (next < chunks_.size() && !chunks_[next].from_ring && chunks_[next].bytes.empty()) ++next;
  if (next == chunks_.size() || chunks_[next].from_ring) return ref.bytes.size();
  return std::min<uint64_t>(ref.bytes.size(), chunks_[next].entry.offset - ref.entry.offset);
}

Result<void> ChunkStore::open(size_t number, bool verify, ChunkDecoder& decoder) {
  KVMTAPE_TRY_ASSIGN(const auto chunk, bytes(number, verify));
  KVMTAPE_TRY(decoder.open(chunk));
  if (decoder.lost() != chunks_[number].entry.lost) [[unlikely]]
    take_lost(number, decoder.lost());
  return {};
}

// The chunk knows what its gaps hold; an index that says otherwise is wrong.
void ChunkStore::take_lost(size_t number, uint64_t lost) {
  ChunkRef& ref = chunks_[number];
  health_.footer_damaged = true;
  health_.note({ErrorCode::kCorrupt,
                "the index says that " + std::to_string(ref.entry.lost) +
                    " exits were lost in the gaps of a chunk that holds " + std::to_string(lost),
                {},
                ref.entry.offset});
  ref.entry.lost = lost;
  note_exits(number, std::min(ref.entry.recorded(), ref.own()));
}

void ChunkStore::note_session_lost() {
  session_lost_ = true;
  health_.redundant_chunks -= redundant_sessions_;
  health_.damaged_chunks += std::exchange(redundant_sessions_, 0);
  for (size_t number = 0; number < chunks_.size(); ++number)
    if (chunks_[number].entry.type == ChunkType::kSession && chunks_[number].damaged)
      count_damaged_bytes(number);
}

// Of one that is whole but cannot be read to its end, some was.
void ChunkStore::count_damaged_bytes(size_t number) {
  ChunkRef& ref = chunks_[number];
  if (ref.from_ring || ref.damaged_bytes != 0 || bytes(number, true)) return;
  ref.damaged_bytes = room_of(number);
  health_.damaged_bytes += ref.damaged_bytes;
}

void ChunkStore::mark_gone() {
  for (size_t number = 0; number < chunks_.size(); ++number)
    if (chunks_[number].is_gone()) mark_unreadable(number, bytes(number, true).error());
}

void ChunkStore::mark_unreadable(size_t number, Error why) {
  if (!chunks_[number].damaged) mark_damaged(number, 0, std::move(why));
}

void ChunkStore::mark_damaged(size_t number, uint64_t readable_exits, Error why) {
  ChunkRef& ref = chunks_[number];
  if (ref.entry.type == ChunkType::kExits && !ref.duplicate) note_exits(number, readable_exits);
  if (ref.damaged) return;
  ref.damaged = true;
  const bool is_session = ref.entry.type == ChunkType::kSession;
  // A cut's clocks stand in every chunk of exits behind it, the session in each of its chunks.
  const bool redundant =
      is_session ? !session_lost_
                 : ref.entry.type == ChunkType::kCut || (ref.duplicate && !ref.is_gone());
  ++(redundant ? health_.redundant_chunks : health_.damaged_chunks);
  redundant_sessions_ += redundant && is_session ? 1 : 0;
  if (!redundant) count_damaged_bytes(number);
  if (!redundant && why.code == ErrorCode::kUnsupported) ++health_.unsupported_chunks;
  if (!why.byte_offset) why.byte_offset = ref.entry.offset;
  health_.note(std::move(why));
}

void ChunkStore::note_exits(size_t number, uint64_t readable) {
  ChunkRef& ref = chunks_[number];
  const uint64_t exits = std::min(readable, ref.own()), lost = ref.own() - exits;
  if (exits == ref.exits && lost == ref.lost) return;
  uint64_t& all = ref.from_ring ? health_.ring_exits : health_.file_exits;
  all = all - ref.exits + exits;
  health_.lost = health_.lost - ref.lost + lost;
  for (ChunkStream& stream : streams_)
    if (stream.vcpu_index == ref.entry.vcpu_index) {
      stream.exits = stream.exits - ref.exits + exits;
      stream.lost = stream.lost - ref.lost + lost;
    }
  ref.exits = exits;
  ref.lost = lost;
}

}  // namespace kvmtape
