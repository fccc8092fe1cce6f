#include "replayer/chunk_store.h"

#include <algorithm>
#include <map>
#include <utility>

#include "schema/file_order.h"

namespace kvmtape {
namespace {

// Without a file header a file is a trace only if a chunk stands this near to its beginning;
// otherwise every large file of another kind would be searched to its end.
constexpr uint64_t kHeadSearchBytes = 64u << 20;

ChunkHeader header_at(std::span<const uint8_t> bytes) {
  return load_file_struct<ChunkHeader>(bytes.data());
}
uint64_t chunk_bytes(const ChunkHeader& header) {
  return uint64_t{header.header_bytes} + header.body_bytes;
}

// Whether the numbers of a chunk of exits can be true.
bool holds_together(const IndexEntry& entry) {
  return entry.type != ChunkType::kExits ||
         (entry.end_seq >= entry.first_seq && entry.exits <= entry.end_seq - entry.first_seq &&
          entry.lost <= entry.end_seq - entry.first_seq - entry.exits &&
          entry.exits <= kChunkExitsMax);
}

// Whether this is an index chunk with which a file may end: one that is full stands in the middle.
bool is_last_index(std::span<const uint8_t> chunk, const ChunkHeader& header) {
  if (static_cast<ChunkType>(header.type) != ChunkType::kIndex) return false;
  const auto index = decode_index(chunk);
  return index && index->entries.size() < kIndexEntriesMax;
}

IndexEntry entry_of(uint64_t offset, const ChunkHeader& header) {
  IndexEntry entry;
  entry.offset = offset;
  entry.type = static_cast<ChunkType>(header.type);
  entry.vcpu_index = header.vcpu_index;
  entry.exits = header.exits;
  entry.first_seq = header.first_seq;
  entry.end_seq = header.end_seq;
  entry.first_tsc = header.first_tsc;
  entry.last_tsc = header.last_tsc;
  entry.cut = header.cut;
  return entry;
}

}  // namespace

Result<void> ChunkStore::find(std::span<const uint8_t> file) {
  file_ = file;
  resync_budget_ = 4 * uint64_t{file.size()} + 2 * uint64_t{kChunkBodyBytesMax};
  const auto head = check_file_header(file);
  if (!head && head.error().code == ErrorCode::kUnsupported) return head.error();
  uint64_t begin = 0;
  if (head) {
    session_ = head->session;
    begin = head->header_bytes;
  } else {
    health_.head_lost = true;
    health_.note(head.error());
  }

  const auto trailer = check_file_trailer(file);
  if (trailer && use_index(*trailer, head.ok())) return {};
  health_.footer_damaged = trailer.ok() || trailer.error().code == ErrorCode::kCorrupt;
  if (!head) {
    begin = find_next_chunk(0, std::min<uint64_t>(file.size(), kHeadSearchBytes));
    if (begin == file.size()) return head.error();
    session_ = header_at(file.subspan(begin)).session;
  }
  scan(begin);
  const bool nothing_yet = begin == file.size() || health_.torn_at == begin;
  if (chunks_.empty() && !nothing_yet)
    return Error{ErrorCode::kCorrupt, "no chunk in it can be read", {}, begin};
  if (!chunks_.empty() && chunks_.front().entry.type != ChunkType::kSession)
    health_.head_lost = true;
  return {};
}

// Follows the chain of index chunks from the last to the first. False, and nothing is changed, if
// any of it cannot be read.
bool ChunkStore::use_index(const FileTrailer& trailer, bool session_known) {
  std::vector<TraceIndex> parts;  // last first
  Uuid session = session_;
  for (uint64_t at = trailer.index_offset;;) {
    const auto header = check_chunk(file_.subspan(at), at);
    if (!header || static_cast<ChunkType>(header->type) != ChunkType::kIndex ||
        ((session_known || !parts.empty()) && header->session != session))
      return false;
    session = header->session;
    auto part = decode_index(file_.subspan(at, chunk_bytes(*header)));
    if (!part) return false;
    uint64_t end = 0;
    for (const IndexEntry& entry : part->entries) {
      if (entry.offset < end || entry.offset % 8 != 0 || !holds_together(entry) ||
          entry.offset > at || at - entry.offset < sizeof(ChunkHeader))
        return false;
      end = entry.offset + sizeof(ChunkHeader);
    }
    parts.push_back(std::move(*part));
    const uint64_t previous = parts.back().previous_offset;
    if (previous == 0) break;
    if (previous >= at || previous % 8 != 0) return false;
    at = previous;
  }
  session_ = session;
  health_.sealed = true;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    for (IndexEntry& entry : part->entries) {
      ChunkRef& ref = chunks_.emplace_back();
      ref.bytes = file_.subspan(entry.offset, trailer.index_offset - entry.offset);
      ref.entry = std::move(entry);
    }
  return true;
}

void ChunkStore::scan(uint64_t at) {
  bool index_before = false;
  while (at < file_.size()) {
    const auto header = check_chunk(file_.subspan(at), at);
    if (header) {
      index_before = false;
      if (header->session == session_) {
        index_before = is_last_index(file_.subspan(at, chunk_bytes(*header)), *header);
        take(at, *header);
      }
      at += chunk_bytes(*header);
      continue;
    }
    const uint64_t next = index_before ? file_.size() : find_next_chunk(at + 8, file_.size());
    if (next >= file_.size()) break;
    note_damage(at, next, header.error().message);
    at = next;
    index_before = false;
  }
  note_tail(at, index_before);
}

// The next 8-aligned position before `limit` where an intact chunk begins; the file's size if there
// is none. Positions in vain are limited: a file made of chunk magics must not cost its square.
uint64_t ChunkStore::find_next_chunk(uint64_t from, uint64_t limit) {
  for (uint64_t at = from; at + sizeof(ChunkHeader) <= limit; at += 8) {
    if (load_le<uint32_t>(file_.data() + at) != kChunkMagic) continue;
    if (check_chunk(file_.subspan(at), at)) return at;
    const uint64_t cost = std::min<uint64_t>(
        file_.size() - at, chunk_bytes(header_at(file_.subspan(at, sizeof(ChunkHeader)))));
    if (cost > resync_budget_) break;
    resync_budget_ -= cost;
  }
  return file_.size();
}

void ChunkStore::take(uint64_t offset, const ChunkHeader& header) {
  ChunkRef ref;
  ref.entry = entry_of(offset, header);
  ref.bytes = file_.subspan(offset, chunk_bytes(header));
  ref.checked = true;
  if (ref.entry.type == ChunkType::kIndex) return;
  if (ref.entry.type == ChunkType::kExits && holds_together(ref.entry) &&
      ref.entry.end_seq - ref.entry.first_seq != ref.entry.exits && decoder_.open(ref.bytes))
    ref.entry.lost = decoder_.lost();
  if (!holds_together(ref.entry)) {
    note_damage(offset, offset + ref.bytes.size(), "the chunk's header does not hold together");
    return;
  }
  chunks_.push_back(std::move(ref));
}

// What stands behind the last intact chunk: the footer, a chunk that its writer never finished, or
// damage.
void ChunkStore::note_tail(uint64_t at, bool index_before) {
  if (index_before) {  // the index says that all was written; only the trailer is gone
    health_.sealed = health_.footer_damaged = true;
    return;
  }
  if (at >= file_.size()) return;
  const auto rest = file_.subspan(at);
  if (const auto trailer = check_file_trailer(file_)) {
    health_.sealed = true;
    if (at < trailer->index_offset)
      note_damage(at, trailer->index_offset, "no chunk can be read here");
    return;
  }
  const bool zero = std::all_of(rest.begin(), rest.end(), [](uint8_t byte) { return byte == 0; });
  uint8_t magic[sizeof kChunkMagic];
  store_le(magic, kChunkMagic);
  const bool begins = std::equal(magic, magic + std::min(rest.size(), sizeof magic), rest.begin());
  const auto chunk = check_chunk(rest, at);
  if (zero || (begins && !chunk && chunk.error().code == ErrorCode::kTruncated)) {
    health_.torn_at = at;
    return;
  }
  note_damage(at, file_.size(), chunk ? "no chunk can be read here" : chunk.error().message);
}

void ChunkStore::note_damage(uint64_t begin, uint64_t end, std::string what) {
  first_damage_ = std::min(first_damage_, begin);
  ++health_.damaged_chunks;
  health_.damaged_bytes += end - begin;
  health_.note(Error{ErrorCode::kCorrupt,
                     std::move(what) + "; " + std::to_string(end - begin) + " bytes skipped",
                     {},
                     begin});
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
  ref.entry = entry_of(file_.size(), header_at(ref.bytes));
  ref.entry.reasons = std::move(reasons);
  ref.entry.lost = lost;
  ref.checked = ref.from_ring = true;
}

void ChunkStore::build_streams() {
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
    }
    stream.chunks.push_back(number);
    ref.duplicate = entry.end_seq <= stream.end_seq && entry.end_seq != entry.first_seq;
    if (ref.duplicate) continue;
    ref.skip_below = entry.first_seq < stream.end_seq ? stream.end_seq : 0;
    ref.missing_before = entry.first_seq > stream.end_seq ? entry.first_seq - stream.end_seq : 0;
    const uint64_t overlap = ref.skip_below == 0 ? 0 : stream.end_seq - entry.first_seq;
    const uint64_t recorded = entry.recorded();
    const uint64_t exits = recorded - std::min<uint64_t>(recorded, overlap);
    folded_ += recorded - entry.exits;
    stream.exits += exits;
    stream.lost += entry.lost + ref.missing_before;
    (ref.from_ring ? health_.ring_exits : health_.file_exits) += exits;
    health_.lost += entry.lost + ref.missing_before;
    stream.end_seq = std::max(stream.end_seq, entry.end_seq);
    stream.last_tsc = std::max(stream.last_tsc, entry.last_tsc);
  }
  streams_.clear();
  for (auto& [index, stream] : streams) streams_.push_back(std::move(stream));
}

Result<std::span<const uint8_t>> ChunkStore::bytes(size_t number, bool verify) {
  ChunkRef& ref = chunks_[number];
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

Result<void> ChunkStore::open(size_t number, bool verify, ChunkDecoder& decoder) {
  KVMTAPE_TRY_ASSIGN(const auto chunk, bytes(number, verify));
  return decoder.open(chunk);
}

void ChunkStore::note_session_lost() {
  session_lost_ = true;
  health_.redundant_chunks -= redundant_sessions_;
  health_.damaged_chunks += std::exchange(redundant_sessions_, 0);
}

void ChunkStore::mark_unreadable(size_t number, Error why) {
  const ChunkRef& ref = chunks_[number];
  const uint64_t first = std::max(ref.entry.first_seq, ref.skip_below);
  const uint64_t missing = ref.entry.end_seq > first ? ref.entry.end_seq - first : 0;
  // Its gaps were counted by its header.
  mark_damaged(number, 0, missing - std::min(missing, ref.entry.lost), std::move(why));
}

void ChunkStore::mark_damaged(size_t number, uint64_t readable_exits, uint64_t lost_exits,
                              Error why) {
  ChunkRef& ref = chunks_[number];
  if (ref.damaged) return;
  ref.damaged = true;
  const bool is_session = ref.entry.type == ChunkType::kSession;
  // A cut's clocks stand in every chunk of exits behind it, the session in each of its chunks.
  const bool redundant = is_session ? !session_lost_ : ref.entry.type == ChunkType::kCut;
  ++(redundant ? health_.redundant_chunks : health_.damaged_chunks);
  redundant_sessions_ += redundant && is_session ? 1 : 0;
  if (!why.byte_offset) why.byte_offset = ref.entry.offset;
  health_.note(std::move(why));
  if (ref.entry.type != ChunkType::kExits || ref.duplicate) return;
  for (ChunkStream& stream : streams_) {
    if (stream.vcpu_index != ref.entry.vcpu_index) continue;
    const uint64_t unreadable = std::min(
        stream.exits, ref.entry.recorded() - std::min(ref.entry.recorded(), readable_exits));
    stream.exits -= unreadable;
    stream.lost += lost_exits;
    uint64_t& readable = ref.from_ring ? health_.ring_exits : health_.file_exits;
    readable -= std::min(readable, unreadable);
    health_.lost += lost_exits;
  }
}

}  // namespace kvmtape
