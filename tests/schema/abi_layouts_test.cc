// Proves every row of schema/abi against layouts.csv.zst: what compilers made of the headers of
// fifteen versions for each target, both ways round.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "schema/abi/registry.h"
#include "tests/support/zstd_file.h"

namespace kvmtape::abi {
namespace {

struct Place {
  uint32_t offset = 0;
  uint32_t bytes = 0;
  bool is_leaf = false;
};
struct Headers {
  std::string version;
  std::string target;
  Architecture architecture = Architecture::kUnknown;
  Release release = 0;
  std::map<std::pair<std::string, std::string>, Place> places;  // struct, field
};

// 5.18-rc2 still has 5.17's layouts (d495f942f40a and 18f3976fdb5d came after it).
const std::map<std::string, Release> kReleases = {
    {"k4.6", release(4, 6)},       {"k4.11ish", release(4, 11)}, {"4.19", release(4, 19)},
    {"k5.0-rc2", release(5, 0)},   {"k5.3", release(5, 3)},      {"5.10", release(5, 10)},
    {"k5.16-rc1", release(5, 16)}, {"k5.17", release(5, 17)},    {"k5.18-rc2", release(5, 17)},
    {"k6.0-rc1", release(6, 0)},   {"6.1", release(6, 1)},       {"k6.4", release(6, 4)},
    {"k6.6", release(6, 6)},       {"k6.7", release(6, 7)},      {"k6.8", release(6, 8)},
    {"k6.9", release(6, 9)},       {"k6.10", release(6, 10)},    {"6.12", release(6, 12)},
    {"7.2", release(7, 2)},        {"7.3", release(7, 3)},
};
const std::map<std::string, Architecture> kTargets = {
    {"x86_64", Architecture::kX86_64},
    {"i386", Architecture::kI386},
    {"arm64", Architecture::kAarch64},
    {"arm64_be", Architecture::kAarch64},
    {"riscv64", Architecture::kRiscv64},
    {"s390x", Architecture::kS390x},
    {"ppc64", Architecture::kPpc64},
    {"ppc64le", Architecture::kPpc64},
    {"mips64_be", Architecture::kMips64},
    {"mips64el", Architecture::kMips64},
    {"loongarch64", Architecture::kLoongarch64},
};

const std::vector<Headers>& all_headers() {
  static const std::vector<Headers> all = [] {
    const auto bytes = testing::read_zstd_file(KVMTAPE_SOURCE_DIR "/schema/abi/layouts.csv.zst");
    std::map<std::pair<std::string, std::string>, Headers> found;
    std::istringstream lines(std::string(bytes.begin(), bytes.end()));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::vector<std::string> cells;
      std::istringstream row(line);
      for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
      if (cells.size() < 8 || cells[4].empty() || !kTargets.contains(cells[1])) continue;
      Headers& headers = found[{cells[0], cells[1]}];
      headers.version = cells[0];
      headers.target = cells[1];
      headers.architecture = kTargets.at(cells[1]);
      headers.release = kReleases.at(cells[0]);
      const bool is_leaf = !cells[7].starts_with("struct") && !cells[7].starts_with("union");
      headers.places[{cells[2], cells[4]}] = {static_cast<uint32_t>(std::stoul(cells[5])),
                                              static_cast<uint32_t>(std::stoul(cells[6])), is_leaf};
    }
    std::vector<Headers> list;
    for (auto& [key, headers] : found) list.push_back(std::move(headers));
    return list;
  }();
  return all;
}

bool holds_in(const AbiField& row, const Headers& headers) {
  return (row.architectures & mask_of(headers.architecture)) != 0 && row.since <= headers.release &&
         (row.until == 0 || headers.release <= row.until);
}

// Another row has this field of these headers: it has moved, not come.
bool lies_elsewhere(const AbiField& row, const Headers& headers) {
  for (const MemberField& other : member_fields())
    if (other.field.name == row.name && holds_in(other.field, headers)) return true;
  return false;
}

// `row` stands in these headers at `base` + its offset exactly if the table says so.
void expect_row(const Headers& headers, const std::string& structure, const AbiField& row,
                uint32_t base) {
  if ((row.architectures & mask_of(headers.architecture)) == 0) return;
  SCOPED_TRACE(headers.version + " " + headers.target + " " + structure + " " +
               std::string(row.name));
  auto found = headers.places.find({structure, std::string(row.name)});
  if (row.since > headers.release) {
    EXPECT_TRUE(found == headers.places.end() || lies_elsewhere(row, headers))
        << "it came earlier than the table says";
    return;
  }
  if (!holds_in(row, headers)) return;
  ASSERT_TRUE(found != headers.places.end()) << "it came later than the table says";
  EXPECT_EQ(found->second.offset, base + row.offset);
  EXPECT_EQ(found->second.bytes, uint32_t{row.element_bytes} * row.elements);
}

TEST(AbiLayouts, EveryUnionMemberLiesWhereTheHeadersPutIt) {
  ASSERT_GT(all_headers().size(), 100u);
  for (const Headers& headers : all_headers())
    for (const MemberField& row : member_fields())
      expect_row(headers, "kvm_run", row.field, union_offset(headers.architecture));
}

TEST(AbiLayouts, EveryHeaderFieldLiesWhereTheHeadersPutIt) {
  for (const Headers& headers : all_headers())
    for (const AbiField& row : header_fields()) expect_row(headers, "kvm_run", row, 0);
}

TEST(AbiLayouts, EveryStructFieldLiesWhereTheHeadersPutIt) {
  for (const Headers& headers : all_headers()) {
    for (const StructField& row : struct_fields()) {
      if (!row.variant.empty()) continue;                                // in no release
      if (row.field.name.find('[') != std::string_view::npos) continue;  // elements of arch.bp
      expect_row(headers, std::string(row.structure), row.field, 0);
    }
    auto breakpoints = headers.places.find({"kvm_guest_debug", "arch.bp"});
    if (breakpoints != headers.places.end()) {
      EXPECT_EQ(breakpoints->second.offset, 8u);
      EXPECT_EQ(breakpoints->second.bytes, 256u);
    }
  }
}

TEST(AbiLayouts, SyncAreaBeginsBehindTheUnionOnEveryTarget) {
  for (const Headers& headers : all_headers()) {
    SCOPED_TRACE(headers.version + " " + headers.target);
    auto place = [&headers](const char* field) { return headers.places.at({"kvm_run", field}); };
    EXPECT_EQ(place("kvm_valid_regs").offset, sync_offset(headers.architecture));
    EXPECT_EQ(place("s").offset, sync_regs_offset(headers.architecture));
    EXPECT_EQ(place("s").bytes, 2048u);
  }
}

// What the newest headers have and no row names would be shown to nobody.
TEST(AbiLayouts, NoFieldOfTheNewestUnionIsMissingFromTheTables) {
  const std::set<std::string> not_fields = {"exit_reason",  "flags",          "padding1",
                                            "padding",      "kvm_valid_regs", "kvm_dirty_regs",
                                            "hypercall.pad"};
  std::set<std::string> known = not_fields;
  for (const MemberField& row : member_fields()) known.emplace(row.field.name);
  for (const AbiField& row : header_fields()) known.emplace(row.name);
  for (const Headers& headers : all_headers()) {
    if (headers.version != "7.3") continue;
    for (const auto& [key, place] : headers.places) {
      const auto& [structure, field] = key;
      if (structure != "kvm_run" || !place.is_leaf || field.starts_with("s.")) continue;
      EXPECT_TRUE(known.contains(field)) << headers.target << " " << field;
    }
  }
}

TEST(AbiTables, ExitReasonsAreNumberedWithoutHoles) {
  uint32_t number = 0;
  for (const ExitReason& reason : exit_reasons()) EXPECT_EQ(reason.number, number++);
  EXPECT_EQ(number, 44u);
}

TEST(AbiTables, GeneratingAgainChangesNothing) {
  EXPECT_EQ(std::system("python3 " KVMTAPE_SOURCE_DIR "/schema/abi/generate.py --check"), 0);
}

}  // namespace
}  // namespace kvmtape::abi
