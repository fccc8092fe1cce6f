#include "replayer/trace_reader.h"

#include <algorithm>
#include <deque>
#include <filesystem>

#include "replayer/chunk_store.h"
#include "replayer/mapped_file.h"
#include "replayer/recovery.h"
#include "replayer/stream_cursor.h"
#include "replayer/trace_clock.h"
#include "replayer/trace_description.h"
#include "schema/base/uuid_text.h"
#include "schema/ring_file.h"

namespace kvmtape {
namespace {

bool is_later(const StreamCursor* a, const StreamCursor* b) {
  return a->ticks() != b->ticks() ? a->ticks() > b->ticks() : a->stream() > b->stream();
}

// Of an exit, which comes far more often than all else, what is its own: the rest is twice as much.
void hand_out(const Item& current, Item& item) {
  if (current.kind != Item::Kind::kExit) {
    item = current;
    return;
  }
  item.kind = current.kind;
  item.vcpu_index = current.vcpu_index;
  item.exit = current.exit;
  item.stream = current.stream;
  item.time_ns = current.time_ns;
  item.guest_ns = current.guest_ns;
  item.monitor_ns = current.monitor_ns;
  item.seq = current.seq;
  item.side = nullptr;
}

}  // namespace

std::string_view to_string(GapReason why) {
  switch (why) {
    case GapReason::kRingFull:
      return "ring full";
    case GapReason::kOverwritten:
      return "overwritten";
    case GapReason::kNoRing:
      return "no ring";
    case GapReason::kWriteFailed:
      return "write failed";
    case GapReason::kFiltered:
      return "filtered";
    case GapReason::kDamaged:
      return "damaged";
    case GapReason::kStopped:
      return "recording stopped";
    case GapReason::kNotInRings:
      return "no more in the rings";
  }
  return "unknown";
}

struct TraceReader::State {
  std::string path;
  bool rings_alone = false;
  Options options;
  MappedFile file;
  ChunkStore store;
  Session session;
  TraceClock clock;
  std::vector<VcpuTotals> vcpus;
  uint64_t last_tsc = 0;

  // The walk: cursors in a heap, the one whose next item is the earliest in front; it stands on the
  // item that was handed out last.
  Selection selection;
  std::deque<StreamCursor> cursors;
  std::vector<StreamCursor*> heap;
  bool front_taken = false;

  Result<void> map();
  Result<void> add_rings();
  void count();
  void check_all_but_exits();
  void advance_front();
};

Result<void> TraceReader::State::map() {
  KVMTAPE_TRY_ASSIGN(file, MappedFile::open(rings_alone ? path + "/" + kHeaderCopyName : path));
  store = ChunkStore();
  if (auto found = store.find(file.bytes()); !found) {
    found.error().path = path;
    return std::move(found.error());
  }
  store.build_streams();
  session = find_session(store, options.verify_checksums);
  store.health().copied_end = session.copied_end;
  store.health().rings_alone = rings_alone;
  return {};
}

// The rings are copied first and the file mapped again after: what a living recorder moved from one
// to the other meanwhile is then in both rather than in neither.
Result<void> TraceReader::State::add_rings() {
  std::string directory = !options.ring_directory.empty() ? options.ring_directory
                          : rings_alone                   ? path
                                                          : session.ring_directory;
  if (directory.empty()) return {};
  RingSnapshots rings = copy_rings(directory, store.session());
  const auto none_are_there = [&] { return rings.rings.empty() && rings.problems.empty(); };
  if (none_are_there() && !options.ring_directory.empty()) {
    // What a recorder is told is the place in which it makes a directory of its own.
    directory.append("/").append(to_string(store.session()));
    rings = copy_rings(directory, store.session());
  }
  if (none_are_there()) {
    if (!options.ring_directory.empty())
      store.health().note({ErrorCode::kIo,
                           "no rings of this recording in " + options.ring_directory,
                           {},
                           std::nullopt});
    return {};
  }
  KVMTAPE_TRY(map());
  TraceHealth& health = store.health();
  health.writer_alive = rings.writer_alive;
  health.ring_directory = directory;
  health.ring_bytes = rings.bytes;
  health.rings_forbidden = rings.forbidden;
  if (!rings.writer_alive) health.ring_writer_pid = rings.ring_writer_pid;
  for (Error& problem : rings.problems) health.note_ring(std::move(problem));
  if (health.sealed) return {};
  if (rings_alone)
    health.vcpus_without_ring =
        static_cast<uint64_t>(std::ranges::count_if(session.vcpus, [&](const SessionVcpu& vcpu) {
          return std::ranges::find(rings.rings, vcpu.index, &RingSnapshot::vcpu_index) ==
                 rings.rings.end();
        }));
  for (RingSnapshot& ring : rings.rings) read_ring(ring, session, store);
  return {};
}

void TraceReader::State::count() {
  vcpus.clear();
  last_tsc = 0;
  for (const ChunkStream& stream : store.streams()) {
    last_tsc = std::max(last_tsc, stream.last_tsc);
    if (stream.vcpu_index == kSessionStream) continue;
    VcpuTotals totals{stream.vcpu_index, stream.vcpu_index, stream.exits,
                      stream.lost,       stream.first_tsc,  stream.last_tsc};
    for (const SessionVcpu& vcpu : session.vcpus)
      if (vcpu.index == stream.vcpu_index) totals.id = vcpu.id;
    vcpus.push_back(totals);
  }
  for (const SessionVcpu& vcpu : session.vcpus) {
    const auto is_it = [&](const VcpuTotals& totals) { return totals.index == vcpu.index; };
    if (std::none_of(vcpus.begin(), vcpus.end(), is_it))
      vcpus.push_back({vcpu.index, vcpu.id, 0, 0, 0, 0});
  }
  std::sort(vcpus.begin(), vcpus.end(),
            [](const VcpuTotals& a, const VcpuTotals& b) { return a.index < b.index; });
}

TraceReader::TraceReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceReader::~TraceReader() = default;

Result<std::unique_ptr<TraceReader>> TraceReader::open(const std::string& path,
                                                       const Options& options) {
  auto state = std::make_unique<State>();
  state->path = path;
  std::error_code error;
  state->rings_alone = std::filesystem::is_regular_file(path + "/" + kHeaderCopyName, error);
  state->options = options;
  KVMTAPE_TRY(state->map());
  if (options.with_rings && !state->store.health().sealed) KVMTAPE_TRY(state->add_rings());
  state->store.build_streams();
  state->store.mark_gone();
  const bool verify = options.verify_checksums;
  add_unlisted_vcpus(state->store, verify, state->session);
  state->clock = find_clock(state->store, verify, state->session);
  state->count();
  std::unique_ptr<TraceReader> reader(new TraceReader(std::move(state)));
  reader->rewind();
  return reader;
}

const std::string& TraceReader::path() const { return state_->path; }
const TraceReader::Options& TraceReader::options() const { return state_->options; }
uint64_t TraceReader::file_bytes() const { return state_->file.bytes().size(); }
const Session& TraceReader::session() const { return state_->session; }
const TraceHealth& TraceReader::health() const { return state_->store.health(); }
const std::vector<VcpuTotals>& TraceReader::vcpus() const { return state_->vcpus; }
uint64_t TraceReader::exits() const {
  return state_->store.health().file_exits + state_->store.health().ring_exits;
}
uint64_t TraceReader::folded() const { return state_->store.folded(); }
bool TraceReader::overlaps() const {
  return std::ranges::any_of(state_->store.chunks(), [](const ChunkRef& ref) {
    return !ref.duplicate && ref.skip_below != 0;
  });
}
uint64_t TraceReader::lost() const { return state_->store.health().lost; }
int64_t TraceReader::begin_ns() const {
  bool is_part = !state_->session.trigger.empty();
  uint64_t first_tsc = 0;
  for (const ChunkStream& stream : state_->store.streams()) {
    if (stream.vcpu_index == kSessionStream || stream.first_tsc == 0) continue;
    is_part = is_part || stream.begin_seq != 0;
    first_tsc = first_tsc == 0 ? stream.first_tsc : std::min(first_tsc, stream.first_tsc);
  }
  return is_part && first_tsc != 0 ? std::max<int64_t>(0, time_ns(first_tsc)) : 0;
}
int64_t TraceReader::duration_ns() const {
  return state_->last_tsc == 0 ? 0 : std::max<int64_t>(0, time_ns(state_->last_tsc));
}
int64_t TraceReader::recorded_ns() const {
  const uint64_t now = state_->session.now.ticks;
  return std::max(duration_ns(), now == 0 ? 0 : time_ns(now));
}
uint64_t TraceReader::chunk_count() const { return state_->store.chunks().size(); }
int64_t TraceReader::time_ns(uint64_t tsc) const { return state_->clock.time_ns(tsc); }
int64_t TraceReader::ticks_to_ns(uint64_t ticks) const { return state_->clock.duration_ns(ticks); }

void TraceReader::rewind(const Selection& selection) {
  State& state = *state_;
  state.selection = selection;
  state.heap.clear();
  state.cursors.clear();
  state.front_taken = false;
  const auto& streams = state.store.streams();
  const auto& wanted = state.selection.vcpus;
  for (size_t i = 0; i < streams.size(); ++i) {
    const uint32_t index = streams[i].vcpu_index;
    if (index != kSessionStream && !wanted.empty() &&
        std::find(wanted.begin(), wanted.end(), index) == wanted.end())
      continue;
    state.cursors.emplace_back(state.store, state.clock, state.selection, i,
                               state.options.verify_checksums);
    StreamCursor& cursor = state.cursors.back();
    if (cursor.advance()) state.heap.push_back(&cursor);
  }
  std::make_heap(state.heap.begin(), state.heap.end(), is_later);
}

// Moves the front cursor on and puts it where it now belongs. The standard heap has no such step.
void TraceReader::State::advance_front() {
  if (!heap.front()->advance()) {
    heap.front() = heap.back();
    heap.pop_back();
  }
  for (size_t at = 0;;) {
    size_t first = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap.size(); ++child)
      if (is_later(heap[first], heap[child])) first = child;
    if (first == at) return;
    std::swap(heap[at], heap[first]);
    at = first;
  }
}

bool TraceReader::next(Item& item) {
  State& state = *state_;
  if (state.front_taken) {
    state.front_taken = false;
    state.advance_front();
  }
  while (!state.heap.empty()) {
    if (state.heap.front()->has_item()) {
      hand_out(state.heap.front()->current(), item);
      state.front_taken = true;
      return true;
    }
    state.advance_front();
  }
  state.count();
  return false;
}

bool TraceReader::taken_follows() const {
  return state_->front_taken && state_->heap.front()->taken_follows();
}

void TraceReader::for_each_chunk(
    const std::function<Result<void>(uint32_t, ChunkDecoder&)>& visit) {
  State& state = *state_;
  ChunkDecoder decoder;
  for (size_t number = 0; number < state.store.chunks().size(); ++number) {
    const ChunkRef& ref = state.store.chunks()[number];
    if (ref.entry.type != ChunkType::kExits || ref.duplicate) continue;
    Result<void> read = state.store.open(number, state.options.verify_checksums, decoder);
    if (read) read = visit(ref.entry.vcpu_index, decoder);
    if (!read) state.store.mark_unreadable(number, std::move(read.error()));
  }
  state.count();
}

Result<void> TraceReader::for_each_stored_chunk(
    const std::function<Result<void>(const StoredChunk&)>& visit) {
  ChunkStore& store = state_->store;
  const auto& chunks = store.chunks();
  for (size_t number = 0; number < chunks.size(); ++number) {
    const ChunkRef& ref = chunks[number];
    if (ref.duplicate) continue;
    StoredChunk chunk{ref.entry,
                      store.bytes(number, true),
                      0,
                      ref.damaged_bytes,
                      ref.damaged,
                      ref.missing_before,
                      ref.skip_below};
    if (!ref.from_ring)
      chunk.file_bytes = chunk.bytes ? chunk.bytes->size() : store.room_of(number);
    KVMTAPE_TRY(visit(chunk));
  }
  return {};
}

// Sessions, cuts and what a newer version wrote: of those a walk needs few.
void TraceReader::State::check_all_but_exits() {
  for (size_t number = 0; number < store.chunks().size(); ++number) {
    const IndexEntry& entry = store.chunks()[number].entry;
    if (entry.type == ChunkType::kExits) continue;
    auto bytes = store.bytes(number, true);
    Result<void> good;
    if (!bytes)
      good = bytes.error();
    else if (entry.type == ChunkType::kCut) {
      if (auto cut = decode_cut(*bytes); !cut) good = cut.error();
    } else if (entry.type == ChunkType::kSession) {
      if (auto decoded = decode_session(*bytes); !decoded) good = decoded.error();
    }
    if (!good) store.mark_unreadable(number, std::move(good.error()));
  }
}

void TraceReader::check() {
  ChunkStore& store = state_->store;
  state_->check_all_but_exits();
  for (size_t number = 0; number < store.chunks().size(); ++number) {
    const ChunkRef& ref = store.chunks()[number];
    if (ref.entry.type != ChunkType::kExits || ref.checked) continue;
    if (auto bytes = store.bytes(number, true); !bytes)
      store.mark_unreadable(number, std::move(bytes.error()));
  }
  state_->count();
}

void TraceReader::verify() {
  State& state = *state_;
  // Walking notes every chunk of exits that cannot be read to its end.
  const bool verify_checksums = std::exchange(state.options.verify_checksums, true);
  rewind();
  for (Item item; next(item);) continue;
  check();  // and what was passed over, as it stands in an earlier chunk
  state.options.verify_checksums = verify_checksums;
  rewind(state.selection);
}

}  // namespace kvmtape
