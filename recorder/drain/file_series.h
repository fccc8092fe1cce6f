// A recording in several files: when a file has reached its bound it is put aside as
// vm.1.kvmtape, vm.2.kvmtape and so on, and sealed, and vm.kvmtape begins anew. Each stands alone;
// the oldest goes. One thread at a time, the drain's.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "schema/base/result.h"
#include "schema/trace_file.h"

namespace kvmtape {

struct FileBounds {
  uint64_t bytes_max = 0;   // of a file; 0: any
  uint64_t age_ns_max = 0;  // of a file, from its beginning; 0: any
  uint32_t files_max = 0;   // that are kept, the one being written included; 0: all

  bool any() const { return bytes_max != 0 || age_ns_max != 0; }
};
inline constexpr uint64_t kFileBytesMin = 256 * 1024;  // header, session and index take some

class FileSeries {
 public:
  FileSeries(std::string path, const FileBounds& bounds);

  // Whether `file` must end before `more` bytes are appended to it.
  bool is_full(const TraceFile& file, uint64_t more) const;
  bool is_old(uint64_t now_ns) const;
  // How many exits a chunk may have, so that it fits.
  uint64_t chunk_exits_max() const;

  // The next file, under a name of its own until take_place(); one that is taken is passed over.
  Result<TraceFile> make_next(const Uuid& session) const;
  // `last` is put aside, `next` gets its name, and what is too many is removed.
  Result<void> take_place(const TraceFile& last, TraceFile& next, uint64_t now_ns);
  // Behind that: `last` is sealed and counts among the others.
  void end_last(const TraceFile& last);
  // Counts what somebody removed.
  void find_removed();
  void note_removed(const TraceFile& file);  // by somebody

  struct Removed {
    uint64_t exits = 0, lost = 0, bytes = 0;
  };
  const Removed& removed() const { return removed_; }
  uint64_t files_aside() const { return put_aside_.size(); }  // that are there, as far as is known

 private:
  struct Aside {
    uint64_t number;
    Removed held;
  };
  std::string aside(uint64_t number) const;
  void remove_surplus(size_t kept);
  void look_for_removed(size_t files);
  void count_out(const Aside& file);
  std::string path_;
  FileBounds bounds_;
  uint64_t begun_ns_;
  uint64_t number_ = 0;          // of the last that was put aside
  std::deque<Aside> put_aside_;  // oldest first where their number is bounded
  Removed removed_;
};

}  // namespace kvmtape
