// The load of every benchmark: real exit streams (traces/streams) laid, moment by moment, into a
// page that stands in for kvm_run, so that what runs is the recorder's own public API.
//
// Only the words in which a moment differs from the one before are stored (they are found ahead of
// the timed region), as KVM and the monitor would leave them. What this laying down costs is
// measured by a contender that does nothing, and subtracted. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kvmtape::bench {

// One row of a raw stream (traces/streams/README.md has its layout).
struct StreamMoment {
  uint64_t tsc = 0;
  uint32_t vcpu = 0;
  int32_t ret = 0;  // 0 or the negated errno
  bool answer = false;
  std::array<uint8_t, 288> kvm_run{};
  std::vector<uint8_t> data;  // at io.data_offset
};

// What one vCPU did: exit, answer, exit, answer ...
struct Track {
  std::string name;  // "linux_boot, vCPU 0"
  std::vector<StreamMoment> moments;
};

// All vCPUs of all streams; a last exit without its answer is left out. Empty if one is missing.
std::vector<Track> load_tracks();

// kvm_run mapping of a vCPU: kvm_run, the port-I/O page, the coalesced-MMIO page.
inline constexpr size_t kRunPageBytes = 12 * 1024;

class Workload {
 public:
  // `with_sync_area`: kvm_valid_regs is set and general registers change from exit to exit: the
  // 2,352-byte case. The streams were recorded without it, so which change is made up: instruction
  // and stack pointer and eight others, as between exits of different code.
  Workload(const std::vector<Track>& tracks, bool with_sync_area);

  size_t exits() const { return moments_.size() / 2; }

 private:
  friend class RunPage;
  struct Store {
    uint32_t word;
    uint64_t value;
  };
  struct Moment {
    uint32_t begin;  // of its stores
    uint32_t end;
    int32_t ret;
  };
  std::vector<Store> stores_;
  std::vector<Moment> moments_;
  std::vector<uint64_t> last_page_;  // what the page holds after the last moment
};

// The page and the place in the workload; begins again at its end.
class RunPage {
 public:
  explicit RunPage(const Workload& workload);
  ~RunPage();
  RunPage(const RunPage&) = delete;

  void* memory() { return page_; }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(page_); }

  // Lays the next moment down; returns KVM_RUN's result for an exit: 0 or the negated errno.
  int32_t next() {
    const Workload::Moment& moment = workload_.moments_[at_];
    for (uint32_t i = moment.begin; i < moment.end; ++i)
      page_[workload_.stores_[i].word] = workload_.stores_[i].value;
    if (++at_ == workload_.moments_.size()) at_ = 0;
    return moment.ret;
  }

 private:
  const Workload& workload_;
  uint64_t* page_;
  size_t at_ = 0;
};

}  // namespace kvmtape::bench
