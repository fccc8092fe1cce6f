#include "tests/support/lab_pages.h"

#include <algorithm>
#include <sstream>

#include "schema/base/check.h"
#include "tests/support/zstd_file.h"

namespace kvmtape::testing {
namespace {

constexpr size_t kPageBytes = 4096;

struct Tag {
  const char* name;
  Architecture architecture;
  ByteOrder order;
  const char* kernel;
  int32_t system_event_data;  // what KVM_CAP_SYSTEM_EVENT_DATA answered; -1: not asked
};
constexpr Tag kTags[] = {
    {"a64-5.10.218-a72", Architecture::kAarch64, ByteOrder::kLittle, "5.10.218", 0},
    {"a64-5.10.218-n1", Architecture::kAarch64, ByteOrder::kLittle, "5.10.218", 0},
    {"a64-6.1.192-n1", Architecture::kAarch64, ByteOrder::kLittle, "6.1.192", 1},
    {"a64-6.12.117-n1", Architecture::kAarch64, ByteOrder::kLittle, "6.12.117", 1},
    {"a64-7.2.13-n1", Architecture::kAarch64, ByteOrder::kLittle, "7.2.13", 1},
    {"a64be-5.10.223-n1", Architecture::kAarch64, ByteOrder::kBig, "5.10.223", -1},
    {"ppc64le-6.12.107", Architecture::kPpc64, ByteOrder::kLittle, "6.12.107", -1},
    {"rv64-6.12.107", Architecture::kRiscv64, ByteOrder::kLittle, "6.12.107", -1},
};

// "rc=0 reason=6(MMIO) flags=aaaa pc=... addr=... w=1".
void parse_result(const std::string& text, LabPage& page) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) page.printed[word.substr(0, equals)] = word.substr(equals + 1);
  }
  page.ret = std::stoi(page.printed.at("rc"));
  page.reason = static_cast<uint32_t>(std::stoll(page.printed.at("reason")));
}

LabRun load_run(const Tag& tag) {
  const std::string base = std::string(KVMTAPE_SOURCE_DIR) + "/traces/raw/" + tag.name;
  LabRun run;
  run.tag = tag.name;
  run.context.architecture = tag.architecture;
  run.context.byte_order = tag.order;
  run.context.kernel = parse_kernel_release(tag.kernel);
  if (tag.system_event_data >= 0) run.context.capabilities[215] = tag.system_event_data;
  const std::vector<uint8_t> bytes = read_zstd_file(base + ".bin.zst");
  std::istringstream lines(read_file(base + ".tsv"));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string> columns;
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) columns.push_back(cell);
    KVMTAPE_CHECK(columns.size() == 5);
    LabPage page;
    page.number = std::stoi(columns[0]);
    page.poisoned = !columns[2].starts_with("natural");
    page.test = columns[3];
    parse_result(columns[4], page);
    const size_t offset = std::stoul(columns[1]);
    KVMTAPE_CHECK(offset + kPageBytes <= bytes.size());
    page.bytes.assign(bytes.begin() + static_cast<ptrdiff_t>(offset),
                      bytes.begin() + static_cast<ptrdiff_t>(offset + kPageBytes));
    run.pages.push_back(std::move(page));
  }
  return run;
}

}  // namespace

const std::vector<LabRun>& lab_runs() {
  static const std::vector<LabRun> runs = [] {
    std::vector<LabRun> loaded;
    for (const Tag& tag : kTags) loaded.push_back(load_run(tag));
    return loaded;
  }();
  return runs;
}

const LabRun& lab_run(std::string_view tag) {
  for (const LabRun& run : lab_runs())
    if (run.tag == tag) return run;
  check_failed("a run of that tag", __FILE__, __LINE__);
}

const LabPage& lab_page(const LabRun& run, std::string_view test) {
  for (const LabPage& page : run.pages)
    if (page.test == test) return page;
  check_failed("a page of that test", __FILE__, __LINE__);
}

}  // namespace kvmtape::testing
