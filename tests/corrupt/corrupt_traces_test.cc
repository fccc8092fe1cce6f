// traces/corrupt against what stands beside each: NAME.expect is the exit status of `kvmtape verify
// NAME.kvmtape` and everything that it says.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/run_tool.h"
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

TEST(CorruptTracesFolder, holds_the_defects_that_the_maker_knows) {
  const ScratchDirectory scratch;
  const std::string command = std::string(KVMTAPE_MAKE_CORRUPT) + " " + scratch.file("made");
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(names_in(scratch.file("made")), names_in(kFolder));
}

}  // namespace
}  // namespace kvmtape::testing
