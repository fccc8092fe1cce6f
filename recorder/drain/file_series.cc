#include "recorder/drain/file_series.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "recorder/drain/clock_reading.h"

namespace kvmtape {
namespace {

// What sealing adds: the session once more, a cut, the trailer; and for each chunk an index entry.
constexpr uint64_t kSealBytes = 48 * 1024;
constexpr uint64_t kIndexEntryBytes = 256;
constexpr int kNextNamesMax = 100;
constexpr uint64_t kExitBytes = 64;  // the worst that is met in practice

Error cannot(const char* what, const std::string& path) {
  return Error{ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno), path, std::nullopt};
}

}  // namespace

FileSeries::FileSeries(std::string path, const FileBounds& bounds)
    : path_(std::move(path)), bounds_(bounds), begun_ns_(monotonic_now_ns()) {
  if (bounds_.bytes_max != 0) bounds_.bytes_max = std::max(bounds_.bytes_max, kFileBytesMin);
}

bool FileSeries::is_full(const TraceFile& file, uint64_t more) const {
  return bounds_.bytes_max != 0 && file.exits() + file.lost() != 0 &&
         file.bytes() + more + (file.chunks() + 1) * kIndexEntryBytes + kSealBytes >
             bounds_.bytes_max;
}

bool FileSeries::is_old(uint64_t now_ns) const {
  return bounds_.age_ns_max != 0 && now_ns - begun_ns_ >= bounds_.age_ns_max;
}

uint64_t FileSeries::chunk_exits_max() const {
  return bounds_.bytes_max == 0 ? ~uint64_t{0} : bounds_.bytes_max / 2 / kExitBytes;
}

Result<TraceFile> FileSeries::make_next(const Uuid& session) const {
  for (int number = 1;; ++number) {
    auto next = TraceFile::create(path_ + ".next" + (number == 1 ? "" : std::to_string(number)),
                                  false, session);
    const bool is_taken = !next.ok() && next.error().code == ErrorCode::kUsage;
    if (!is_taken || number == kNextNamesMax) return next;
  }
}

Result<void> FileSeries::take_place(const TraceFile& last, TraceFile& next, uint64_t now_ns) {
  const std::filesystem::path path = path_;
  std::string aside;
  do {  // never over an earlier recording's
    aside = (path.parent_path() / path.stem()).string() + "." + std::to_string(++number_) +
            path.extension().string();
    // A link fails where the name is taken; a rename would replace.
  } while (::link(last.path().c_str(), aside.c_str()) != 0 && errno == EEXIST);
  if (::access(aside.c_str(), F_OK) != 0 && ::rename(last.path().c_str(), aside.c_str()) != 0)
    return cannot("cannot be put aside", last.path());
  KVMTAPE_TRY(next.rename(path_));
  begun_ns_ = now_ns;
  last_name_ = aside;
  if (bounds_.files_max > 1) remove_surplus(bounds_.files_max - 2);  // room for it and `next`
  return {};
}

void FileSeries::end_last(const TraceFile& last) {
  ++files_aside_;
  if (bounds_.files_max == 0) return;
  put_aside_.push_back({last_name_, {last.exits(), last.lost(), last.bytes()}});
  remove_surplus(bounds_.files_max - 1);
}

void FileSeries::remove_surplus(size_t kept) {
  for (; put_aside_.size() > kept; put_aside_.pop_front()) {
    ::unlink(put_aside_.front().path.c_str());
    count_out(put_aside_.front());
  }
}

void FileSeries::count_out(const Aside& file) {
  removed_.exits += file.held.exits;
  removed_.lost += file.held.lost;
  removed_.bytes += file.held.bytes;
  --files_aside_;
}

void FileSeries::find_removed() {
  std::erase_if(put_aside_, [this](const Aside& file) {
    const bool gone = ::access(file.path.c_str(), F_OK) != 0 && errno != EACCES;
    if (gone) count_out(file);
    return gone;
  });
}

void FileSeries::note_removed(const TraceFile& file) {
  removed_.exits += file.exits();
  removed_.lost += file.lost();
  removed_.bytes += file.bytes();
}

}  // namespace kvmtape
