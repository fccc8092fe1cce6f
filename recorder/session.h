// A recording under way inside a monitor: its trace, its rings, its vCPUs and the thread that
// drains them. The C++ behind kvmtape.h; everything but the two hot calls takes a lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/control/control_server.h"
#include "recorder/control/steering.h"
#include "recorder/drain/clock_reading.h"
#include "recorder/drain/keeper.h"
#include "recorder/drain/write_news.h"
#include "recorder/kvmtape.h"
#include "recorder/ring/ring_writer.h"
#include "schema/ring_file.h"

namespace kvmtape {

// Whose exits are recorded, where that is not this process.
struct WatchedProcess {
  uint32_t pid = 0;
  std::string name;
  std::string command;              // /proc/PID/cmdline
  ClockReader clock = read_clocks;  // what its exits are stamped with
  bool registers = false;           // who watches it can have its vCPUs' registers
};

}  // namespace kvmtape

// The handle of kvmtape.h.
struct kvmtape_vcpu {
  kvmtape_vcpu(kvmtape::RingHeader* ring, void* run, size_t run_bytes, int fd,
               const kvmtape::CaptureOptions& options)
      : capture(ring, run, run_bytes, fd, options) {}
  kvmtape::VcpuCapture capture;
  kvmtape::SessionVcpu description;
};

struct kvmtape_session {
 public:
  // `watched` null: this process.
  static kvmtape::Result<std::unique_ptr<kvmtape_session>> open(
      const kvmtape_options& options, const kvmtape::WatchedProcess* watched = nullptr);
  ~kvmtape_session();

  // A warning (no memory for the ring) is returned through `warning`; the vCPU is good all the
  // same.
  kvmtape::Result<kvmtape_vcpu*> attach(unsigned id, int vcpu_fd, void* run, size_t run_bytes,
                                        std::string& warning);
  bool control_call(kvmtape_descriptor descriptor, const kvmtape_vcpu* vcpu, unsigned long request,
                    uint64_t argument, std::span<const uint8_t> in, std::span<const uint8_t> out,
                    int result, int error_number);
  bool mark(std::string_view text);
  kvmtape::Result<void> snapshot(std::string_view reason);
  kvmtape_totals totals();
  kvmtape::Result<void> close(kvmtape_totals& totals);
  // See WriteNews; nothing where the drain is at work.
  std::optional<std::string> news();
  // After close().
  const kvmtape::Keeper& keeper() const { return *drain_; }
  const kvmtape::WriteNews& write_news() const { return news_; }
  const std::string& path() const { return path_; }
  const std::string& ring_directory() const { return ring_directory_; }

 private:
  kvmtape_session() = default;
  void drain_loop();
  void open_control();
  std::unique_ptr<kvmtape::RingFile> make_ring(const kvmtape::SessionVcpu& vcpu,
                                               std::string& warning);
  template <typename Call>
  bool guard_drain(Call call);
  kvmtape::Error drain_failed() const;

  // Immutable after open.
  std::string path_;
  std::string ring_directory_;
  bool ring_parent_is_ours_ = false;  // the default place, which goes with its last session
  kvmtape::CaptureOptions capture_options_;
  uint64_t ring_bytes_ = 0;
  uint64_t ring_bytes_total_ = 0;
  bool overwrite_ = false;
  bool flight_ = false;
  uint32_t drain_interval_us_ = 0;

  // Guarded by session_ring_mutex_: any thread writes control calls and marks.
  std::mutex session_ring_mutex_;
  std::unique_ptr<kvmtape::RingFile> session_ring_;
  kvmtape::ClockReader clock_ = kvmtape::read_clocks;
  kvmtape::RingWriter session_writer_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::unique_ptr<kvmtape::Keeper> drain_;
  kvmtape::WriteNews news_;
  std::unique_ptr<kvmtape::Steering> steering_;
  std::unique_ptr<kvmtape::ControlServer> control_;
  std::vector<std::unique_ptr<kvmtape::RingFile>> rings_;
  std::vector<std::unique_ptr<kvmtape_vcpu>> vcpus_;
  uint64_t ring_bytes_used_ = 0;
  bool stop_ = false;
  bool drain_failed_ = false;  // out of memory: what it holds may be half done
  bool closed_ = true;         // until the drain runs

  std::thread drain_thread_;
};
