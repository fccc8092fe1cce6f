#include "tests/support/trace_builder.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "schema/file_order.h"
#include "schema/record_words.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

uint64_t mixed(uint64_t a, uint64_t b) { return (a * 1000003 + b + 1) * 0x9e3779b97f4a7c15u; }

}  // namespace

RunImage exit_image(uint32_t vcpu, uint64_t seq) {
  RunImage image{};
  store_le<uint32_t>(&image[8], seq % 3 == 0 ? 2 : 6);  // KVM_EXIT_IO, KVM_EXIT_MMIO
  image[13] = 1;
  store_le<uint64_t>(&image[32], seq);
  store_le<uint64_t>(&image[40], mixed(vcpu, seq));
  store_le<uint64_t>(&image[280], vcpu);
  return image;
}

RunImage answer_image(uint32_t vcpu, uint64_t seq) {
  RunImage image = exit_image(vcpu, seq);
  store_le<uint64_t>(&image[48], ~mixed(vcpu, seq));
  image[1] = static_cast<uint8_t>(seq % 2);
  return image;
}

std::vector<uint8_t> exit_data(uint32_t vcpu, uint64_t seq) {
  std::vector<uint8_t> data(seq % 3 == 0 ? 1 + seq % 13 : 0);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(mixed(vcpu, seq) >> i);
  return data;
}

uint64_t exit_tsc(uint32_t vcpu, uint64_t seq) { return 1'000'000 + 100 * seq + vcpu; }

TraceBuilder::TraceBuilder(std::string ring_directory) {
  for (uint8_t i = 0; i < 16; ++i) session_.uuid.bytes[i] = static_cast<uint8_t>(0x10 + i);
  session_.architecture = Architecture::kX86_64;
  session_.kernel_release = "6.1.0-test";
  session_.page_bytes = 4096;
  session_.clock_name = "tsc";
  session_.ticks_per_second = 1'000'000'000;
  session_.start = {1'000'000, 5'000'000, 0};
  session_.ring_directory = std::move(ring_directory);
  const auto header = file_bytes_of(make_file_header(session_.uuid));
  bytes_.assign(header.begin(), header.end());
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  append_chunk(chunk);
}

TraceBuilder::Stream& TraceBuilder::stream(uint32_t vcpu) {
  auto found = streams_.find(vcpu);
  if (found != streams_.end()) return *found->second;
  if (vcpu != kSessionStream) session_.vcpus.push_back({vcpu, vcpu, 4096});
  const StreamDescription description{vcpu, vcpu, session_.architecture, session_.byte_order};
  return *streams_.emplace(vcpu, std::make_shared<Stream>(description)).first->second;
}

ClockReading TraceBuilder::clock() const {
  return {latest_, session_.start.monotonic_ns + (latest_ - session_.start.ticks), 0};
}

bool TraceBuilder::extends_run(Stream& to, const GivenExit& exit) {
  const auto content = [](const GivenExit& of) {
    return std::tie(of.ret, of.run, of.data, of.answered, of.answer_run, of.answer_data);
  };
  if (!to.last || !exit.answered || content(*to.last) != content(exit)) return false;
  const uint64_t ticks = exit.answer_tsc - exit.tsc;
  if (to.run.count++ == 0) to.run = {to.next_seq - 1, 1, exit.tsc, exit.tsc, ticks, ticks};
  to.run.last_tsc = exit.tsc;
  to.run.monitor_ticks_min = std::min(to.run.monitor_ticks_min, ticks);
  to.run.monitor_ticks_max = std::max(to.run.monitor_ticks_max, ticks);
  to.run_answer_tsc = exit.answer_tsc;
  ++to.next_seq;
  return true;
}

void TraceBuilder::end_run(Stream& of) {
  of.last.reset();
  if (of.run.count == 0) return;
  constexpr size_t kWords = kRecordHeaderWords + sizeof(RepeatRecord) / kWordBytes;
  const RepeatRecord run = std::exchange(of.run, {});
  const uint64_t words[] = {kWords | uint64_t{static_cast<uint8_t>(RecordKind::kRepeat)} << 16,
                            of.run_answer_tsc,
                            run.of_seq,
                            run.count,
                            run.first_tsc,
                            run.last_tsc,
                            run.monitor_ticks_min,
                            run.monitor_ticks_max};
  std::vector<uint64_t> numbers;
  for (const uint64_t word : words) numbers.push_back(number(word));
  EXPECT_EQ(of.encoder.add(numbers, true), kWords);
}

void TraceBuilder::put(uint32_t vcpu, const std::vector<uint64_t>& words) {
  end_run(stream(vcpu));
  EXPECT_EQ(stream(vcpu).encoder.add(words, true), words.size());
}

TraceBuilder& TraceBuilder::add_exits(uint32_t vcpu, uint32_t count) {
  Stream& to = stream(vcpu);
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t seq = to.next_seq++;
    const uint64_t tsc = exit_tsc(vcpu, seq);
    std::vector<uint64_t> words;
    const auto data = exit_data(vcpu, seq);
    to.writer.append(false, 0, tsc, exit_image(vcpu, seq), data, words);
    to.writer.append(true, 0, tsc + kAnswerTicks, answer_image(vcpu, seq), data, words);
    latest_ = std::max(latest_, tsc + kAnswerTicks);
    if (to.encoder.full()) flush(vcpu);
    put(vcpu, words);
  }
  return *this;
}

TraceBuilder& TraceBuilder::add_exit(uint32_t vcpu, const GivenExit& exit) {
  Stream& to = stream(vcpu);
  if (folds_ && extends_run(to, exit)) {
    latest_ = std::max(latest_, exit.answer_tsc);
    return *this;
  }
  ++to.next_seq;
  std::vector<uint64_t> words;
  to.writer.append(false, exit.ret, exit.tsc, exit.run, exit.data, words);
  latest_ = std::max(latest_, exit.tsc);
  if (exit.answered) {
    to.writer.append(true, 0, exit.answer_tsc, exit.answer_run, exit.answer_data, words);
    latest_ = std::max(latest_, exit.answer_tsc);
  }
  if (to.encoder.full()) flush(vcpu);
  put(vcpu, words);
  if (exit.answered) to.last = exit;
  return *this;
}

TraceBuilder& TraceBuilder::add_record(uint32_t vcpu, RecordKind kind, int32_t ret,
                                       std::vector<uint64_t> payload) {
  std::vector<uint64_t> words{(kRecordHeaderWords + payload.size()) |
                                  uint64_t{static_cast<uint8_t>(kind)} << 16 |
                                  uint64_t{static_cast<uint32_t>(ret)} << 32,
                              std::max<uint64_t>(latest_, session_.start.ticks)};
  words.insert(words.end(), payload.begin(), payload.end());
  for (uint64_t& word : words) word = number(word);
  put(vcpu, words);
  return *this;
}

TraceBuilder& TraceBuilder::add_gap(uint32_t vcpu, uint64_t lost, GapReason why) {
  Stream& to = stream(vcpu);
  end_run(to);
  to.encoder.add_gap(lost, why, latest_);
  to.next_seq += lost;
  return *this;
}

TraceBuilder& TraceBuilder::add_mark(const std::string& text) {
  std::vector<uint64_t> payload((text.size() + 7) / 8);
  for (size_t i = 0; i < text.size(); ++i)
    payload[i / 8] |= uint64_t{static_cast<uint8_t>(text[i])} << 8 * (i % 8);
  return add_record(kSessionStream, RecordKind::kMark, static_cast<int32_t>(text.size()), payload);
}

TraceBuilder& TraceBuilder::ring_position(uint32_t vcpu, uint64_t block, uint64_t bytes) {
  stream(vcpu).ring_block = block;
  stream(vcpu).ring_bytes = bytes;
  return *this;
}

TraceBuilder& TraceBuilder::flush(uint32_t vcpu) {
  Stream& from = stream(vcpu);
  end_run(from);
  std::vector<uint8_t> chunk;
  std::vector<std::pair<uint32_t, uint32_t>> reasons;
  const uint64_t lost = from.encoder.lost_total() - from.lost_written;
  if (!from.encoder.finish({session_.uuid, cut_number_, clock(), session_.ticks_per_second,
                            from.ring_block, from.ring_bytes},
                           chunk, &reasons))
    return *this;
  from.lost_written = from.encoder.lost_total();
  append_chunk(chunk);
  index_.entries.back().lost = lost;
  index_.entries.back().reasons = reasons;
  return *this;
}

TraceBuilder& TraceBuilder::append_chunk(const std::vector<uint8_t>& chunk) {
  index_.entries.push_back(
      index_entry_of(bytes_.size(), load_file_struct<ChunkHeader>(chunk.data())));
  bytes_.insert(bytes_.end(), chunk.begin(), chunk.end());
  return *this;
}

TraceBuilder& TraceBuilder::cut() {
  for (auto& [vcpu, from] : streams_) flush(vcpu);
  std::vector<uint8_t> chunk;
  encode_cut({cut_number_++, clock()}, session_.uuid, chunk);
  return append_chunk(chunk);
}

TraceBuilder& TraceBuilder::seal() {
  cut();
  session_.now = clock();
  std::vector<uint8_t> chunk;
  encode_session(session_, chunk);
  append_chunk(chunk);
  split_index();
  const auto trailer = file_bytes_of(make_file_trailer(index_.previous_offset));
  bytes_.insert(bytes_.end(), trailer.begin(), trailer.end());
  return *this;
}

TraceBuilder& TraceBuilder::split_index() {
  std::vector<uint8_t> chunk;
  encode_index(index_, session_.uuid, chunk);
  offsets_.insert(offsets_.end(), index_.entries.begin(), index_.entries.end());
  index_.entries.clear();
  index_.previous_offset = bytes_.size();
  bytes_.insert(bytes_.end(), chunk.begin(), chunk.end());
  return *this;
}

TraceBuilder& TraceBuilder::flip_byte(uint64_t offset, uint8_t bits) {
  bytes_.at(offset) ^= bits;
  return *this;
}

TraceBuilder& TraceBuilder::truncate_at(uint64_t bytes) {
  bytes_.resize(std::min<uint64_t>(bytes, bytes_.size()));
  return *this;
}

uint64_t TraceBuilder::offset_of(ChunkType type, size_t number) const {
  std::vector<IndexEntry> all = offsets_;
  all.insert(all.end(), index_.entries.begin(), index_.entries.end());
  for (const IndexEntry& entry : all)
    if (entry.type == type && number-- == 0) return entry.offset;
  ADD_FAILURE() << "no such chunk";
  return 0;
}

std::string TraceBuilder::write_to(const std::string& path) const {
  write_file(path, bytes_);
  return path;
}

std::vector<uint64_t> SeenTrace::seqs(uint32_t vcpu) const {
  std::vector<uint64_t> found;
  for (const SeenItem& item : items)
    if (item.kind == Item::Kind::kExit && item.vcpu == vcpu) found.push_back(item.seq);
  return found;
}

std::vector<Gap> SeenTrace::gaps(uint32_t vcpu) const {
  std::vector<Gap> found;
  for (const SeenItem& item : items)
    if (item.kind == Item::Kind::kGap && item.vcpu == vcpu) found.push_back(item.gap);
  return found;
}

uint64_t SeenTrace::exit_count() const {
  return static_cast<uint64_t>(std::count_if(
      items.begin(), items.end(), [](const auto& item) { return item.kind == Item::Kind::kExit; }));
}

std::string SeenTrace::invented() const {
  std::map<uint32_t, uint64_t> next;
  for (const SeenItem& item : items) {
    if (item.kind != Item::Kind::kExit) continue;
    const std::string where = std::to_string(item.vcpu) + ":" + std::to_string(item.seq);
    if (item.seq < next[item.vcpu]) return where + " came twice or out of order";
    next[item.vcpu] = item.seq + 1;
    const auto exit = exit_image(item.vcpu, item.seq);
    const auto answer = answer_image(item.vcpu, item.seq);
    const auto data = exit_data(item.vcpu, item.seq);
    if (!std::equal(exit.begin(), exit.end(), item.kvm_run.begin(), item.kvm_run.end()))
      return where + " has another kvm_run";
    if (item.data != data) return where + " has other data";
    if (!item.monitor_ns) continue;  // the monitor had not answered when it was killed
    if (!std::equal(answer.begin(), answer.end(), item.answer_kvm_run.begin(),
                    item.answer_kvm_run.end()))
      return where + " has another answer";
    if (item.answer_data != data) return where + " has other data in its answer";
  }
  return {};
}

SeenTrace read_all(const std::string& path, const TraceReader::Options& options,
                   const Selection& selection) {
  SeenTrace seen;
  auto opened = TraceReader::open(path, options);
  if (!opened) {
    seen.error = opened.error();
    return seen;
  }
  TraceReader& reader = **opened;
  seen.exits = reader.exits();
  seen.lost = reader.lost();
  reader.rewind(selection);
  auto copy = [](std::span<const uint8_t> bytes) {
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  };
  for (Item item; reader.next(item);) {
    SeenItem& to = seen.items.emplace_back();
    to.kind = item.kind;
    to.vcpu = item.vcpu_index;
    to.seq = item.seq;
    to.time_ns = item.time_ns;
    to.guest_ns = item.guest_ns;
    to.monitor_ns = item.monitor_ns;
    to.gap = item.gap;
    to.repeat = item.repeat;
    to.mark = item.mark;
    if (item.side != nullptr) to.record = item.side->kind;
    if (item.kind != Item::Kind::kExit) continue;
    to.reason = item.exit->reason;
    to.ret = item.exit->ret;
    to.kvm_run = copy(item.exit->kvm_run);
    to.data = copy(item.exit->data);
    to.answer_kvm_run = copy(item.exit->answer_kvm_run);
    to.answer_data = copy(item.exit->answer_data);
  }
  seen.health = reader.health();
  return seen;
}

}  // namespace kvmtape::testing
