// The `record` process's half of a recording by preload: makes trace, ring directory and what the
// preload library needs before the monitor starts, then drains the monitor's rings as they appear.
// One thread. The monitor may die at any time; so may this process, which leaves the rings.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/control/control_server.h"
#include "recorder/control/steering.h"
#include "recorder/drain/file_series.h"
#include "recorder/drain/keeper.h"
#include "recorder/drain/wake_ups.h"
#include "recorder/drain/write_news.h"
#include "recorder/flight/trigger.h"
#include "recorder/ring/record_control.h"
#include "schema/ring_file.h"

namespace kvmtape {

struct RecordingOptions {
  std::string path;  // empty: a new file in the default directory
  bool force = false;
  std::string ring_directory;  // empty: the default place
  uint64_t ring_bytes = 1 << 20;
  uint64_t ring_bytes_total = uint64_t{256} << 20;
  bool overwrite = false;
  bool flight = false;  // ring_bytes of each vCPU's last exits, written when a trigger says so
  Triggers triggers;
  FileBounds bounds{0, 0, 16};  // of files_max, a flight recorder's snapshots
  CaptureFilter filter;
  RegisterPolicy registers = RegisterPolicy::kDebugExits;
  uint32_t registers_every = 1;
};

struct RecordingTotals {
  uint64_t exits = 0;  // in files that are there, as all but exits_removed
  uint64_t lost = 0;
  uint64_t vcpus = 0;
  uint64_t bytes = 0;
  uint64_t calls_lost = 0;  // control calls that are not in the trace
  uint64_t processes = 0;   // that loaded the library
  uint64_t filtered = 0;    // of those: were started under system call filters of their own
  uint64_t files = 1;
  uint64_t exits_removed = 0;  // with their files
  uint64_t write_errors = 0;
  uint64_t lost_unwritten = 0;  // of the lost: while nothing could be written
  std::string write_error;      // the last, without what followed from it
  std::string rings_alone;      // where they lie, if the file is gone and could not be replaced
  std::string vcpus_missing;    // "5, 6": that the filter names and that never came
};
// Of a recording of so many vCPUs.
RecordingTotals totals_there(const Keeper& keeper, const WriteNews& news, uint64_t vcpus);

class Recording {
 public:
  static Result<std::unique_ptr<Recording>> open(const RecordingOptions& options,
                                                 const std::vector<std::string>& command);
  ~Recording();
  Recording(const Recording&) = delete;

  // The file that is being written, or was last.
  const std::string& path() const { return drain_->path(); }
  // Its first file: a flight recorder's first snapshot.
  const std::string& first_path() const { return path_; }
  const std::string& ring_directory() const { return ring_directory_; }
  void monitor_started(int pid);
  // Puts `text` into the trace at this time; false: there was no room.
  bool mark(std::string_view text);
  // Once for each time that the file cannot be written, and when it can be again: a line about it.
  std::optional<std::string> news() { return news_.look(*drain_); }
  // From now on `kvmtape ctl` is heard; `log` tells of what was refused.
  Result<void> open_control(ControlServer::Log log);

  // Takes what is new. Returns how long to sleep before the next, in microseconds.
  uint32_t pump();
  // Nobody writes any more: everything to the trace, then its seal, then the rings go. On error
  // they stay.
  Result<void> finish();
  // So far; after finish() all of it, the last exits too if that failed.
  RecordingTotals totals() const;
  // The monitor could not be started: no trace, no rings.
  void abandon();

 private:
  Recording() = default;
  Result<void> make_control(const RecordingOptions& options, const Uuid& uuid);
  void note_session_changed();
  void open_new_rings();
  void give_back_rings();
  void remove_spare_rings(const std::function<bool(const RingHeader&)>& is_dead);
  bool is_known_to_have_died(const RingHeader& ring) const;
  void name_monitor(const RingHeader& ring);
  void add_unrecorded_vcpus();
  std::string vcpus_missing() const;

  std::string path_;
  std::string ring_directory_;
  bool replaces_ = false;             // an older recording, until the header is on the disk
  bool ring_parent_is_ours_ = false;  // the default place, which goes with its last session
  RecordControl* control_ = nullptr;
  uint32_t run_bytes_ = 0;  // of every vCPU's kvm_run mapping on this host
  uint32_t rings_seen_ = 0;
  uint64_t exits_seen_ = 0;
  size_t vcpus_told_ = 0;  // in the last header, or the next one
  uint64_t header_copy_due_ns_ = 0;
  WakeUps wake_ups_{1000};
  struct Ring {
    RingFile file;
    bool is_maker_known = false;  // by its number here, under which it can be seen to end
  };
  std::map<std::string, Ring> rings_;  // by file name
  uint64_t look_for_dead_ns_ = 0;
  std::unique_ptr<Keeper> drain_;  // behind the rings that it reads
  WriteNews news_;
  std::unique_ptr<Steering> steering_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace kvmtape
