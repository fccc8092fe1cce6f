#include "recorder/import/raw_stream.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "recorder/import/byte_source.h"
#include "recorder/import/moment_writer.h"
#include "schema/abi/exit_numbers.h"
#include "schema/base/byte_cursor.h"
#include "schema/base/uuid_text.h"
#include "schema/chunk_codec.h"
#include "schema/trace_file.h"

namespace kvmtape {
namespace {

constexpr size_t kHeadBytes = 32;
constexpr size_t kRunBytes = kCoreWords * kWordBytes;

struct RawRecord {
  uint64_t monotonic_ns = 0;
  uint32_t vcpu = 0;
  int32_t ret = 0;
  bool is_answer = false;
  std::span<const uint8_t> kvm_run;
  std::span<const uint8_t> data;
};

// Reads one record at a time; what it hands out lives until the next.
class RawStreamReader {
 public:
  explicit RawStreamReader(ByteSource source) : source_(std::move(source)) {}

  // nullopt: the stream ended in order.
  Result<std::optional<RawRecord>> next() {
    const uint64_t begin = source_.position();
    auto bad = [&](ErrorCode code, const std::string& message, uint64_t at) {
      return Error{code, message, {}, begin + at};
    };
    buffer_.resize(kHeadBytes);
    KVMTAPE_TRY_ASSIGN(const size_t head_bytes, source_.read(buffer_));
    if (head_bytes == 0) return std::optional<RawRecord>{};
    if (head_bytes < kHeadBytes)
      return bad(ErrorCode::kTruncated, "the stream ends inside a record's header", 0);
    ByteCursor head(buffer_);
    RawRecord record;
    record.monotonic_ns = head.read<uint64_t>();
    head.take(8);  // TSC: the trace has one clock
    record.vcpu = head.read<uint32_t>();
    const auto data_bytes = head.read<uint16_t>();
    const auto record_bytes = head.read<uint16_t>();
    record.ret = static_cast<int32_t>(head.read<uint32_t>());
    const auto moment = head.read<uint8_t>();
    const auto zero = head.take(3);
    if (record.vcpu >= kVcpusMax)
      return bad(ErrorCode::kCorrupt, "impossible vCPU " + std::to_string(record.vcpu), 16);
    if (data_bytes > kDataBytesMax)
      return bad(ErrorCode::kCorrupt,
                 "impossible data_bytes " + std::to_string(data_bytes) + ": at most 4096", 20);
    if (record_bytes % 8 != 0 || record_bytes < kHeadBytes + kRunBytes + data_bytes)
      return bad(ErrorCode::kCorrupt, "impossible record_bytes " + std::to_string(record_bytes),
                 22);
    if (record.ret < -kErrnoMax)
      return bad(ErrorCode::kCorrupt,
                 "impossible ret " + std::to_string(record.ret) + ": a negated errno is expected",
                 24);
    if (moment > 1)
      return bad(ErrorCode::kCorrupt,
                 "unknown moment " + std::to_string(moment) + ": 0 is an exit, 1 an answer", 28);
    if (std::any_of(zero.begin(), zero.end(), [](uint8_t byte) { return byte != 0; }))
      return bad(ErrorCode::kCorrupt, "bytes that must be zero are not", 29);
    record.is_answer = moment == 1;
    buffer_.resize(record_bytes - kHeadBytes);
    KVMTAPE_TRY_ASSIGN(const size_t body_bytes, source_.read(buffer_));
    if (body_bytes < buffer_.size())
      return bad(ErrorCode::kTruncated, "the stream ends inside a record", 0);
    record.kvm_run = std::span<const uint8_t>(buffer_).first(kRunBytes);
    record.data = std::span<const uint8_t>(buffer_).subspan(kRunBytes, data_bytes);
    return std::optional(record);
  }

 private:
  ByteSource source_;
  std::vector<uint8_t> buffer_;
};

struct Stream {
  explicit Stream(const StreamDescription& description) : encoder(description) {}
  MomentWriter writer;
  ChunkEncoder encoder;
  std::vector<uint64_t> pending;  // at most one exit whose answer has not come
  uint64_t lost_written = 0;
};

class Importer {
 public:
  Importer(TraceFile file, Session session)
      : file_(std::move(file)), session_(std::move(session)) {}

  Result<void> add(const RawRecord& record, ImportReport& report) {
    const uint64_t now = record.monotonic_ns;
    if (session_.start.ticks == 0) {
      session_.start = {now, now, 0};
      KVMTAPE_TRY(write_session(now));
    }
    auto found = streams_.find(record.vcpu);
    if (found == streams_.end()) {
      const StreamDescription description{record.vcpu, record.vcpu, session_.architecture,
                                          session_.byte_order};
      found = streams_.emplace(record.vcpu, description).first;
      session_.vcpus.push_back({record.vcpu, record.vcpu, 0});
    }
    Stream& stream = found->second;
    latest_ = std::max(latest_, now);
    switch (stream.writer.append(record.is_answer, std::min(record.ret, 0), now, record.kvm_run,
                                 record.data, stream.pending)) {
      case RecordKind::kExit:
        ++report.exits;
        break;
      case RecordKind::kAnswer:
        ++report.answers;
        break;
      default:
        ++report.entries;
    }
    take(stream, false);
    return stream.encoder.full() ? cut(false) : Result<void>{};
  }

  Result<void> finish(ImportReport& report) {
    KVMTAPE_TRY(cut(true));
    KVMTAPE_TRY(write_session(latest_));
    KVMTAPE_TRY(file_.seal());
    report.vcpus = static_cast<uint32_t>(streams_.size());
    report.trace_bytes = file_.bytes();
    return {};
  }

 private:
  static void take(Stream& stream, bool final) {
    const size_t took = stream.encoder.add(stream.pending, final);
    stream.pending.erase(stream.pending.begin(),
                         stream.pending.begin() + static_cast<ptrdiff_t>(took));
  }

  // One full chunk writes all vCPUs, so that the trace can be merged without looking far ahead.
  Result<void> cut(bool final) {
    const ClockReading clock{latest_, latest_, 0};
    for (auto& [index, stream] : streams_) {
      do {
        take(stream, final);
        std::vector<uint8_t> chunk;
        std::vector<std::pair<uint32_t, uint32_t>> reasons;
        if (stream.encoder.finish(
                {session_.uuid, cut_number_, clock, session_.ticks_per_second, 0, 0}, chunk,
                &reasons))
          KVMTAPE_TRY(append(chunk, std::move(reasons)));
      } while (final && !stream.pending.empty() && !stream.encoder.malformed());
    }
    std::vector<uint8_t> chunk;
    encode_cut({cut_number_++, clock}, session_.uuid, chunk);
    return append(chunk, {});
  }

  Result<void> append(std::span<const uint8_t> chunk,
                      std::vector<std::pair<uint32_t, uint32_t>> reasons) {
    if (file_.chunks() - chunks_at_session_ >= kSessionRepeatChunks)
      KVMTAPE_TRY(write_session(latest_));
    return file_.append(chunk, 0, std::move(reasons));
  }

  Result<void> write_session(uint64_t now) {
    session_.now = {now, now, 0};
    std::vector<uint8_t> chunk;
    encode_session(session_, chunk);
    KVMTAPE_TRY(file_.append(chunk));
    chunks_at_session_ = file_.chunks();
    return {};
  }

  TraceFile file_;
  Session session_;
  std::map<uint32_t, Stream> streams_;
  uint64_t latest_ = 0;
  uint64_t cut_number_ = 0;
  uint64_t chunks_at_session_ = 0;
};

Error not_importable(const Result<std::optional<RawRecord>>& first, const std::string& input) {
  Error error = first ? Error{ErrorCode::kTruncated, "it is empty", {}, {}} : first.error();
  error.path = input;
  error.message += "; nothing was imported";
  return error;
}

}  // namespace

Result<ImportReport> import_raw_stream(const ImportOptions& options) {
  KVMTAPE_TRY_ASSIGN(ByteSource source, ByteSource::open(options.input));
  Session session = options.session;
  session.uuid = random_uuid();
  session.vcpus.clear();
  session.clock_name = "monotonic-ns";
  session.ticks_per_second = 1'000'000'000;
  session.start = session.now = {};
  session.ring_directory.clear();
  session.recorder = "kvmtape " KVMTAPE_VERSION " import raw-stream";
  RawStreamReader reader(std::move(source));
  // What does not begin as a stream is not one, and leaves no trace behind.
  auto record = reader.next();
  if (!record || !record->has_value()) return not_importable(record, options.input);
  KVMTAPE_TRY_ASSIGN(TraceFile file,
                     TraceFile::create(options.output, options.force, session.uuid));
  Importer importer(std::move(file), std::move(session));
  ImportReport report;
  for (;; record = reader.next()) {
    if (!record) {
      report.bad_input = std::move(record.error());
      report.bad_input->path = options.input;
      break;
    }
    if (!record->has_value()) break;
    KVMTAPE_TRY(importer.add(**record, report));
  }
  KVMTAPE_TRY(importer.finish(report));
  return report;
}

}  // namespace kvmtape
