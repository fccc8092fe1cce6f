#include <gmock/gmock.h>

#include <map>

#include "recorder/import/raw_stream.h"
#include "tests/support/scratch.h"
#include "tests/support/trace_builder.h"
#include "tests/support/zstd_file.h"

namespace kvmtape::testing {
namespace {

using ::testing::HasSubstr;

struct StreamRecord {
  uint64_t ns;
  uint32_t vcpu;
  int32_t ret;
  bool is_answer;
  std::vector<uint8_t> kvm_run, data;
};

std::vector<StreamRecord> records_of(std::span<const uint8_t> bytes) {
  std::vector<StreamRecord> records;
  for (size_t at = 0; at < bytes.size(); at += load_le<uint16_t>(&bytes[at + 22])) {
    const auto body = bytes.subspan(at + 32);
    const auto data_bytes = load_le<uint16_t>(&bytes[at + 20]);
    records.push_back({load_le<uint64_t>(&bytes[at]),
                       load_le<uint32_t>(&bytes[at + 16]),
                       static_cast<int32_t>(load_le<uint32_t>(&bytes[at + 24])),
                       bytes[at + 28] == 1,
                       {body.begin(), body.begin() + 288},
                       {body.begin() + 288, body.begin() + 288 + data_bytes}});
  }
  return records;
}

class ImportTest : public ::testing::Test {
 protected:
  Result<ImportReport> import(const std::string& input) {
    ImportOptions options;
    options.input = input;
    options.output = trace_;
    options.force = true;
    options.session.architecture = Architecture::kX86_64;
    return import_raw_stream(options);
  }
  Result<ImportReport> import(std::span<const uint8_t> bytes) {
    write_file(scratch_.file("raw"), bytes);
    return import(scratch_.file("raw"));
  }
  void expect_round_trip(std::span<const uint8_t> raw, const SeenTrace& seen) {
    std::map<uint32_t, std::vector<const SeenItem*>> exits;
    for (const SeenItem& item : seen.items)
      if (item.kind == Item::Kind::kExit) exits[item.vcpu].push_back(&item);
    std::map<uint32_t, size_t> next;
    const auto records = records_of(raw);
    const uint64_t start = records.front().ns;
    std::map<uint32_t, const SeenItem*> open;
    size_t compared = 0;
    for (const StreamRecord& record : records) {
      const SeenItem*& exit = open[record.vcpu];
      if (record.is_answer && exit == nullptr) continue;  // an entry
      if (!record.is_answer) {
        ASSERT_LT(next[record.vcpu], exits[record.vcpu].size());
        exit = exits[record.vcpu][next[record.vcpu]++];
        ASSERT_EQ(exit->kvm_run, record.kvm_run);
        ASSERT_EQ(exit->data, record.data);
        ASSERT_EQ(exit->ret, record.ret);
        ASSERT_EQ(exit->time_ns, static_cast<int64_t>(record.ns - start));
      } else {
        ASSERT_EQ(exit->answer_kvm_run, record.kvm_run);
        ASSERT_EQ(exit->answer_data, record.data);
        ASSERT_EQ(*exit->monitor_ns, static_cast<int64_t>(record.ns - start) - exit->time_ns);
        exit = nullptr;
      }
      ++compared;
    }
    EXPECT_GT(compared, records.size() - 10);
  }
  ScratchDirectory scratch_;
  std::string trace_ = scratch_.file("t.kvmtape");
};

class RealStream : public ImportTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RealStream, comes_back_byte_for_byte) {
  const std::string path = std::string(KVMTAPE_SOURCE_DIR "/traces/streams/") + GetParam();
  const auto report = import(path);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_FALSE(report->bad_input);
  const SeenTrace seen = read_all(trace_);
  ASSERT_FALSE(seen.error);
  EXPECT_TRUE(seen.health.complete());
  EXPECT_EQ(seen.exit_count(), report->exits);
  expect_round_trip(read_zstd_file(path), seen);
}
INSTANTIATE_TEST_SUITE_P(Both, RealStream,
                         ::testing::Values("linux_boot.raw.zst", "ipxe_virtio.raw.zst"));

TEST_F(ImportTest, a_plain_file_is_read_like_a_compressed_one) {
  const auto raw = read_zstd_file(KVMTAPE_SOURCE_DIR "/traces/streams/ipxe_virtio.raw.zst");
  const auto report = import(raw);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->exits, 6863u);
  expect_round_trip(raw, read_all(trace_));
}

// Exit, answer, exit, answer, ... of vCPU 0, 320 bytes each.
std::vector<uint8_t> small_stream(int records, bool with_answers = true) {
  std::vector<uint8_t> bytes(static_cast<size_t>(records) * 320);
  for (int i = 0; i < records; ++i) {
    uint8_t* at = &bytes[static_cast<size_t>(i) * 320];
    store_le<uint64_t>(at, 1'000'000u + 10u * static_cast<unsigned>(i));
    store_le<uint16_t>(at + 22, 320);
    at[28] = static_cast<uint8_t>(with_answers ? i % 2 : 0);
    at[40] = static_cast<uint8_t>(i);
  }
  return bytes;
}

TEST_F(ImportTest, a_stream_without_answers_is_valid) {
  const auto report = import(small_stream(9, false));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->exits, 9u);
  const SeenTrace seen = read_all(trace_);
  EXPECT_EQ(seen.exit_count(), 9u);
  for (const SeenItem& item : seen.items) {
    EXPECT_EQ(item.monitor_ns, std::nullopt);
    EXPECT_EQ(item.guest_ns, std::nullopt) << "nobody knows when the guest was entered";
  }
}

TEST_F(ImportTest, an_answer_without_an_exit_becomes_an_entry) {
  auto raw = small_stream(5);
  raw.erase(raw.begin(), raw.begin() + 320);
  const auto report = import(raw);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->entries, 1u);
  const SeenTrace seen = read_all(trace_);
  EXPECT_EQ(seen.items.front().record, RecordKind::kEntry);
  EXPECT_EQ(seen.exit_count(), 2u);
  EXPECT_EQ(seen.items[1].guest_ns, 10);
}

TEST_F(ImportTest, bad_input_names_its_byte_and_what_came_before_is_kept) {
  struct Case {
    size_t offset;
    uint8_t value;
    const char* message;
  };
  for (const Case& bad :
       {Case{20, 0xff, "data_bytes"}, Case{22, 1, "record_bytes"}, Case{19, 0x80, "vCPU"},
        Case{27, 0x80, "ret"}, Case{28, 2, "unknown moment 2"}, Case{30, 1, "must be zero"}}) {
    auto raw = small_stream(8);
    raw[4 * 320 + bad.offset] = bad.value;
    if (bad.offset == 20) raw[4 * 320 + 21] = 0xff;
    const auto report = import(raw);
    ASSERT_TRUE(report);
    ASSERT_TRUE(report->bad_input) << bad.message;
    EXPECT_THAT(report->bad_input->message, HasSubstr(bad.message));
    EXPECT_GE(report->bad_input->byte_offset.value(), 4u * 320 + 16);
    EXPECT_LT(report->bad_input->byte_offset.value(), 4u * 320 + 32);
    EXPECT_EQ(read_all(trace_).exit_count(), 2u);
  }
}

TEST_F(ImportTest, a_stream_cut_off_anywhere_keeps_its_whole_records) {
  const auto raw = small_stream(4);
  for (size_t size = 321; size < raw.size(); size += 7) {
    const auto report = import({raw.data(), size});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->bad_input.has_value(), size % 320 != 0) << size;
    EXPECT_EQ(report->exits + report->answers, size / 320);
    if (report->bad_input) {
      EXPECT_EQ(report->bad_input->byte_offset, size / 320 * 320);
    }
  }
}

TEST_F(ImportTest, a_stream_without_one_whole_record_is_an_error) {
  const auto raw = small_stream(1);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{32}, size_t{319}}) {
    const auto report = import({raw.data(), size});
    ASSERT_FALSE(report) << size;
    EXPECT_THAT(report.error().message, HasSubstr("nothing was imported"));
  }
}

TEST_F(ImportTest, a_compressed_stream_cut_off_says_so) {
  auto raw = file_bytes(KVMTAPE_SOURCE_DIR "/traces/streams/ipxe_virtio.raw.zst");
  raw.resize(raw.size() / 2);
  const auto report = import(raw);
  ASSERT_TRUE(report);
  ASSERT_TRUE(report->bad_input);
  EXPECT_THAT(report->bad_input->message, HasSubstr("cut off"));
  EXPECT_GT(report->exits, 100u);
  EXPECT_EQ(read_all(trace_).exit_count(), report->exits);
}

}  // namespace
}  // namespace kvmtape::testing
