// A recording without a session: rings in memory, drained when the test says so, into a trace in a
// scratch directory. One thread, but for the rings' producers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "recorder/drain/drain.h"
#include "tests/support/memory_ring.h"
#include "tests/support/scratch.h"
#include "tests/support/walk_trace.h"

namespace kvmtape::testing {

class RingRecording {
 public:
  // `path` empty: a file in a scratch directory of its own.
  RingRecording(uint32_t vcpus, uint32_t ring_bytes, bool overwrite = false, std::string path = "");

  RingHeader* ring(uint32_t vcpu) { return rings_[vcpu]->header(); }
  Drain& drain() { return *drain_; }
  const std::string& path() const { return path_; }

  // Seals the trace and reads it back; a failure of either fails the test.
  WalkedTrace finish(const std::function<void(const WalkedItem&)>& visit = [](const auto&) {});

 private:
  ScratchDirectory directory_;
  std::string path_;
  std::vector<std::unique_ptr<MemoryRing<uint64_t>>> rings_;
  std::unique_ptr<Drain> drain_;
};

}  // namespace kvmtape::testing
