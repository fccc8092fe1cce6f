// A ring with the exits of trace_builder.h in it, written by the recorder's own producer: what a
// killed recorder leaves behind.
#pragma once

#include <cstdint>
#include <string>

#include "recorder/import/moment_writer.h"
#include "recorder/ring/ring_writer.h"
#include "schema/ring_file.h"

namespace kvmtape::testing {

class TestRing {
 public:
  TestRing(const std::string& directory, const Uuid& session, uint32_t vcpu,
           bool overwrite = false);

  // Exits behind those it has, each with its answer; those without room are dropped and counted.
  TestRing& add_exits(uint64_t count);
  TestRing& add_exit_without_answer();
  // Where a drain that had read everything would say the ring had been read up to.
  uint64_t block() const;
  uint64_t bytes() const;
  uint64_t dropped() const { return writer_.lost_total(); }
  RingHeader* header() { return file_.header(); }

 private:
  bool put(bool is_answer, uint64_t seq);

  uint32_t vcpu_;
  RingFile file_;
  RingWriter writer_;
  MomentWriter moments_;
};

}  // namespace kvmtape::testing
