// One moment of an exit and all that its decoder goes by, out of a fuzzer's input:
//
//   u8 architecture | u8 bits (0 big-endian, 1 answer, 2 ret known, 3 KVM_CAP_SYSTEM_EVENT_DATA,
//   4 its value, 5 and 6 abi_variant, 7 page size unknown) | i32 ret | u8 bytes of the release, the
//   release | u8 bytes at io.data_offset, those | kvm_run
#pragma once

#include <string_view>

#include "replayer/decode_context.h"
#include "replayer/raw_moment.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {

struct ExitInput {
  DecodeContext context;
  RawMoment moment;
};

ExitInput read_exit_input(ByteCursor& input);

// Such an input: little-endian, after a KVM_RUN that succeeded.
Bytes exit_input(std::string_view release, uint8_t architecture, std::span<const uint8_t> kvm_run);

// Every page of traces/raw as such an input, and a few of architectures that it lacks.
std::vector<Bytes> exit_seeds();

}  // namespace kvmtape::fuzz
