#include "recorder/import/raw_pages.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "recorder/import/byte_source.h"
#include "recorder/import/moment_writer.h"
#include "schema/abi/exit_numbers.h"
#include "schema/base/uuid_text.h"
#include "schema/chunk_codec.h"
#include "schema/trace_file.h"

namespace kvmtape {
namespace {

constexpr uint32_t kVcpu = 0;

// What KVM_RUN returned for one page after another.
class Returns {
 public:
  Result<void> open(const std::string& path) {
    path_ = path;
    if (path.empty()) return {};
    file_.open(path);
    if (!file_)
      return Error{
          ErrorCode::kIo, std::string("cannot open it: ") + std::strerror(errno), path, {}};
    return {};
  }

  Result<int32_t> next(uint64_t page) {
    if (path_.empty()) return int32_t{0};
    int32_t ret = 0;
    if (file_ >> ret && ret <= 0 && ret >= -kErrnoMax) return ret;
    return Error{ErrorCode::kCorrupt,
                 "line " + std::to_string(page + 1) +
                     " does not say what KVM_RUN returned: 0 or a negated errno is expected",
                 path_,
                 {}};
  }

 private:
  std::string path_;
  std::ifstream file_;
};

// Reads one page and its return at a time; what it hands out lives until the next.
class PageReader {
 public:
  struct Page {
    std::span<const uint8_t> bytes;
    int32_t ret = 0;
  };

  PageReader(ByteSource source, Returns returns, std::string path)
      : source_(std::move(source)), returns_(std::move(returns)), path_(std::move(path)) {}

  // nullopt: the pages ended in order.
  Result<std::optional<Page>> next() {
    const uint64_t at = source_.position();
    auto bytes = source_.read(page_);
    if (!bytes) {
      if (bytes.error().path.empty()) bytes.error().path = path_;
      return std::move(bytes.error());
    }
    if (*bytes == 0) return std::optional<Page>{};
    if (*bytes < page_.size())
      return Error{ErrorCode::kTruncated, "it ends inside a page", path_, at};
    KVMTAPE_TRY_ASSIGN(const int32_t ret, returns_.next(pages_++));
    return std::optional(Page{page_, ret});
  }

 private:
  ByteSource source_;
  Returns returns_;
  std::string path_;
  std::array<uint8_t, kRawPageBytes> page_{};
  uint64_t pages_ = 0;
};

class PageImporter {
 public:
  PageImporter(TraceFile file, Session session)
      : file_(std::move(file)),
        session_(std::move(session)),
        core_words_(session_.architecture == Architecture::kS390x ? kCoreWordsS390 : kCoreWords),
        writer_(core_words_),
        encoder_({kVcpu, kVcpu, session_.architecture, session_.byte_order}) {}

  Result<void> begin() {
    session_.vcpus = {{kVcpu, kVcpu, 0}};
    std::vector<uint8_t> chunk;
    encode_session(session_, chunk);
    return file_.append(chunk);
  }

  Result<void> add(std::span<const uint8_t> page, int32_t ret) {
    words_.clear();
    writer_.append(false, ret, 0, page.first((core_words_ + kSyncWords) * kWordBytes), {}, words_);
    encoder_.add(words_, true);
    return encoder_.full() ? cut() : Result<void>{};
  }

  Result<uint64_t> finish() {
    KVMTAPE_TRY(cut());
    KVMTAPE_TRY(file_.seal());
    return file_.bytes();
  }

 private:
  Result<void> cut() {
    std::vector<uint8_t> chunk;
    std::vector<std::pair<uint32_t, uint32_t>> reasons;
    if (encoder_.finish({session_.uuid, cut_number_, {}, session_.ticks_per_second, 0, 0}, chunk,
                        &reasons))
      KVMTAPE_TRY(file_.append(chunk, 0, std::move(reasons)));
    chunk.clear();
    encode_cut({cut_number_++, {}}, session_.uuid, chunk);
    return file_.append(chunk);
  }

  TraceFile file_;
  Session session_;
  uint32_t core_words_;
  MomentWriter writer_;
  ChunkEncoder encoder_;
  std::vector<uint64_t> words_;
  uint64_t cut_number_ = 0;
};

}  // namespace

Result<ImportReport> import_raw_pages(const ImportOptions& options, const std::string& returns) {
  KVMTAPE_TRY_ASSIGN(ByteSource source, ByteSource::open(options.input));
  Returns rets;
  KVMTAPE_TRY(rets.open(returns));
  Session session = options.session;
  session.uuid = random_uuid();
  session.clock_name = kNoClock;
  session.ticks_per_second = 1'000'000'000;
  session.start = session.now = {};
  session.ring_directory.clear();
  session.recorder = "kvmtape " KVMTAPE_VERSION " import raw-pages";
  if (returns.empty()) session.left_out.emplace_back(kLeftOutRet);
  PageReader pages(std::move(source), std::move(rets), options.input);
  // What has not one page leaves no trace behind.
  auto page = pages.next();
  if (page && !page->has_value())
    page = Error{ErrorCode::kTruncated, "it is empty", options.input, {}};
  if (!page) {
    page.error().message += "; nothing was imported";
    return std::move(page.error());
  }
  KVMTAPE_TRY_ASSIGN(TraceFile file,
                     TraceFile::create(options.output, options.force, session.uuid));
  PageImporter importer(std::move(file), std::move(session));
  KVMTAPE_TRY(importer.begin());
  ImportReport report;
  report.vcpus = 1;
  for (; page && page->has_value(); page = pages.next()) {
    KVMTAPE_TRY(importer.add((*page)->bytes, (*page)->ret));
    ++report.exits;
  }
  if (!page) report.bad_input = std::move(page.error());
  KVMTAPE_TRY_ASSIGN(report.trace_bytes, importer.finish());
  return report;
}

}  // namespace kvmtape
