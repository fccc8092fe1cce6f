// Taking values away never makes another one believed: over every golden recording.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/session_context.h"
#include "replayer/exit_decoder.h"
#include "replayer/rewrite/redactor.h"
#include "replayer/rewrite/trace_rewriter.h"
#include "replayer/trace_reader.h"
#include "tests/support/scratch.h"

namespace kvmtape::testing {
namespace {

// Per exit what of it is not believed, by name; "exit_reason" for the reason.
std::vector<std::vector<std::string>> doubts_of(const std::string& path) {
  auto reader = TraceReader::open(path);
  EXPECT_TRUE(reader.ok()) << path;
  std::vector<std::vector<std::string>> doubts;
  if (!reader.ok()) return doubts;
  const ExitDecoder decoder(decode_context_of((*reader)->session()));
  (*reader)->rewind();
  Exit exit;
  for (Item item; (*reader)->next(item);) {
    if (item.kind != Item::Kind::kExit) continue;
    RawMoment moment;
    moment.kvm_run = item.exit->kvm_run;
    moment.data = item.exit->data;
    moment.ret = item.exit->ret;
    moment.ret_known = decoder.context().ret_recorded;
    decoder.decode(moment, exit);
    auto& names = doubts.emplace_back();
    if (exit.reason_validity != Validity::kValid) names.emplace_back("exit_reason");
    for (const Field& field : exit.all_fields())
      if (field.validity != Validity::kValid) names.emplace_back(field.name);
  }
  return doubts;
}

class RedactedRecording : public ::testing::TestWithParam<RedactionProfile> {};

TEST_P(RedactedRecording, NothingThatWasInDoubtIsBelieved) {
  const ScratchDirectory scratch;
  size_t exits = 0;
  for (const auto& entry : std::filesystem::directory_iterator(KVMTAPE_SOURCE_DIR "/traces")) {
    if (entry.path().extension() != ".kvmtape") continue;
    SCOPED_TRACE(entry.path());
    auto reader = TraceReader::open(entry.path());
    ASSERT_TRUE(reader.ok());
    const std::string to = scratch.file(entry.path().filename());
    Redactor redactor(decode_context_of((*reader)->session()), GetParam());
    ASSERT_TRUE(rewrite_trace(**reader, {to, true, "redacted", &redactor}).ok());
    const auto before = doubts_of(entry.path());
    const auto after = doubts_of(to);
    ASSERT_EQ(after.size(), before.size());
    for (size_t i = 0; i < before.size(); ++i)
      for (const std::string& name : before[i])
        ASSERT_NE(std::ranges::find(after[i], name), after[i].end()) << "exit " << i << " " << name;
    exits += before.size();
  }
  EXPECT_GT(exits, 500u);
}

INSTANTIATE_TEST_SUITE_P(Profiles, RedactedRecording,
                         ::testing::Values(RedactionProfile::kPayload, RedactionProfile::kRegs,
                                           RedactionProfile::kStrict),
                         [](const auto& profile) { return std::string(to_string(profile.param)); });

}  // namespace
}  // namespace kvmtape::testing
