// A kernel of Debian's, booted by QEMU and recorded to its end. Where KVM runs the guest on the
// processor it starts the one program of its initramfs, which reboots by a triple fault; where KVM
// emulates the guest's kernel it dies early, of an instruction that KVM does not emulate. Either
// way the last exit is of the crash kind, and says where the guest was. Takes minutes under such a
// KVM: for KVMTAPE_FULL, with the kernel that `./dev test --full` unpacks.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "schema/base/unique_fd.h"
#include "tests/support/run_tool.h"
#include "tests/support/shell.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Documentation/driver-api/early-userspace/buffer-format.rst: "newc".
std::string archived(const std::string& name, uint32_t mode, const std::string& data) {
  auto padded = [](std::string text) {
    text.resize((text.size() + 3) / 4 * 4);
    return text;
  };
  const std::string header = fmt::format(
      "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", 0,
      mode, 0, 0, 1, 0, data.size(), 0, 0, 0, 0, name.size() + 1, 0);
  return padded(header + name + '\0') + padded(data);
}

class GuestKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("KVMTAPE_FULL") == nullptr)
      GTEST_SKIP() << "takes minutes where KVM emulates the guest's kernel; set KVMTAPE_FULL";
    if (!UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)).valid())
      GTEST_SKIP() << "/dev/kvm cannot be opened";
    if (shell("command -v qemu-system-x86_64").status != 0)
      GTEST_SKIP() << "qemu-system-x86_64 is not installed";
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(
             KVMTAPE_BINARY_DIR "/guest-kernel-packages/boot", error))
      if (entry.path().filename().string().starts_with("vmlinuz-")) kernel = entry.path();
    if (kernel.empty())
      GTEST_SKIP() << "Debian's package linux-image-cloud-amd64 is not unpacked; "
                      "./dev test --full does it";
    std::ofstream(initramfs, std::ios::binary)
        << archived("init", 0100755, contents(KVMTAPE_GUEST_INIT)) + archived("TRAILER!!!", 0, "");
  }
  // QEMU stays when KVM gives up, for whoever wants to look at it.
  void boot() {
    const std::string qemu =
        "qemu-system-x86_64 -M microvm -accel kvm -cpu qemu64,-cx16 -m 128 -display none "
        "-nodefaults "
        "-serial stdio -no-reboot -kernel " +
        kernel + " -initrd " + initramfs +
        " -append 'console=ttyS0 earlyprintk=ttyS0,115200 panic=-1 reboot=t nokaslr'";
    const std::string script = tool.file("boot");
    std::ofstream(script) << qemu << " >" << console << " 2>&1 & qemu=$!\n"
                          << "for second in $(seq 1200); do\n"
                             "  grep -q 'KVM internal error' "
                          << console
                          << " && break\n"
                             "  kill -0 $qemu 2>/dev/null || break\n"
                             "  sleep 1\n"
                             "done\n"
                             "kill $qemu 2>/dev/null; wait $qemu; true\n";
    ASSERT_EQ(tool.run("record --force -q -o " + trace + " -- sh " + script).status, 0);
  }

  Tool tool;
  std::string kernel;
  const std::string initramfs = tool.file("initramfs"), console = tool.file("console"),
                    trace = tool.file("t.kvmtape");
};

TEST_F(GuestKernelTest, ItsLastExitSaysWhatItDiedOf) {
  boot();
  const auto exit =
      tool.run("dump --json --exit KVM_EXIT_INTERNAL_ERROR,KVM_EXIT_SHUTDOWN " + trace)
          .json_lines()
          .back();
  ASSERT_TRUE(exit.contains("memory")) << exit << "\n" << contents(console);
  const auto& registers = exit["registers"]["kvm_regs"]["fields"];
  const auto& code = exit["memory"][1];
  EXPECT_EQ(code["of"], "instruction");
  EXPECT_EQ(code["guest_virtual"], registers["rip"]["value"]);
  EXPECT_THAT(code["guest_virtual"].get<std::string>(), StartsWith("0xffffffff8"))
      << "the kernel's text";
  EXPECT_THAT(code["instructions"][0].get<std::string>(), Not(""));
  EXPECT_EQ(exit["memory"].back()["of"], "stack");
  EXPECT_EQ(exit["memory"].back()["guest_virtual"], registers["rsp"]["value"]);
  if (exit["name"] == "KVM_EXIT_INTERNAL_ERROR") {  // memory says what KVM read itself
    const auto bytes = exit["fields"]["emulation_failure.insn_bytes"]["value"].get<std::string>();
    EXPECT_THAT(code["bytes"].get<std::string>(), StartsWith(bytes));
  } else {
    EXPECT_THAT(contents(console), HasSubstr("the guest's own program runs"));
  }
  EXPECT_EQ(tool.run("verify " + trace).status, 0);
}

}  // namespace
}  // namespace kvmtape::testing
