// Recordings whose every byte is made up: whatever a trace says, explain ends with a document. Runs
// under the sanitizers with the other tests.
#include <gtest/gtest.h>

#include <random>

#include "analysis/explain/explain_json.h"
#include "analysis/recording_json.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using Random = std::mt19937_64;

std::vector<uint8_t> any_bytes(Random& random, size_t count) {
  std::vector<uint8_t> bytes(count);
  const bool sparse = random() % 2 == 0;  // small numbers are more often valid
  for (uint8_t& byte : bytes)
    byte = sparse && random() % 8 != 0 ? 0 : static_cast<uint8_t>(random());
  return bytes;
}

TraceBuilder::GivenExit any_exit(Random& random, uint64_t tsc) {
  TraceBuilder::GivenExit exit;
  const bool with_sync = random() % 4 == 0;
  exit.run = any_bytes(random, (kCoreWords + (with_sync ? kSyncWords : 0)) * kWordBytes);
  store_le(&exit.run[8], static_cast<uint32_t>(random() % 46));
  if (random() % 2 == 0) store_le(&exit.run[32], static_cast<uint32_t>(random() % 8));
  if (random() % 2 == 0) store_le(&exit.run[36], static_cast<uint32_t>(random() % 18));
  exit.ret = random() % 4 == 0 ? -static_cast<int32_t>(random() % 140) : 0;
  exit.data = any_bytes(random, random() % 64);
  exit.tsc = tsc;
  exit.answered = random() % 2 == 0;
  exit.answer_run = exit.run;
  exit.answer_run[40] = static_cast<uint8_t>(random());
  exit.answer_data = exit.data;
  exit.answer_tsc = tsc + random() % 1000;
  return exit;
}

// Begins as a record of the kind does; what its sizes say may be more than there is.
std::vector<uint64_t> any_payload(Random& random, RecordKind kind) {
  static constexpr uint32_t kRequests[] = {0xae01,     0x4020ae46, 0x4138ae84,
                                           0x4090ae82, 0x8090ae81, 0x4040aea0,
                                           0x4048ae9b, 0xae9a,     0x4010aeac};
  const auto bytes = any_bytes(random, 64 + random() % 512);
  std::vector<uint64_t> words(bytes.size() / kWordBytes);
  for (size_t i = 0; i < words.size(); ++i) words[i] = load_le<uint64_t>(&bytes[i * kWordBytes]);
  if (kind == RecordKind::kRegisters) {
    words[0] = (random() % 11) | (random() % 5 == 0 ? random() % 6 << 16 : 0);
    words[1] = random() % 3 == 0 ? random() : (words.size() - 2) * kWordBytes;
  } else {
    words[0] = (1 + random() % 4) | uint64_t{kRequests[random() % std::size(kRequests)]} << 32;
    words[2] = random() % 3;
    words[3] = (random() % 4 == 0 ? 14 : 0) | (random() % 600) << 32;
    words[4] = random() % 600;
  }
  return words;
}

TEST(ExplainHostile, EveryRecordingEndsInADocument) {
  constexpr Architecture kAll[] = {Architecture::kX86_64,  Architecture::kAarch64,
                                   Architecture::kRiscv64, Architecture::kI386,
                                   Architecture::kPpc64,   Architecture::kUnknown};
  const ScratchDirectory scratch;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    TraceBuilder trace;
    trace.edit_session().architecture = kAll[random() % std::size(kAll)];
    trace.edit_session().cpu_facts = {{"vendor_id", seed % 2 ? "GenuineIntel" : "AuthenticAMD"}};
    uint64_t tsc = 1'000'000;
    for (int i = 0; i < 60; ++i) {
      const auto vcpu = static_cast<uint32_t>(random() % 3);
      trace.add_exit(vcpu, any_exit(random, tsc));
      tsc += 2000 + (random() % 50 == 0 ? 50'000'000'000 : 0);
      if (random() % 2 == 0)
        trace.add_record(vcpu, RecordKind::kRegisters, 0,
                         any_payload(random, RecordKind::kRegisters));
      if (random() % 3 == 0)
        trace.add_record(vcpu, RecordKind::kMemorySlice, 0,
                         any_payload(random, RecordKind::kMemorySlice));
      if (random() % 2 == 0)
        trace.add_record(kSessionStream, RecordKind::kControlCall, 0,
                         any_payload(random, RecordKind::kControlCall));
    }
    trace.seal();
    const Explained explained(trace.write_to(scratch.file("t")));
    const auto document = explanation_json(explained.explanation(), {}, 20, nullptr);
    EXPECT_GT(to_line(document).size(), 100u) << seed;
  }
}

}  // namespace
}  // namespace kvmtape::testing
