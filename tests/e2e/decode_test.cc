// `kvmtape decode` and `import --format raw-pages`: pages of real kernels, structs, bad input.
#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "tests/support/run_tool.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kRaw = KVMTAPE_SOURCE_DIR "/traces/raw/";

class DecodeTest : public ::testing::Test {
 protected:
  // The first page of a lab run, which is an MMIO write of one byte.
  ToolRun decode_first(const std::string& tag, const std::string& options, int bytes = 4096) {
    return tool.run("decode " + options + " -", "zstd -dcq " + kRaw + tag + ".bin.zst | head -c " +
                                                    std::to_string(bytes) + " | ");
  }
  ToolRun decode_bytes(const std::string& bytes, const std::string& options) {
    const std::string path = tool.file("bytes");
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
    return tool.run("decode " + options + " - <" + path);
  }
  Tool tool;
};

TEST_F(DecodeTest, APageBecomesAScreen) {
  const ToolRun run = decode_first("a64-6.12.117-n1", "--arch aarch64 --kernel 6.12.117");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("KVM_EXIT_MMIO  write 1 byte 88 to 0x9000000"));
  EXPECT_THAT(run.out, HasSubstr("mmio.phys_addr  0x9000000"));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST_F(DecodeTest, JsonIsTheExitAndWhatAPageDoesNotSayIsNull) {
  const auto exit =
      decode_first("a64be-5.10.223-n1", "--json --arch aarch64 --kernel 5.10.223 --big-endian")
          .json();
  EXPECT_EQ(exit["kvmtape_json"], 1);
  EXPECT_EQ(exit["reason"], 6);
  EXPECT_EQ(exit["fields"]["mmio.phys_addr"]["value"], "0x9000000");
  for (const char* key : {"vcpu", "seq", "time_ns", "ret", "errno", "answer"})
    EXPECT_TRUE(exit.contains(key) && exit[key].is_null()) << key;
  EXPECT_EQ(exit["raw"]["kvm_run"].get<std::string>().size(), 2 * 2352u);
}

TEST_F(DecodeTest, AFailedRunLeavesTheReasonStale) {
  const auto exit = decode_first("a64-5.10.218-n1",
                                 "--json --arch aarch64 --kernel 5.10.218 --ret -1 --errno EINTR")
                        .json();
  EXPECT_EQ(exit["ret"], -1);
  EXPECT_EQ(exit["errno"], "EINTR");
  EXPECT_TRUE(exit["name"].is_null());
  EXPECT_EQ(exit["stale_reason"], 6);
}

TEST_F(DecodeTest, AnErrorMayBeNamedByItsNumber) {
  const auto with = [&](const std::string& error) {
    return decode_first("rv64-6.12.107", "--json --arch riscv64 --kernel 6.12 --errno " + error);
  };
  EXPECT_EQ(with("4").json()["errno"], "EINTR");
  EXPECT_EQ(with("4").out, with("EINTR").out);
  for (const char* none : {"0", "4096", "-4", "4x"}) {
    EXPECT_EQ(with(none).status, 2) << none;
    EXPECT_THAT(with(none).err, HasSubstr("write EINTR or its number, from 1 to 4095"));
  }
}

TEST_F(DecodeTest, AWholeStructKvmRunIsNotCutOff) {
  for (const auto& [arch, size] : {std::pair{"x86_64", 2352u}, {"s390x", 2368u}}) {
    const std::string options = "--arch " + std::string(arch) + " --kernel 6.12";
    EXPECT_THAT(decode_bytes(std::string(size, '\0'), options).err, IsEmpty());
    EXPECT_THAT(decode_bytes(std::string(size - 1, '\0'), options).err, HasSubstr("cut off"));
  }
}

TEST_F(DecodeTest, AStructIsDecodedByItsLayout) {
  std::string bytes(128, '0');
  bytes[0] = 1;
  const auto debug = decode_bytes(bytes, "--json --arch x86_64 --struct kvm_debugregs");
  EXPECT_EQ(debug.json()["struct"], "kvm_debugregs");
  EXPECT_EQ(debug.json()["fields"]["db"]["value"][0], "0x3030303030303001");
  EXPECT_EQ(debug.json()["fields"]["reserved"].is_null(), true);
}

TEST_F(DecodeTest, FlagsOfAStructAreNamedAndItsLengthIsChecked) {
  std::string events(64, '\0');
  events[20] = 0x0c;
  const std::string options = "--arch x86_64 --kernel 6.12 --struct kvm_vcpu_events";
  const ToolRun json = decode_bytes(events, options + " --json");
  EXPECT_THAT(json.err, IsEmpty());
  EXPECT_EQ(json.json()["fields"]["flags"]["text"],
            "KVM_VCPUEVENT_VALID_SHADOW|KVM_VCPUEVENT_VALID_SMM");
  EXPECT_THAT(decode_bytes(events, options).out, HasSubstr("0xc KVM_VCPUEVENT_VALID_SHADOW|"));
  EXPECT_THAT(decode_bytes(events.substr(0, 20), options).err,
              HasSubstr("20 bytes, and a struct kvm_vcpu_events has 64: what lies behind"));
  EXPECT_THAT(decode_bytes(events + events, options).err, HasSubstr("the rest is not looked at"));
}

TEST_F(DecodeTest, AShortPageIsDecodedAsFarAsItGoes) {
  const ToolRun run = decode_first("rv64-6.12.107", "--json --arch riscv64 --kernel 6.12", 48);
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("only 48 bytes"));
  const auto fields = run.json()["fields"];
  EXPECT_EQ(fields["mmio.phys_addr"]["validity"], "valid");
  EXPECT_EQ(fields["mmio.len"]["validity"], "unknown");
  EXPECT_EQ(fields["mmio.len"]["why"], "these bytes were not recorded");
}

TEST_F(DecodeTest, OfSeveralPagesItIsSaidThatOneIsShown) {
  const ToolRun run = decode_first("rv64-6.12.107", "--arch riscv64 --kernel 6.12", 3 * 4096);
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.err, HasSubstr("8192 bytes more"));
  EXPECT_THAT(run.err, HasSubstr("kvmtape import --format raw-pages takes several pages"));
}

TEST_F(DecodeTest, TheNamesOfLayoutsThatNoReleaseHasStandInTheHelp) {
  const std::string help = tool.run("decode --help").out;
  const ToolRun wrong =
      decode_bytes(std::string(64, '0'), "--arch aarch64 --struct kvm_vcpu_events --abi-variant x");
  for (const char* name : {"arm64-ext-iabt", "arm64-ext-abt-esr"}) {
    EXPECT_THAT(help, HasSubstr(name));
    EXPECT_THAT(wrong.err, HasSubstr(name));
  }
}

TEST_F(DecodeTest, SeveralFlagsOfAnExitAreNamedInTheTableAndInJson) {
  std::string page(4096, '\0');
  page[8] = 37;  // KVM_EXIT_NOTIFY
  page[32] = 3;
  const std::string options = "--arch x86_64 --kernel 6.12";
  EXPECT_EQ(decode_bytes(page, options + " --json").json()["fields"]["notify.flags"]["text"],
            "KVM_NOTIFY_CONTEXT_INVALID|0x2");
  EXPECT_THAT(decode_bytes(page, options).out, HasSubstr("0x3 KVM_NOTIFY_CONTEXT_INVALID|0x2"));
}

TEST_F(DecodeTest, APageThatEndsBeforeTheReasonHasNone) {
  const auto exit = decode_first("rv64-6.12.107", "--json --arch riscv64", 5).json();
  EXPECT_TRUE(exit["reason"].is_null() && exit["name"].is_null());
  EXPECT_EQ(exit["reason_validity"], "unknown");
  EXPECT_EQ(exit["reason_why"], "these bytes were not recorded");
  EXPECT_TRUE(exit["flags"]["value"].is_null());
  EXPECT_THAT(decode_first("rv64-6.12.107", "--arch riscv64", 5).out, Not(HasSubstr("KVM_EXIT_")));
}

TEST_F(DecodeTest, WhatIsNotKnownIsSaidAndTheRestDecoded) {
  const ToolRun architecture = decode_first("rv64-6.12.107", "--json --arch risv64");
  EXPECT_EQ(architecture.status, 0);
  EXPECT_THAT(architecture.err, HasSubstr("did you mean riscv64?"));
  EXPECT_EQ(architecture.json()["reason"], 6);
  const ToolRun kernel = decode_first("a64-5.10.218-n1", "--json --arch aarch64 --kernel vendor");
  EXPECT_THAT(kernel.err, HasSubstr("nothing in 'vendor'"));
  EXPECT_EQ(kernel.json()["flags"]["validity"], "unknown");
  EXPECT_THAT(decode_first("rv64-6.12.107", "--page-bytes 77 --arch riscv64").err,
              HasSubstr("no kernel has pages of 77 bytes"));
}

TEST_F(DecodeTest, NobodyGuessesWhoseKernelWroteTheBytes) {
  const ToolRun decode = decode_first("rv64-6.12.107", "--kernel 6.12.107");
  EXPECT_EQ(decode.status, 2);
  EXPECT_THAT(decode.out, IsEmpty());
  EXPECT_THAT(decode.err, HasSubstr("--arch with one of x86_64, i386, aarch64"));
  const ToolRun import = tool.run("import --format raw-pages -o " + tool.file("t.kvmtape") + " " +
                                  kRaw + "rv64-6.12.107.bin.zst");
  EXPECT_EQ(import.status, 2);
  EXPECT_THAT(import.err, HasSubstr("--arch"));
}

TEST_F(DecodeTest, ArchitecturesHaveOtherNamesAndNotEveryByteOrder) {
  const ToolRun arm64 = decode_first("a64-6.12.117-n1", "--arch arm64 --kernel 6.12.117");
  EXPECT_THAT(arm64.out, HasSubstr("KVM_EXIT_MMIO  write 1 byte 88 to 0x9000000"));
  for (const char* name : {"amd64", "x86-64", "ppc64le", "riscv", "s390"})
    EXPECT_THAT(decode_first("a64-6.12.117-n1", "--arch " + std::string(name)).err, IsEmpty());
  for (const char* name : {"x86_64", "i386", "riscv64", "loongarch64"}) {
    const ToolRun big = decode_first("rv64-6.12.107", "--big-endian --arch " + std::string(name));
    EXPECT_EQ(big.status, 2) << name;
    EXPECT_THAT(big.err, HasSubstr("little-endian"));
  }
}

TEST_F(DecodeTest, ATraceIsNoImage) {
  const ToolRun run = tool.run("decode " KVMTAPE_SOURCE_DIR "/traces/rv64-6.12.107.kvmtape");
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("this is a trace, no kvm_run: kvmtape dump"));
}

TEST_F(DecodeTest, AKernelBeyondTheTablesIsSaid) {
  for (const char* release : {"4.5.0", "7.4.1"})
    EXPECT_THAT(
        decode_first("rv64-6.12.107", "--arch riscv64 --kernel " + std::string(release)).err,
        HasSubstr("from 4.6 to 7.3"));
  EXPECT_THAT(decode_first("rv64-6.12.107", "--arch riscv64 --kernel 7.3.4").err, IsEmpty());
}

TEST_F(DecodeTest, UsageAndUnreadableInputFail) {
  for (const char* options : {"--ret -1", "--ret 0 --errno EINTR", "--errno ENONSENSE", "--cap 215",
                              "--struct kvm_nonsense", "--struct kvm_regs --abi-variant nonsense",
                              "--abi-variant arm64-ext-iabt"}) {
    const ToolRun run =
        decode_bytes(std::string(300, '0'), std::string("--arch x86_64 ") + options);
    EXPECT_EQ(run.status, 2) << options;
    EXPECT_THAT(run.out, IsEmpty());
  }
  EXPECT_EQ(tool.run("decode --arch x86_64 /dev/null").status, 2);
  EXPECT_EQ(tool.run("decode --arch x86_64 " + tool.file("missing")).status, 2);
}

// A page of x86-64 that exits with KVM_EXIT_IO out to port 0x3f8, elements of one byte, and the
// byte that follows the page.
std::string port_write(uint32_t count, uint64_t data_offset) {
  std::string page(4096, '\0');
  const auto put = [&page](size_t offset, auto value) {
    std::memcpy(page.data() + offset, &value, sizeof value);
  };
  put(8, uint32_t{2});  // exit_reason
  put(32, uint8_t{1});  // direction
  put(33, uint8_t{1});  // size
  put(34, uint16_t{0x3f8});
  put(36, count);
  put(40, data_offset);
  return page + 'A';
}

TEST_F(DecodeTest, PortDataIsTakenFromTheMappingAndNeverFromBeyondIt) {
  const auto exit =
      decode_bytes(port_write(1, 4096), "--json --arch x86_64 --kernel 6.1.50").json();
  EXPECT_EQ(exit["fields"]["io.data"]["value"], "41");
  for (const auto& [count, data_offset] : {std::pair{UINT32_MAX, uint64_t{4096}},
                                           {1u, 4097},
                                           {1u, UINT64_MAX},
                                           {2u, UINT64_MAX - 1}}) {
    const ToolRun run =
        decode_bytes(port_write(count, data_offset), "--json --arch x86_64 --kernel 6.1.50");
    EXPECT_EQ(run.status, 0);
    EXPECT_EQ(run.json()["fields"]["io.data"]["validity"], "unknown")
        << count << ' ' << data_offset;
  }
}

TEST_F(DecodeTest, RawPagesBecomeATraceThatSaysWhatTheyDoNot) {
  const std::string trace = tool.file("pages.kvmtape");
  const ToolRun import = tool.run("import --format raw-pages --arch riscv64 --kernel 6.12.107 -o " +
                                  trace + " " + kRaw + "rv64-6.12.107.bin.zst");
  EXPECT_EQ(import.status, 0) << import.err;
  const auto lines = tool.run("dump --json --raw " + trace).json_lines();
  ASSERT_EQ(lines.size(), 56u);
  EXPECT_EQ(lines[0]["session"]["left_out"][0], "ret");
  EXPECT_EQ(lines[0]["session"]["clock"]["name"], "none");
  EXPECT_TRUE(lines[1]["ret"].is_null() && lines[1]["time_ns"].is_null());
  EXPECT_EQ(lines[1]["raw"]["kvm_run"].get<std::string>().size(), 2 * 2352u);
}

TEST_F(DecodeTest, RawPagesOfS390HaveTheLongerHeader) {
  const std::string trace = tool.file("s390.kvmtape");
  EXPECT_EQ(tool.run("import --format raw-pages --arch s390x -o " + trace + " pages",
                     "head -c 8192 /dev/zero >pages;")
                .status,
            0);
  const auto lines = tool.run("dump --json --raw " + trace).json_lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["session"]["byte_order"], "big");
  EXPECT_EQ(lines[2]["raw"]["kvm_run"].get<std::string>().size(), 2 * 2368u);
}

TEST_F(DecodeTest, RawPagesAreOf4096BytesWhateverThePageOfTheirKernel) {
  const auto import = [&](const std::string& page_bytes) {
    return tool.run("import --format raw-pages --arch ppc64 --force --page-bytes " + page_bytes +
                        " -o " + tool.file("t.kvmtape") + " pages",
                    "head -c 8192 /dev/zero >pages;");
  };
  EXPECT_THAT(import("65536").err, HasSubstr("the file is cut every 4096 bytes"));
  EXPECT_THAT(import("65536").err, HasSubstr("2 exits"));
  EXPECT_THAT(import("4096").err, Not(HasSubstr("cut")));
}

TEST_F(DecodeTest, AFileThatEndsInsideAPageKeepsTheWholePages) {
  const ToolRun run =
      tool.run("import --format raw-pages --arch x86_64 -o " + tool.file("t.kvmtape") + " pages",
               "head -c 5000 /dev/zero >pages;");
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("it ends inside a page (at byte 4096)"));
  EXPECT_THAT(run.err, HasSubstr("1 exits"));
}

}  // namespace
}  // namespace kvmtape::testing
