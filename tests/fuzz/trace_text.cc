#include "tests/fuzz/trace_text.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "analysis/exit_json.h"
#include "analysis/gaps.h"
#include "analysis/memory_slice.h"
#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "analysis/stat.h"
#include "schema/base/check.h"

namespace kvmtape::fuzz {
namespace {

void check_json(std::string_view text) {
  KVMTAPE_CHECK(nlohmann::json::accept(text.begin(), text.end()));
}

}  // namespace

TraceText::TraceText(const TraceReader& reader)
    : reader_(reader), decoder_(decode_context_of(reader.session())) {
  check_json(to_line(session_json(reader.session())));
}

void TraceText::look_at(const Item& item) {
  switch (item.kind) {
    case Item::Kind::kExit:
      decode_both(decoder_, *item.exit, decoded_);
      begin_exit(json_, item, decoder_, decoded_, true, true);
      json_.end_object();
      break;
    case Item::Kind::kRegisters:
      json_.begin_object();
      if (const auto record = registers_view(*item.side)) {
        RegisterSets sets;
        sets[record->set].join(*record, decoder_.context().byte_order);
        write_registers(json_, decoder_.context(), sets);
      }
      json_.end_object();
      break;
    case Item::Kind::kMemory:
      memory_slice_text(decoder_.context(), MemorySlice(item));
      write_memory_slice(json_, decoder_.context(), MemorySlice(item));
      break;
    case Item::Kind::kGap:
      write_gap(json_, item);
      break;
    case Item::Kind::kRepeat:
      write_repeat(json_, item, reader_);
      break;
    case Item::Kind::kMark:
      write_mark(json_, item);
      break;
    case Item::Kind::kOther:
      return;
  }
  check_line();
}

void TraceText::check_line() {
  check_json(json_.text());
  json_.clear();
}

void look_at_summaries(TraceReader& reader) {
  check_json(to_line(totals_json(reader)));
  check_json(to_line(gaps_json(find_gaps(reader))));
  check_json(to_line(storage_json(reader)));
  check_json(to_line(rows_json(count_exits(reader, {}))));
}

}  // namespace kvmtape::fuzz
