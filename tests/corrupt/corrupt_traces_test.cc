// traces/corrupt against what stands beside each: NAME.expect is the exit status of `kvmtape verify
// NAME.kvmtape` and everything that it says.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "schema/file_order.h"
#include "tests/support/run_tool.h"
#include "tests/support/sanitizers.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

const std::filesystem::path kFolder = KVMTAPE_SOURCE_DIR "/traces/corrupt";

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".kvmtape") names.insert(entry.path().stem());
  return names;
}

class CorruptTraces : public ::testing::TestWithParam<std::string> {
 protected:
  // Paths as a user in the folder would write them.
  std::string trace() const {
    const std::string rings = GetParam() + ".rings";
    return GetParam() + ".kvmtape" +
           (std::filesystem::exists(kFolder / rings) ? " --ring-dir " + rings : "");
  }
  ToolRun run(const std::string& arguments) const {
    return tool_.run(arguments, "cd " + kFolder.string() + " &&");
  }
  Tool tool_;
};

TEST_P(CorruptTraces, verify_says_what_is_expected_of_it) {
  const ToolRun verify = run("verify " + trace());
  const std::string said =
      "status " + std::to_string(verify.status) + "\n" + verify.out + verify.err;
  const std::string path = (kFolder / (GetParam() + ".expect")).string();
  if (std::getenv("KVMTAPE_REWRITE") != nullptr) std::ofstream(path) << said;
  const auto expected = file_bytes(path);
  EXPECT_EQ(said, std::string(expected.begin(), expected.end()));
}

TEST_P(CorruptTraces, recover_saves_what_can_be_read_and_invents_nothing) {
  const std::string saved = tool_.file("saved.kvmtape");
  const ToolRun recover = run("recover " + trace() + " -o " + saved);
  ASSERT_THAT(recover.status, ::testing::AnyOf(0, 2, 3)) << recover.err;
  ASSERT_EQ(recover.status == 2, run("info " + trace()).status == 2);
  if (recover.status == 2) {
    EXPECT_FALSE(std::filesystem::exists(saved));
    return;
  }
  const SeenTrace after = read_all(saved);
  ASSERT_FALSE(after.error);
  EXPECT_EQ(after.invented(), "");
  EXPECT_EQ(after.exit_count(),
            read_all((kFolder / (GetParam() + ".kvmtape")).string()).exit_count());
  EXPECT_TRUE(after.health.sealed);
  EXPECT_EQ(after.health.damaged_chunks, 0u);
}

INSTANTIATE_TEST_SUITE_P(Defects, CorruptTraces, ::testing::ValuesIn(names_in(kFolder)),
                         [](const auto& name) { return name.param; });

// The verbs, where a small trace was cut off or has a wrong byte: what they find is held against
// the reader in tests/replayer; here are the exit statuses.
class VerbsOnDamage : public ::testing::Test {
 protected:
  VerbsOnDamage() {
    whole_.add_exits(0, 6).add_exits(1, 3).cut().add_exits(0, 4).add_exits(1, 2).seal();
    bytes_ = whole_.bytes();
  }
  // Each byte with KVMTAPE_FULL, which takes minutes; sanitizers see the same in the reader's
  // tests.
  static size_t step() { return !kSanitized && std::getenv("KVMTAPE_FULL") != nullptr ? 1 : 211; }
  // Whether this byte is one of a chunk of exits: the index and a footer are redundant.
  bool is_of_exits(uint64_t at) const {
    for (size_t number = 0; number < kExitsChunks; ++number) {
      const uint64_t begin = whole_.offset_of(ChunkType::kExits, number);
      const auto header = load_file_struct<ChunkHeader>(&bytes_[begin]);
      if (at >= begin && at < begin + header.header_bytes + header.body_bytes) return true;
    }
    return false;
  }
  // Of verify and recover, and of verify on what recover saved.
  void expect_statuses(const TraceBuilder& damaged) {
    const std::string path = damaged.write_to(tool_.file("t.kvmtape"));
    const SeenTrace seen = read_all(path);
    const int verify = tool_.run("verify " + path).status;
    const int recover = tool_.run("recover --force " + path + " -o " + tool_.file("s")).status;
    if (seen.error) {
      EXPECT_EQ(verify, 2);
      EXPECT_EQ(recover, 2);
      return;
    }
    const bool missing = !seen.health.complete() || seen.exit_count() != 15;
    auto reader = TraceReader::open(path);
    ASSERT_TRUE(reader);
    (*reader)->verify();  // looks at chunks that a walk needs not
    const bool damaged_somewhere = (*reader)->health().damaged_chunks != 0;
    EXPECT_EQ(verify, damaged_somewhere ? 1 : missing ? 3 : 0);
    EXPECT_EQ(recover, damaged_somewhere || missing ? 3 : 0);
    const bool is_open = seen.health.open_end() != OpenEnd::kNone;
    EXPECT_EQ(tool_.run("verify " + tool_.file("s")).status,
              seen.health.lost != 0 || is_open ? 3 : 0);
  }
  static constexpr size_t kExitsChunks = 4;
  TraceBuilder whole_;
  std::vector<uint8_t> bytes_;  // of the whole
  Tool tool_;
};

TEST_F(VerbsOnDamage, exit_by_the_table_wherever_a_trace_is_cut) {
  for (size_t size = 1; size < bytes_.size(); size += step()) {
    SCOPED_TRACE(size);
    TraceBuilder trace = whole_;
    expect_statuses(trace.truncate_at(size));
  }
}

TEST_F(VerbsOnDamage, exit_by_the_table_wherever_a_byte_is_wrong) {
  for (size_t at = 0; at < bytes_.size(); at += step()) {
    SCOPED_TRACE(at);
    TraceBuilder trace = whole_;
    expect_statuses(trace.flip_byte(at));
    if (is_of_exits(at)) {
      EXPECT_EQ(tool_.run("verify " + tool_.file("t.kvmtape")).status, 1);
    }
  }
}

TEST(CorruptTracesFolder, holds_the_defects_that_the_maker_knows) {
  const ScratchDirectory scratch;
  const std::string command = std::string(KVMTAPE_MAKE_CORRUPT) + " " + scratch.file("made");
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(names_in(scratch.file("made")), names_in(kFolder));
}

}  // namespace
}  // namespace kvmtape::testing
