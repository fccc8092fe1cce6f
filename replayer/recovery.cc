#include "replayer/recovery.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "schema/base/unique_fd.h"
#include "schema/ring_file.h"

namespace kvmtape {
namespace {

constexpr size_t kRingsMax = kVcpusMax + 1;
constexpr int kCopyAttempts = 16;  // each takes microseconds; a producer overtakes one in hundreds

RingSnapshot copy_ring(RingFile& file) {
  // The mapping is private: what is set here, the producer never sees.
  RingHeader* header = file.header();
  RingSnapshot ring{file.path(),
                    header->vcpu_index,
                    header->vcpu_id,
                    header->overwrite != 0,
                    header->coalesce != 0,
                    header->lost_total.load(std::memory_order_acquire),  // before the records
                    why_of_last_gap(*header) == GapReason::kStopped ? header->next_seq.load() : 0,
                    stopped_range(*header),
                    {}};
  // Blocks that the recorder has released may still be whole, and the file may have lost them: all
  // are tried. A living producer may overwrite those, so each copy is checked as in that mode.
  // acquire: pairs with the release in RingWriter::start_block
  const uint64_t open = header->open_block.load(std::memory_order_acquire);
  const uint64_t behind = std::min<uint64_t>(open, header->block_count - 1);
  header->overwrite = 1;
  header->read_bytes.store(0, std::memory_order_relaxed);              // relaxed: ours alone
  header->read_block.store(open - behind, std::memory_order_relaxed);  // relaxed: ours alone
  RingReader reader(header);
  for (uint64_t tries = 0; tries <= 2 * behind + 2; ++tries) {
    const RingBatch batch = reader.poll();
    if (batch.words.empty()) break;
    const std::vector<uint64_t> words(batch.words.begin(), batch.words.end());
    if (batch.block_start)
      ring.blocks.push_back({batch.begin.block, batch.first_seq, batch.lost_before, words});
    else if (!ring.blocks.empty() && ring.blocks.back().number == batch.begin.block)
      ring.blocks.back().words.insert(ring.blocks.back().words.end(), words.begin(), words.end());
  }
  return ring;
}

uint64_t time_of_first_record(const RingSnapshot::Block& block) {
  return block.words.size() > 1 ? load_le<uint64_t>(&block.words[1]) : 0;
}

std::vector<uint64_t> block_start_record(const RingSnapshot::Block& block) {
  std::vector<uint64_t> record(kRecordHeaderWords + sizeof(BlockStartRecord) / kWordBytes);
  store_le<uint64_t>(&record[0],
                     record.size() | uint64_t{static_cast<uint8_t>(RecordKind::kBlockStart)} << 16);
  store_le(&record[1], time_of_first_record(block));
  store_le(&record[2], block.first_seq);
  store_le(&record[3], block.lost_before);
  return record;
}

uint64_t entry_bytes(const std::string& path) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  return error ? 0 : bytes;
}

// Of `path`, or of what hides it: of the first directory on the way up that shows its owner.
std::string owner_of(std::filesystem::path path) {
  struct stat status {};
  while (::stat(path.c_str(), &status) != 0) {
    if (!path.has_parent_path() || path == path.parent_path()) return "their owner";
    path = path.parent_path();
  }
  std::array<char, 4096> text;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(status.st_uid, &entry, text.data(), text.size(), &found) == 0 &&
      found != nullptr)
    return found->pw_name;
  return "user " + std::to_string(status.st_uid);
}

// A directory that is not there is not forbidden.
bool may_not_look_into(const std::string& directory) {
  const UniqueFd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return errno == EACCES;
  return ::faccessat(opened.get(), ".", X_OK, AT_EACCESS) != 0 && errno == EACCES;
}

// Records of one ring into chunks of the store. Those that came while the recording was stopped are
// taken, since later ones say only what changed, and become a gap.
class RingEncoder {
 public:
  // `stopped`: what of that range the file does not have.
  RingEncoder(const RingSnapshot& ring, const StoppedRange& stopped, const Session& session,
              ChunkStore& store)
      : session_(session),
        store_(store),
        stopped_(stopped),
        encoder_({ring.vcpu_index, ring.vcpu_id, session.architecture, session.byte_order}) {}

  // False: the records do not hold together, or end in the middle of one.
  bool add(std::span<const uint64_t> words, bool keep) {
    while (!words.empty() && !encoder_.malformed()) {
      look_at_stop(keep);
      const auto next = words.first(words_at_a_time(words));
      if (skipping_ && next.size() > 1) skipped_tsc_ = load_le<uint64_t>(&next[1]);
      words = words.subspan(encoder_.add(next, true));
      if (encoder_.full()) finish(keep && !skipping_);
    }
    if (!keep) finish(false);
    return words.empty();
  }

  // Exits that the producer counted as lost and for which it found no room for a gap record.
  void add_last_lost(uint64_t lost_total) {
    look_at_stop(true);
    const uint64_t told = encoder_.lost_total() - stopped_exits_;
    if (lost_total > told)
      encoder_.add_gap(lost_total - told, GapReason::kRingFull, session_.now.ticks);
  }
  // Those before `seq`, of a flight recorder: it was stopped, and they were only counted.
  void add_last_counted(uint64_t seq) {
    if (seq > encoder_.next_seq())
      encoder_.add_gap(seq - encoder_.next_seq(), GapReason::kStopped, session_.now.ticks);
  }

  // Nothing follows.
  void end() {
    if (skipping_) end_stop();
    finish(true);
  }

  void start_at(uint64_t seq, uint64_t lost_total) {
    encoder_.resume(seq, lost_total);
    lost_written_ = lost_total;
  }
  // Of rings alone: all before the first block that is left is in a file, or was lost before, or
  // came in a stop that lasts into it.
  void add_what_left(const RingSnapshot::Block& first) {
    const uint64_t end = stopped_.has(first.first_seq) ? stopped_.from : first.first_seq;
    encoder_.add_gap(end, GapReason::kNotInRings, time_of_first_record(first));
    finish(true);
    start_at(first.first_seq, first.lost_before);
  }
  uint64_t kept_exits() const { return kept_exits_; }

 private:
  // All of them, but where the range may begin or end behind any.
  size_t words_at_a_time(std::span<const uint64_t> words) const {
    if (encoder_.next_seq() >= stopped_.to) return words.size();
    return std::clamp<size_t>(load_le<uint16_t>(words.data()), 1, words.size());
  }

  void look_at_stop(bool keep) {
    if (skipping_ && encoder_.next_seq() >= stopped_.to) end_stop();
    if (skipping_ || !stopped_.has(encoder_.next_seq())) return;
    finish(keep);
    skipping_ = true;
  }

  // Blocks that were overwritten may have held its end, and what followed.
  void end_stop() {
    finish(false);
    skipping_ = false;
    const uint64_t next = encoder_.next_seq(), to = std::min(stopped_.to, next);
    const uint64_t tsc = skipped_tsc_ != 0 ? skipped_tsc_ : session_.now.ticks;
    start_at(stopped_.from, encoder_.lost_total());
    encoder_.add_stop(to - stopped_.from, stopped_.dropped, tsc);
    encoder_.add_gap(next - to, GapReason::kOverwritten, tsc);
    stopped_exits_ = next - stopped_.from;
  }

  void finish(bool keep) {
    std::vector<uint8_t> chunk;
    std::vector<std::pair<uint32_t, uint32_t>> reasons;
    const uint64_t lost = encoder_.lost_total() - lost_written_;
    lost_written_ = encoder_.lost_total();
    const uint32_t exits = encoder_.exits();
    if (!encoder_.finish({store_.session(), 0, session_.now, session_.ticks_per_second, 0, 0},
                         chunk, &reasons) ||
        !keep)
      return;
    kept_exits_ += exits;
    store_.add_from_ring(std::move(chunk), std::move(reasons), lost);
  }

  const Session& session_;
  ChunkStore& store_;
  const StoppedRange stopped_;
  ChunkEncoder encoder_;
  bool skipping_ = false;       // what comes is in stopped_
  uint64_t skipped_tsc_ = 0;    // of the last record there
  uint64_t stopped_exits_ = 0;  // in a gap that the producer does not know of
  uint64_t lost_written_ = 0;
  uint64_t kept_exits_ = 0;
};

// Of a header that may say anything.
StoppedRange stopped_beyond(uint64_t end_seq, const RingSnapshot& ring) {
  if (ring.keeps_last || ring.vcpu_index == kSessionStream) return {};
  StoppedRange range = ring.stopped;
  range.from = std::max(range.from, end_seq);
  range.dropped -= std::min(range.dropped, range.from - ring.stopped.from);
  return range.from < range.to ? range : StoppedRange{};
}

}  // namespace

RingSnapshots copy_rings(const std::string& directory, const Uuid& session) {
  RingSnapshots found;
  if (may_not_look_into(directory)) {
    found.forbidden = true;
    found.problems.push_back({ErrorCode::kIo,
                              "its rings in " + directory + " cannot be read (" +
                                  std::strerror(EACCES) + "): run this as " + owner_of(directory),
                              {},
                              {}});
    return found;
  }
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".ring" && paths.size() < kRingsMax)
      paths.push_back(entry->path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    // A living producer that overwrites may go once around its ring while we copy; a fresh mapping
    // sees where it is now.
    for (int attempt = 0; attempt < kCopyAttempts; ++attempt) {
      auto ring = RingFile::open(path, RingFile::Access::kCopy);
      if (!ring) {
        // A living recorder may have given it back meanwhile: the file has all that was in it.
        if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) break;
        found.problems.push_back(std::move(ring.error()));
        break;
      }
      if (ring->header()->session != session) break;
      if (ring->header()->vcpu_index == kSessionStream)
        found.writer_alive = is_writer_alive(*ring);
      else if (attempt == 0 && is_maker_alive(*ring))
        found.ring_writer_pid = ring->header()->writer_pid;
      if (attempt == 0) found.bytes += entry_bytes(path);
      RingSnapshot copy = copy_ring(*ring);
      if (copy.blocks.empty() && copy.overwrite && attempt + 1 < kCopyAttempts) continue;
      // As it is behind the records: what was copied and is wanted since is not left out. In our
      // mapping the header is as old as the first store into it.
      if (const auto now = RingFile::open(path, RingFile::Access::kCopy))
        copy.stopped = stopped_range(*now->header());
      found.rings.push_back(std::move(copy));
      break;
    }
  }
  return found;
}

void read_ring(const RingSnapshot& ring, const Session& session, ChunkStore& store) {
  const auto end = store.ring_end(ring.vcpu_index);
  RingEncoder ring_encoder(ring, stopped_beyond(end ? end->end_seq : 0, ring), session, store);
  bool started = false;
  bool good = true;
  for (const RingSnapshot::Block& block : ring.blocks) {
    if (end && block.number < end->block) continue;
    std::span<const uint64_t> words = block.words;
    if (!started) {
      // Blocks that are gone were overwritten, and the block's record makes a gap of them; a ring
      // that drops never overwrites, so there the file has lost them, which the store will see. A
      // flight recorder's ring is to hold the last exits: what it let go of is no loss, as it is
      // none in a snapshot.
      const bool gone = end ? block.number != end->block : ring.overwrite;
      if (store.health().rings_alone && !ring.keeps_last)
        ring_encoder.add_what_left(block);
      else if (gone && ring.overwrite && (end || !ring.keeps_last))
        ring_encoder.start_at(end ? end->end_seq : 0, 0);
      else
        ring_encoder.start_at(block.first_seq, block.lost_before);
      started = true;
    }
    good = ring_encoder.add(block_start_record(block), true);
    // What the file has goes through the encoder too: later records say only what changed.
    if (good && end && block.number == end->block) {
      const size_t in_file = std::min<size_t>(end->bytes / kWordBytes, words.size());
      good = ring_encoder.add(words.first(in_file), false);
      words = words.subspan(in_file);
    }
    if (good) good = ring_encoder.add(words, true);
    if (!good) {
      store.health().note_ring(
          Error{ErrorCode::kCorrupt,
                "a record of block " + std::to_string(block.number) +
                    " does not hold together; the rest of the ring is left out",
                ring.path, std::nullopt});
      break;
    }
  }
  if (started && good && !ring.overwrite) ring_encoder.add_last_lost(ring.lost_total);
  if (good) ring_encoder.add_last_counted(ring.counted_to);
  ring_encoder.end();
  if (ring_encoder.kept_exits() != 0) ++store.health().ring_count;
}

}  // namespace kvmtape
