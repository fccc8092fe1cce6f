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
// Of files that are kept without bound: more than one for each that comes, so that no more is known
// than is there, whoever takes them away, in memory that follows from the disk's.
constexpr size_t kLooksPerFile = 2;
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

std::string FileSeries::aside(uint64_t number) const {
  const std::filesystem::path path = path_;
  return (path.parent_path() / path.stem()).string() + "." + std::to_string(number) +
         path.extension().string();
}

Result<void> FileSeries::take_place(const TraceFile& last, TraceFile& next, uint64_t now_ns) {
  std::string name;
  do {  // never over an earlier recording's
    name = aside(++number_);
    // A link fails where the name is taken; a rename would replace.
  } while (::link(last.path().c_str(), name.c_str()) != 0 && errno == EEXIST);
  if (::access(name.c_str(), F_OK) != 0 && ::rename(last.path().c_str(), name.c_str()) != 0)
    return cannot("cannot be put aside", last.path());
  KVMTAPE_TRY(next.rename(path_));
  begun_ns_ = now_ns;
  if (bounds_.files_max > 1) remove_surplus(bounds_.files_max - 2);  // room for it and `next`
  return {};
}

void FileSeries::end_last(const TraceFile& last) {
  put_aside_.push_back({number_, {last.exits(), last.lost(), last.bytes()}});
  if (bounds_.files_max != 0)
    remove_surplus(bounds_.files_max - 1);
  else
    look_for_removed(kLooksPerFile);
}

void FileSeries::remove_surplus(size_t kept) {
  for (; put_aside_.size() > kept; put_aside_.pop_front()) {
    ::unlink(aside(put_aside_.front().number).c_str());
    count_out(put_aside_.front());
  }
}

void FileSeries::count_out(const Aside& file) {
  removed_.exits += file.held.exits;
  removed_.lost += file.held.lost;
  removed_.bytes += file.held.bytes;
}

// At the next so many, round and round.
void FileSeries::look_for_removed(size_t files) {
  for (; files > 0 && !put_aside_.empty(); --files) {
    const Aside file = put_aside_.front();
    put_aside_.pop_front();
    if (::access(aside(file.number).c_str(), F_OK) != 0 && errno != EACCES)
      count_out(file);
    else
      put_aside_.push_back(file);
  }
}

void FileSeries::find_removed() { look_for_removed(put_aside_.size()); }

void FileSeries::note_removed(const TraceFile& file) {
  removed_.exits += file.exits();
  removed_.lost += file.lost();
  removed_.bytes += file.bytes();
}

}  // namespace kvmtape
