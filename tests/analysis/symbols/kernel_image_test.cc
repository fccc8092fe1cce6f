// Source lines of a vmlinux with DWARF, and how far it was moved, found by a crash's addresses.
#include "analysis/symbols/kernel_image.h"

#include <gmock/gmock.h>

#include "analysis/explain/kernel_offset.h"
#include "analysis/symbols/symbols.h"
#include "schema/base/byte_cursor.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using ::testing::MatchesRegex;

constexpr uint64_t kMoved = 0x1a000000;  // a multiple of 2 MiB
constexpr uint64_t kStack = 0xffffffff82a03e68;

class KernelImageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = KernelImage::open(KVMTAPE_SMALL_KERNEL);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    image_ = std::move(*opened);
    auto symbols = Symbols::load(KVMTAPE_SMALL_KERNEL);
    ASSERT_TRUE(symbols.ok());
    symbols_ = std::make_unique<Symbols>(std::move(*symbols));
  }

  uint64_t address_of(const char* name) const { return symbols_->address_of(name).value_or(0); }
  std::vector<uint8_t> code_at(uint64_t address, size_t bytes) const {
    for (const KernelImage::Code& code : image_->code()) {
      if (address - code.address >= code.bytes.size()) continue;
      const auto from = code.bytes.subspan(static_cast<size_t>(address - code.address));
      return {from.begin(), from.begin() + static_cast<ptrdiff_t>(std::min(bytes, from.size()))};
    }
    return {};
  }
  // Behind the first call in a function: CALL rel32.
  uint64_t return_address_in(const char* name) const {
    const uint64_t address = address_of(name);
    const std::vector<uint8_t> code = code_at(address, 64);
    for (size_t i = 0; i < code.size(); ++i)
      if (code[i] == 0xe8) return address + i + 5;
    ADD_FAILURE() << name << " calls nothing";
    return 0;
  }
  // Dies in panic(), called from mount_root(), called from prepare_namespace() and so on.
  std::optional<KernelOffset> found(uint64_t rip, const std::vector<uint8_t>& code,
                                    const std::vector<uint64_t>& stack) const {
    std::vector<uint8_t> words(8 * stack.size());
    for (size_t i = 0; i < stack.size(); ++i) store_le(&words[8 * i], stack[i]);
    SyntheticTrace trace;
    trace.intel().out(0x80, {1}).shutdown().regs(long_mode(rip));
    trace.memory_slice(MemorySliceOf::kInstruction, rip, code);
    trace.memory_slice(MemorySliceOf::kStack, kStack, words);
    return find_kernel_offset(*Explained(trace).explanation().all, *image_);
  }

  std::unique_ptr<KernelImage> image_;
  std::unique_ptr<Symbols> symbols_;
};

TEST_F(KernelImageTest, AnAddressHasItsSourceLine) {
  EXPECT_THAT(symbols_->source_line(address_of("panic")), MatchesRegex(".*small_kernel\\.c:[34]"));
  symbols_->set_offset(kMoved);
  EXPECT_THAT(symbols_->source_line(address_of("mount_root")),
              MatchesRegex(".*small_kernel\\.c:[78]"));
  EXPECT_EQ(symbols_->source_line(0x1000), "");
}

TEST_F(KernelImageTest, CodeAtTheProgramCounterSaysHowFarItMoved) {
  const uint64_t panic = address_of("panic");
  const auto offset = found(panic + kMoved, code_at(panic, 32), {});
  ASSERT_TRUE(offset.has_value());
  EXPECT_EQ(offset->offset, kMoved);
  EXPECT_GE(offset->code_bytes, 12u);
}

TEST_F(KernelImageTest, ReturnAddressesAloneSaySoAsWell) {
  const auto offset = found(
      0x401000, {},
      {0x1, return_address_in("mount_root") + kMoved, return_address_in("kernel_init") + kMoved,
       kStack + 0x40, return_address_in("prepare_namespace") + kMoved});
  ASSERT_TRUE(offset.has_value());
  EXPECT_EQ(offset->offset, kMoved);
  EXPECT_EQ(offset->return_addresses, 3u);
}

TEST_F(KernelImageTest, OtherCodeAndTooFewWordsSayNothing) {
  const uint64_t panic = address_of("panic");
  EXPECT_FALSE(found(panic + kMoved, std::vector<uint8_t>(32, 0xcc), {}).has_value());
  EXPECT_FALSE(found(0x401000, {}, {return_address_in("mount_root") + kMoved}).has_value());
  EXPECT_FALSE(found(panic + kMoved + 0x1000, code_at(panic, 32), {}).has_value())
      << "KASLR does not move by a page";
}

}  // namespace
}  // namespace kvmtape::testing
