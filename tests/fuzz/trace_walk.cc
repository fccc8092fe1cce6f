#include "tests/fuzz/trace_walk.h"

#include <map>

#include "analysis/explain/explain_json.h"
#include "schema/base/check.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/trace_text.h"

namespace kvmtape::fuzz {
namespace {

constexpr uint64_t kPrintedMax = 24;  // items; printing takes most of the time

void look_at_exit(const Item& item, std::map<uint32_t, uint64_t>& next_seq) {
  const RecordedExit& exit = *item.exit;
  touch(exit.kvm_run);
  touch(exit.data);
  touch(exit.answer_kvm_run);
  touch(exit.answer_data);
  KVMTAPE_CHECK(item.stream != nullptr);
  KVMTAPE_CHECK(exit.kvm_run.size() >= kCoreWords * kWordBytes);
  KVMTAPE_CHECK(exit.has_answer == !exit.answer_kvm_run.empty());
  uint64_t& next = next_seq[item.vcpu_index];
  KVMTAPE_CHECK(exit.seq >= next);  // in order, and no exit twice
  next = exit.seq + 1;
}

uint64_t walk(TraceReader& reader, TraceText* text) {
  uint64_t exits = 0, items = 0;
  std::map<uint32_t, uint64_t> next_seq;
  for (Item item; reader.next(item);) {
    if (text != nullptr && items++ < kPrintedMax) text->look_at(item);
    if (item.kind == Item::Kind::kExit) {
      ++exits;
      look_at_exit(item, next_seq);
    } else if (item.kind == Item::Kind::kRepeat) {
      exits += item.repeat.count;  // exits that it folded
    } else if (item.kind == Item::Kind::kMark) {
      touch({reinterpret_cast<const uint8_t*>(item.mark.data()), item.mark.size()});
    } else if (item.kind == Item::Kind::kGap) {
      KVMTAPE_CHECK(item.gap.lost != 0);
    } else if (item.side != nullptr) {
      touch(item.side->payload);
    }
  }
  return exits;
}

void summarize(TraceReader& reader) {
  reader.summarize([](uint32_t, const ChunkDecoder::Summary& summary) {
    KVMTAPE_CHECK(summary.reasons.size() == summary.guest.size());
    KVMTAPE_CHECK(summary.reasons.size() == summary.errnos.size());
    KVMTAPE_CHECK(summary.reasons.size() == summary.monitor.size());
  });
}

// Why it died, of whatever it is; every finding has evidence.
void explain_it(TraceReader& reader) {
  const Explanation explanation = explain(reader, {});
  for (const Finding& finding : explanation.causes) KVMTAPE_CHECK(!finding.evidence.empty());
  const auto document = explanation_json(explanation, explain_probe_guests(reader), 20, nullptr);
  KVMTAPE_CHECK(document.contains("crash"));
}

}  // namespace

Walked walk_everything(const std::string& path, const TraceReader::Options& options) {
  Walked walked;
  auto opened = TraceReader::open(path, options);
  if (!opened) {
    KVMTAPE_CHECK(!opened.error().to_string().empty());
    return walked;
  }
  TraceReader& reader = **opened;
  walked.opened = true;
  const uint64_t promised = reader.exits();
  TraceText text(reader);
  walked.exits = walk(reader, &text);
  KVMTAPE_CHECK(walked.exits <= promised);
  KVMTAPE_CHECK(reader.exits() == walked.exits);  // damage was taken off while walking
  KVMTAPE_CHECK(reader.duration_ns() >= 0);
  summarize(reader);
  Selection some;
  some.reasons = {2, 6};
  some.seq = {1, 1000};
  some.time_ns = {0, int64_t{1} << 40};
  reader.rewind(some);
  KVMTAPE_CHECK(walk(reader, nullptr) <= walked.exits);
  look_at_summaries(reader);
  explain_it(reader);
  reader.verify();
  walked.complete = reader.health().complete();
  KVMTAPE_CHECK(reader.health().problems.size() <= TraceHealth::kProblemsMax);
  return walked;
}

}  // namespace kvmtape::fuzz
