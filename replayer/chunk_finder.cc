#include "replayer/chunk_finder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "replayer/promised_chunks.h"
#include "schema/chunk_codec.h"

namespace kvmtape {
namespace {

// Without a file header a file is a trace only if a chunk stands this near to its beginning;
// otherwise every large file of another kind would be searched to its end.
constexpr uint64_t kHeadSearchBytes = 64u << 20;

// Whether this is an index chunk with which a file may end: one that is full stands in the middle.
bool is_last_index(std::span<const uint8_t> chunk, const ChunkHeader& header) {
  if (static_cast<ChunkType>(header.type) != ChunkType::kIndex) return false;
  const auto index = decode_index(chunk);
  return index && index->entries.size() < kIndexEntriesMax;
}

class ChunkFinder {
 public:
  explicit ChunkFinder(std::span<const uint8_t> file)
      : file_(file), resync_budget_(4 * uint64_t{file.size()} + 2 * uint64_t{kChunkBodyBytesMax}) {}
  Result<void> find();
  FoundChunks& found() { return found_; }

 private:
  bool use_index(const FileTrailer& trailer, bool session_known);
  void scan(uint64_t at);
  uint64_t find_next_chunk(uint64_t from, uint64_t limit, uint64_t step = 8);
  Error no_head(Error error);
  void note_shift(uint64_t at);
  void take(uint64_t offset, const ChunkHeader& header);
  void note_tail(uint64_t at, bool index_before);
  void note_behind(uint64_t end);
  void note_damage(uint64_t begin, uint64_t end, std::string what);

  std::span<const uint8_t> file_;
  FoundChunks found_;
  uint64_t resync_budget_;  // bytes that may yet be checksummed in vain
  ChunkDecoder decoder_;
  PromisedChunks promised_;
  uint64_t foreign_bytes_ = 0;  // of chunks of other recordings
};

Result<void> ChunkFinder::find() {
  const auto head = check_file_header(file_);
  if (!head && head.error().code == ErrorCode::kUnsupported) return head.error();
  uint64_t begin = 0;
  if (head) {
    found_.session = head->session;
    begin = head->header_bytes;
  } else {
    found_.health.head_lost = true;
    found_.health.note({ErrorCode::kCorrupt, "the file header is damaged", {}, uint64_t{0}});
  }

  const auto trailer = check_file_trailer(file_);
  if (trailer && use_index(*trailer, head.ok())) return {};
  found_.health.footer_damaged = trailer.ok() || trailer.error().code == ErrorCode::kCorrupt;
  if (!head) {
    begin = find_next_chunk(0, std::min<uint64_t>(file_.size(), kHeadSearchBytes));
    if (begin == file_.size()) return no_head(head.error());
    found_.session = header_at(file_.subspan(begin)).session;
  }
  scan(begin);
  promised_.put_missing(found_.chunks);
  if (foreign_bytes_ != 0)
    found_.health.note({ErrorCode::kCorrupt,
                        std::to_string(foreign_bytes_) +
                            " bytes of another recording stand in this file and are passed over",
                        {},
                        std::nullopt});
  const bool nothing_yet = begin == file_.size() || found_.health.torn_at == begin;
  if (found_.chunks.empty() && !nothing_yet)
    return Error{ErrorCode::kCorrupt, "no chunk in it can be read", {}, begin};
  if (!found_.chunks.empty() && found_.chunks.front().entry.type != ChunkType::kSession)
    found_.health.head_lost = true;
  return {};
}

// Follows the chain of index chunks from the last to the first. False, and nothing is changed, if
// any of it cannot be read.
bool ChunkFinder::use_index(const FileTrailer& trailer, bool session_known) {
  std::vector<TraceIndex> parts;  // last first
  Uuid session = found_.session;
  for (uint64_t at = trailer.index_offset;;) {
    const auto header = check_chunk(file_.subspan(at), at);
    if (!header || static_cast<ChunkType>(header->type) != ChunkType::kIndex ||
        ((session_known || !parts.empty()) && header->session != session))
      return false;
    session = header->session;
    // Else it is that of another recording, behind which this footer was written.
    if (parts.empty() && at + chunk_bytes(*header) != file_.size() - sizeof trailer) return false;
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
  found_.session = session;
  found_.health.sealed = true;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    for (IndexEntry& entry : part->entries) {
      ChunkRef& ref = found_.chunks.emplace_back();
      ref.bytes = file_.subspan(entry.offset, trailer.index_offset - entry.offset);
      ref.entry = std::move(entry);
    }
  return true;
}

void ChunkFinder::scan(uint64_t at) {
  bool index_before = false;
  while (at < file_.size()) {
    const auto header = check_chunk(file_.subspan(at), at);
    if (header) {
      index_before = false;
      if (header->session == found_.session) {
        index_before = is_last_index(file_.subspan(at, chunk_bytes(*header)), *header);
        take(at, *header);
      } else {
        foreign_bytes_ += chunk_bytes(*header);
      }
      at += chunk_bytes(*header);
      continue;
    }
    const uint64_t next = index_before ? file_.size() : find_next_chunk(at + 8, file_.size());
    if (next >= file_.size()) {
      if (!index_before) note_shift(at);
      break;
    }
    note_damage(at, next, header.error().message);
    at = next;
    index_before = false;
  }
  note_tail(at, index_before);
}

// What a file without a header is, where no chunk stands 8-aligned: it may have been cut in front,
// which would be a pity to call no trace at all.
Error ChunkFinder::no_head(Error error) {
  const uint64_t at = find_next_chunk(0, std::min<uint64_t>(file_.size(), kHeadSearchBytes), 1);
  if (at == file_.size()) return error;
  const std::string missing = std::to_string(8 - at % 8);
  return {ErrorCode::kCorrupt,
          "its beginning was cut off, and not at a multiple of 8 bytes; put " + missing +
              " bytes in front: (head -c " + missing + " /dev/zero; cat CUT) > WHOLE",
          {},
          uint64_t{0}};
}

// Nothing can be read from `at` on. Where bytes were lost in the middle, and not a multiple of 8,
// all behind them stands beside its place.
void ChunkFinder::note_shift(uint64_t at) {
  const uint64_t next = find_next_chunk(at + 1, file_.size(), 1);
  if (next >= file_.size()) return;
  found_.health.note({ErrorCode::kCorrupt,
                      "bytes were lost before byte " + std::to_string(next) +
                          ", and not a multiple of 8; to read on: (head -c " +
                          std::to_string(next) + " CUT; head -c " + std::to_string(8 - next % 8) +
                          " /dev/zero; tail -c +" + std::to_string(next + 1) + " CUT) > WHOLE",
                      {},
                      next});
}

// The next position, of `step` bytes each, before `limit` where an intact chunk begins; the file's
// size if there is none. Positions in vain are limited: a file made of chunk magics must not cost
// its square.
uint64_t ChunkFinder::find_next_chunk(uint64_t from, uint64_t limit, uint64_t step) {
  for (uint64_t at = from; at + sizeof(ChunkHeader) <= limit; at += step) {
    if (load_le<uint32_t>(file_.data() + at) != kChunkMagic) continue;
    if (check_chunk(file_.subspan(at), at)) return at;
    const uint64_t cost = std::min<uint64_t>(
        file_.size() - at, chunk_bytes(header_at(file_.subspan(at, sizeof(ChunkHeader)))));
    if (cost > resync_budget_) break;
    resync_budget_ -= cost;
  }
  return file_.size();
}

void ChunkFinder::take(uint64_t offset, const ChunkHeader& header) {
  ChunkRef ref;
  ref.entry = index_entry_of(offset, header);
  ref.bytes = file_.subspan(offset, chunk_bytes(header));
  ref.checked = true;
  if (ref.entry.type == ChunkType::kIndex) {
    if (auto index = decode_index(ref.bytes)) promised_.add(std::move(*index));
    return;
  }
  if (ref.entry.type == ChunkType::kExits && holds_together(ref.entry) &&
      ref.entry.end_seq - ref.entry.first_seq != ref.entry.exits && decoder_.open(ref.bytes))
    ref.entry.lost = decoder_.lost();
  if (!holds_together(ref.entry)) {
    note_damage(offset, offset + ref.bytes.size(), "the chunk's header does not hold together");
    return;
  }
  found_.chunks.push_back(std::move(ref));
}

// What stands behind the last intact chunk: the footer, a chunk that its writer never finished, or
// damage.
void ChunkFinder::note_tail(uint64_t at, bool index_before) {
  if (index_before) {  // the index says that all was written
    found_.health.sealed = true;
    const uint64_t end = std::min<uint64_t>(at + sizeof(FileTrailer), file_.size());
    const bool is_whole = check_file_trailer(file_.first(end)).ok();
    found_.health.footer_damaged = !is_whole || end == file_.size();
    if (end < file_.size()) note_behind(end);
    return;
  }
  if (at >= file_.size()) return;
  const auto rest = file_.subspan(at);
  if (const auto trailer = check_file_trailer(file_)) {
    found_.health.sealed = true;
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
    found_.health.torn_at = at;
    return;
  }
  note_damage(at, file_.size(), chunk ? "no chunk can be read here" : chunk.error().message);
}

// Bytes behind the footer: somebody has put files together, or something wrote on.
void ChunkFinder::note_behind(uint64_t end) {
  TraceHealth& health = found_.health;
  const auto whole = file_.first(end);
  auto rest = file_.subspan(end);
  while (rest.size() >= end && std::ranges::equal(rest.first(end), whole)) rest = rest.subspan(end);
  const uint64_t at = file_.size() - rest.size();
  if (rest.empty())
    health.behind = BehindEnd::kCopies;
  else if (check_file_header(rest).ok() || find_next_chunk(at, file_.size()) < file_.size())
    health.behind = BehindEnd::kAnother;
  else
    health.behind = BehindEnd::kNoRecording;
  health.behind_at = rest.empty() ? end : at;
  health.behind_bytes = file_.size() - health.behind_at;
  health.note({ErrorCode::kCorrupt, behind_text(health), {}, health.behind_at});
}

void ChunkFinder::note_damage(uint64_t begin, uint64_t end, std::string what) {
  found_.first_damage = std::min(found_.first_damage, begin);
  ++found_.health.damaged_chunks;
  found_.health.damaged_bytes += end - begin;
  found_.health.note(Error{ErrorCode::kCorrupt,
                           std::move(what) + "; " + std::to_string(end - begin) + " bytes skipped",
                           {},
                           begin});
}

}  // namespace

std::string behind_text(const TraceHealth& health) {
  const std::string bytes = std::to_string(health.behind_bytes) + " bytes behind its end ";
  switch (health.behind) {
    case BehindEnd::kNothing:
      return {};
    case BehindEnd::kNoRecording:
      return bytes + "belong to nothing that can be read, and are passed over";
    case BehindEnd::kCopies:
      return bytes + "are the same recording once more, and are passed over";
    case BehindEnd::kAnother:
      break;
  }
  return bytes + "are another recording, and are passed over: a file is read as one";
}

bool holds_together(const IndexEntry& entry) {
  if (entry.type != ChunkType::kExits) return true;
  if (entry.vcpu_index == kSessionStream) return entry.end_seq == entry.first_seq;
  return entry.end_seq >= entry.first_seq && entry.exits <= entry.end_seq - entry.first_seq &&
         entry.lost <= entry.end_seq - entry.first_seq - entry.exits &&
         entry.exits <= kChunkExitsMax;
}

Result<FoundChunks> find_chunks(std::span<const uint8_t> file) {
  ChunkFinder finder(file);
  KVMTAPE_TRY(finder.find());
  return std::move(finder.found());
}

}  // namespace kvmtape
