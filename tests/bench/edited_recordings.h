// Recordings of one vCPU for `kvmtape diff`: what a small guest did, as long as wanted, and the
// same with some of its exits dropped, others put in, and others changed, all at random places.
// About a third of the exits carry a number that no other has, and the rest are much alike. The
// same numbers give the same recording. One thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "schema/base/result.h"

namespace kvmtape::bench {

// `share` of the exits (0 to 1) are edited.
Result<void> write_edited_recording(const std::string& path, uint64_t exits, double share);

}  // namespace kvmtape::bench
