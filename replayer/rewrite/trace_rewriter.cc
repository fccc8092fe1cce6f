#include "replayer/rewrite/trace_rewriter.h"

#include <unistd.h>

#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "replayer/rewrite/chunk_rebuilder.h"
#include "schema/trace_file.h"

namespace kvmtape {
namespace {

using StoredChunk = TraceReader::StoredChunk;

// What no reader of the new file could tell; empty of a recording that was whole.
std::string outcome_of(const RewriteTotals& totals) {
  if (totals.exits_from_rings == 0 && totals.exits_damaged == 0 && totals.bytes_lost == 0)
    return {};
  return ": exits " + std::to_string(totals.exits_from_file) + " from the file, " +
         std::to_string(totals.exits_from_rings) + " from rings, " +
         std::to_string(totals.exits_damaged) + " lost to damage; " +
         std::to_string(totals.bytes_lost) + " bytes unreadable";
}

class Rewriter {
 public:
  Rewriter(const TraceReader& from, const RewriteRequest& request, TraceFile to)
      : editor_(request.editor), session_(from.session()), to_(std::move(to)) {
    // What was in the rings is in the file now.
    session_.ring_directory.clear();
    session_.copied_end = from.health().open_end();
    session_.history.push_back(request.note);
    if (editor_ != nullptr) editor_->edit(session_);
  }

  Result<RewriteTotals> run(TraceReader& from) {
    KVMTAPE_TRY(write_session());
    KVMTAPE_TRY(
        from.for_each_stored_chunk([this](const StoredChunk& chunk) { return take(chunk); }));
    const TraceHealth& health = from.health();
    totals_.chunks_lost += health.damaged_chunks;
    totals_.bytes_lost += health.damaged_bytes;
    if (health.torn_at) totals_.bytes_lost += from.file_bytes() - *health.torn_at;
    session_.history.back() += outcome_of(totals_);
    KVMTAPE_TRY(write_session());  // readers take the last one
    KVMTAPE_TRY(to_.seal());
    totals_.exits_lost_before = to_.lost() - totals_.exits_damaged;
    totals_.bytes_written = to_.bytes();
    return totals_;
  }

 private:
  Result<void> take(const StoredChunk& chunk);
  Result<void> take_exits(const StoredChunk& chunk);
  Result<void> write_session();
  Result<void> append(std::span<const uint8_t> chunk, uint64_t lost,
                      std::vector<std::pair<uint32_t, uint32_t>> reasons);
  Result<void> append_gap(const IndexEntry& entry, uint64_t first_seq, uint64_t lost);
  bool is_intact(uint64_t end_seq);

  RecordEditor* editor_;
  Session session_;
  TraceFile to_;
  RewriteTotals totals_;
  uint64_t chunks_at_session_ = 0;
  ChunkDecoder decoder_;
  std::map<uint32_t, uint32_t> reasons_;  // of the chunk that is_intact() walked
};

Result<void> Rewriter::take(const StoredChunk& chunk) {
  if (chunk.missing_before != 0)
    KVMTAPE_TRY(append_gap(chunk.entry, chunk.entry.first_seq - chunk.missing_before,
                           chunk.missing_before));
  const bool readable =
      chunk.bytes && (chunk.entry.type != ChunkType::kExits || decoder_.open(*chunk.bytes));
  if (!readable) {
    const bool redundant =
        chunk.entry.type == ChunkType::kSession || chunk.entry.type == ChunkType::kCut;
    totals_.chunks_lost += chunk.damage_known || redundant ? 0 : 1;
    totals_.bytes_lost += chunk.file_bytes - chunk.damaged_bytes;
    const uint64_t first = std::max(chunk.entry.first_seq, chunk.skip_below);
    if (chunk.entry.type != ChunkType::kExits || chunk.entry.end_seq <= first) return {};
    return append_gap(chunk.entry, first, chunk.entry.end_seq - first);
  }
  totals_.bytes_saved += chunk.file_bytes;
  switch (chunk.entry.type) {
    case ChunkType::kExits:
      return take_exits(chunk);
    case ChunkType::kSession:  // ours say more
    case ChunkType::kIndex:
      return {};
    case ChunkType::kCut:
      return append(*chunk.bytes, 0, {});
  }
  // Of a newer version: an editor cannot know what is in it.
  return editor_ == nullptr ? append(*chunk.bytes, 0, {}) : Result<void>();
}

Result<void> Rewriter::take_exits(const StoredChunk& chunk) {
  const uint64_t exits_before = to_.exits();
  if (editor_ == nullptr && chunk.skip_below == 0 && is_intact(chunk.entry.end_seq)) {
    ++totals_.chunks_copied;
    KVMTAPE_TRY(append(*chunk.bytes, decoder_.lost(), {reasons_.begin(), reasons_.end()}));
  } else {
    ++totals_.chunks_rebuilt;
    const ChunkHeader& header = decoder_.header();
    const ChunkPlace place{session_.uuid,     header.cut,
                           decoder_.clock(),  decoder_.ticks_per_second(),
                           header.ring_block, header.ring_bytes};
    ChunkRebuilder rebuilder(decoder_.stream(), place, [this](const RebuiltChunk& rebuilt) {
      return append(rebuilt.bytes, rebuilt.lost, rebuilt.reasons);
    });
    KVMTAPE_TRY_ASSIGN(const uint64_t damaged,
                       rebuilder.rebuild(decoder_, chunk.skip_below, chunk.entry.end_seq, editor_));
    totals_.exits_damaged += damaged;
    totals_.chunks_lost += damaged != 0 && !chunk.damage_known ? 1 : 0;
  }
  (chunk.file_bytes != 0 ? totals_.exits_from_file : totals_.exits_from_rings) +=
      to_.exits() - exits_before;
  return {};
}

// Whether the open chunk can be read to its end and holds what its header says.
bool Rewriter::is_intact(uint64_t end_seq) {
  reasons_.clear();
  uint64_t seq = decoder_.header().first_seq;
  if (!decoder_.begin()) return false;
  for (;;) {
    switch (decoder_.next()) {
      case ChunkDecoder::Item::kExit:
        if (decoder_.exit().seq != seq++) return false;
        ++reasons_[decoder_.exit().reason];
        break;
      case ChunkDecoder::Item::kSide:
        if (decoder_.side().next_seq < seq) return false;
        seq = decoder_.side().next_seq;
        break;
      case ChunkDecoder::Item::kEnd:
        return seq == end_seq;
      case ChunkDecoder::Item::kCorrupt:
        return false;
    }
  }
}

Result<void> Rewriter::append_gap(const IndexEntry& entry, uint64_t first_seq, uint64_t lost) {
  StreamDescription stream{entry.vcpu_index, entry.vcpu_index, session_.architecture,
                           session_.byte_order};
  for (const SessionVcpu& vcpu : session_.vcpus)
    if (vcpu.index == entry.vcpu_index) stream.vcpu_id = vcpu.id;
  const ChunkPlace place{session_.uuid, entry.cut, session_.now, session_.ticks_per_second, 0, 0};
  ChunkRebuilder gap(stream, place, [this](const RebuiltChunk& rebuilt) {
    return append(rebuilt.bytes, rebuilt.lost, {});
  });
  totals_.exits_damaged += lost;
  return gap.write_gap(first_seq, lost, entry.first_tsc);
}

Result<void> Rewriter::append(std::span<const uint8_t> chunk, uint64_t lost,
                              std::vector<std::pair<uint32_t, uint32_t>> reasons) {
  if (to_.chunks() - chunks_at_session_ >= kSessionRepeatChunks) KVMTAPE_TRY(write_session());
  return to_.append(chunk, lost, std::move(reasons));
}

Result<void> Rewriter::write_session() {
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  KVMTAPE_TRY(to_.append(chunk));
  chunks_at_session_ = to_.chunks();
  return {};
}

}  // namespace

Result<RewriteTotals> rewrite_trace(TraceReader& from, const RewriteRequest& request) {
  std::error_code error;
  if (std::filesystem::equivalent(from.path(), request.path, error))
    return Error{ErrorCode::kUsage, "is the recording that is read: name another file to write",
                 request.path, std::nullopt};
  KVMTAPE_TRY_ASSIGN(TraceFile file,
                     TraceFile::create(request.path, request.force, from.session().uuid));
  const bool replaces = file.replaces();
  Rewriter rewriter(from, request, std::move(file));
  auto totals = rewriter.run(from);
  if (totals) return totals;
  // What cannot be read becomes a gap: only writing fails.
  if (!replaces) ::unlink(request.path.c_str());
  return Error{totals.error().code,
               totals.error().message +
                   "; half a recording is not left behind: make room, or name another place",
               request.path, std::nullopt};
}

}  // namespace kvmtape
