#include "tests/support/ring_recording.h"

#include <gtest/gtest.h>

#include <utility>

#include "recorder/drain/clock_reading.h"
#include "schema/base/check.h"
#include "schema/base/uuid_text.h"

namespace kvmtape::testing {

RingRecording::RingRecording(uint32_t vcpus, uint32_t ring_bytes, bool overwrite, std::string path)
    : path_(path.empty() ? directory_ / "test.kvmtape" : std::move(path)) {
  Session session;
  session.uuid = random_uuid();
  session.architecture = Architecture::kX86_64;
  session.start = read_clocks();
  auto file = TraceFile::create(path_, false, session.uuid);
  KVMTAPE_CHECK(file.ok());
  drain_ = std::make_unique<Drain>(std::move(*file), std::move(session));
  for (uint32_t vcpu = 0; vcpu < vcpus; ++vcpu) {
    rings_.push_back(
        std::make_unique<MemoryRing<uint64_t>>(ring_bytes / kBlockBytesMin, overwrite));
    rings_.back()->header()->vcpu_index = rings_.back()->header()->vcpu_id = vcpu;
    drain_->add_stream(rings_.back()->header());
  }
}

WalkedTrace RingRecording::finish(const std::function<void(const WalkedItem&)>& visit) {
  auto finished = drain_->finish();
  EXPECT_TRUE(finished.ok()) << finished.error().to_string();
  auto trace = walk_trace(path_, visit);
  EXPECT_TRUE(trace.ok()) << trace.error().to_string();
  if (!trace.ok()) return {};
  EXPECT_TRUE(trace->sealed);
  for (const auto& [index, stream] : trace->streams)
    EXPECT_TRUE(stream.in_sequence) << "vCPU index " << index;
  return std::move(*trace);
}

}  // namespace kvmtape::testing
