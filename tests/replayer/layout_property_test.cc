// Pages of every kernel, architecture and byte order, written here row by row from the ABI tables
// and read back by the decoder: it must follow the tables, not the samples of traces/raw.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

#include "tests/support/architectures.h"
#include "tests/support/kvm_run_page.h"

namespace kvmtape {
namespace {

using testing::context_of;

constexpr const char* kKernels[] = {"4.6",    "4.19",   "5.3",  "5.4",  "5.7", "5.8", "5.9",
                                    "5.10.1", "5.12",   "5.17", "5.18", "6.1", "6.4", "6.8",
                                    "6.9",    "6.12.5", "6.15", "6.19", "7.2", "7.3", "unknown"};

abi::Release release_of(const DecodeContext& context) {
  return abi::release(context.kernel->major, context.kernel->minor);
}

// The row that says where this field lies in this kernel; null where more than the release decides.
const abi::AbiField* row_of(const DecodeContext& context, std::string_view member,
                            std::string_view name) {
  const abi::AbiField* found = nullptr;
  for (const abi::MemberField& row : abi::member_fields()) {
    const abi::AbiField& field = row.field;
    const bool ours = (field.architectures & abi::mask_of(context.architecture)) != 0;
    const bool second_view = member == "internal" && row.member == "emulation_failure";
    if ((row.member != member && !second_view) || !ours || field.name != name) continue;
    if (context.kernel) {
      const abi::Release release = release_of(context);
      if (release < field.since || (field.until != 0 && release > field.until)) continue;
    }
    if (found != nullptr && found->offset != field.offset) return nullptr;
    found = &field;
  }
  return found;
}

class Pages {
 public:
  Pages(DecodeContext context, uint32_t seed) : context_(std::move(context)), random_(seed) {}

  // Small numbers now and then, so that selectors and lengths lead somewhere.
  uint64_t number() {
    const uint64_t wide = uint64_t{random_()} << 32 | random_();
    // VMX reasons, TDX leaves, where port data lies.
    constexpr uint64_t kSelectors[] = {49, 60, 0x10000, 0x10002, 0x10004, 4096};
    switch (random_() % 4) {
      case 0:
        return wide % 9;
      case 3:
        return kSelectors[random_() % std::size(kSelectors)];
      case 1:
        return wide & 0xffffffff;
      default:
        return wide;
    }
  }

  std::vector<uint8_t> page(const abi::ExitReason& reason) {
    std::vector<uint8_t> bytes(304);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_());
    put(bytes, 8, 4, reason.number);
    put(bytes, 14, 2, random_() % 4);
    bytes[1] = 0;  // immediate_exit
    for (const abi::MemberField& row : abi::member_fields()) {
      const abi::AbiField& field = row.field;
      const bool ours = (field.architectures & abi::mask_of(context_.architecture)) != 0;
      if (row.member != reason.member || !ours || field.element_bytes > 8) continue;
      for (size_t i = 0; i < field.elements; ++i)
        put(bytes,
            abi::union_offset(context_.architecture) + field.offset + i * field.element_bytes,
            field.element_bytes, number());
    }
    return bytes;
  }

  uint64_t get(const std::vector<uint8_t>& bytes, size_t at, size_t size) const {
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | bytes[at + (is_big() ? i : size - 1 - i)];
    return value;
  }

 private:
  bool is_big() const { return context_.byte_order == ByteOrder::kBig; }
  void put(std::vector<uint8_t>& bytes, size_t at, size_t size, uint64_t value) const {
    for (size_t i = 0; i < size; ++i)
      bytes[at + (is_big() ? size - 1 - i : i)] = static_cast<uint8_t>(value >> 8 * i);
  }

  DecodeContext context_;
  std::mt19937 random_;
};

class Layouts : public ::testing::TestWithParam<Architecture> {
 protected:
  // Every page of this architecture: visit(context, reason, page, exit).
  template <typename Visit>
  void for_each_page(Visit visit) {
    uint32_t seed = 0;
    for (const ByteOrder order : {ByteOrder::kLittle, ByteOrder::kBig}) {
      for (const char* kernel : kKernels) {
        const DecodeContext context = context_of(GetParam(), kernel, order);
        const ExitDecoder decoder(context);
        Pages pages(context, ++seed);
        for (const abi::ExitReason& reason : abi::exit_reasons()) {
          for (int round = 0; round < 32; ++round) {
            const auto page = pages.page(reason);
            Exit exit;
            decoder.decode({.kvm_run = page, .data = {}, .is_answer = round % 2 == 1}, exit);
            SCOPED_TRACE(std::string(kernel) + " " + std::string(reason.name) +
                         (order == ByteOrder::kBig ? " big" : " little"));
            visit(context, reason, page, exit, pages);
          }
        }
      }
    }
  }
};

TEST_P(Layouts, EveryValidIntegerIsWhatStandsWhereItsRowSays) {
  size_t compared = 0;
  for_each_page([&](const DecodeContext& context, const abi::ExitReason& reason,
                    const std::vector<uint8_t>& page, const Exit& exit, const Pages& pages) {
    EXPECT_EQ(exit.reason, reason.number);
    EXPECT_EQ(exit.flags, pages.get(page, 14, 2));
    for (const Field& field : exit.all_fields()) {
      if (field.validity != Validity::kValid) {
        EXPECT_FALSE(field.why.empty()) << field.name;
        continue;
      }
      if (field.kind == FieldKind::kBytes) continue;
      const abi::AbiField* row = row_of(context, reason.member, field.name);
      if (row == nullptr) continue;  // the header's, or one that has moved
      const size_t element = field.element < 0 ? 0 : static_cast<size_t>(field.element);
      const size_t at =
          abi::union_offset(context.architecture) + row->offset + element * row->element_bytes;
      EXPECT_EQ(field.offset, at) << field.name;
      EXPECT_EQ(field.bytes, row->element_bytes) << field.name;
      EXPECT_EQ(field.value, pages.get(page, at, row->element_bytes)) << field.name;
      ++compared;
    }
  });
  EXPECT_GT(compared, 3'000u);
}

// What no kernel of an architecture writes, as far as is known: the rules say so with a reason.
bool is_never_written(Architecture architecture, const std::string& name) {
  const bool x86 = architecture == Architecture::kX86_64 || architecture == Architecture::kI386;
  const bool ppc = architecture == Architecture::kPpc64;
  if (name == "hw.hardware_exit_reason") return !x86 && !ppc;
  if (name.starts_with("internal.")) return !x86;
  if (name == "system_event.flags") return x86;
  if (name == "debug.arch.status" || name == "fail_entry.cpu") return ppc;
  return name == "debug.arch.epc" || name == "tdx.unknown.data";
}

TEST_P(Layouts, NothingIsValidBeforeItsKernelAndEveryRowIsValidSomewhere) {
  std::set<std::string> possible, valid;
  for_each_page([&](const DecodeContext& context, const abi::ExitReason& reason,
                    const std::vector<uint8_t>&, const Exit& exit, const Pages&) {
    if (!context.kernel) return;
    const abi::Release release = release_of(context);
    const bool later = release < reason.since;
    for (const abi::MemberField& row : abi::member_fields()) {
      if ((row.field.architectures & abi::mask_of(context.architecture)) == 0 ||
          row.member != reason.member || row.field.form == abi::FieldForm::kPadding)
        continue;
      const std::string name(row.field.name);
      const bool now = release >= row.field.since && release >= reason.since;
      if (now) possible.insert(name);
      for (const Field& field : exit.all_fields()) {
        if (field.name != name || field.validity != Validity::kValid) continue;
        EXPECT_FALSE(later) << name;
        valid.insert(name);
      }
    }
  });
  for (const std::string& name : possible)
    EXPECT_NE(valid.contains(name), is_never_written(GetParam(), name)) << name;
}

INSTANTIATE_TEST_SUITE_P(Architectures, Layouts, ::testing::ValuesIn(testing::kArchitectures),
                         testing::architecture_suffix);

}  // namespace
}  // namespace kvmtape
