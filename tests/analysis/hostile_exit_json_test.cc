// Exits of damaged recordings as JSON: numbers at the ends of their types.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "analysis/exit_json.h"

namespace kvmtape::testing {
namespace {

nlohmann::json json_of(const RecordedExit& recorded, int64_t time_ns, int64_t monitor_ns) {
  DecodeContext context;
  context.architecture = Architecture::kX86_64;
  const ExitDecoder decoder(context);
  Item item;
  item.exit = &recorded;
  item.time_ns = time_ns;
  item.monitor_ns = monitor_ns;
  DecodedExit decoded;
  decode_both(decoder, recorded, decoded);
  JsonWriter json;
  begin_exit(json, item, decoder, decoded, true, true);
  json.end_object();
  return nlohmann::json::parse(json.text());
}

constexpr int64_t kLatest = std::numeric_limits<int64_t>::max();

TEST(HostileExitJson, an_answer_later_than_any_time_stands_at_the_last_one) {
  const std::vector<uint8_t> page(288);
  RecordedExit recorded;
  recorded.kvm_run = recorded.answer_kvm_run = page;
  recorded.has_answer = true;
  EXPECT_EQ(json_of(recorded, kLatest - 5, kLatest / 2)["answer"]["time_ns"], kLatest);
  EXPECT_EQ(json_of(recorded, 100, 20)["answer"]["time_ns"], 120);
}

TEST(HostileExitJson, an_errno_that_has_no_positive_number_is_shown_as_it_is) {
  const std::vector<uint8_t> page(288);
  RecordedExit recorded;
  recorded.kvm_run = page;
  recorded.ret = std::numeric_limits<int32_t>::min();
  const auto json = json_of(recorded, 0, 0);
  EXPECT_EQ(json["ret"], -1);
  EXPECT_EQ(json["errno"], "-2147483648");
}

}  // namespace
}  // namespace kvmtape::testing
