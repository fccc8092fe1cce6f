// What stands between exits: gaps, repeats and marks.
#include "analysis/exit_json.h"
#include "analysis/repeated_exits.h"

namespace kvmtape {

void write_gap(JsonWriter& json, const Item& item) {
  json.begin_object();
  json.key("vcpu");
  json.number(item.vcpu_index);
  json.key("gap");
  json.begin_object();
  json.key("lost");
  json.number(item.gap.lost);
  json.key("first_seq");
  json.number(item.gap.first_seq);
  json.key("last_seq");
  json.number(item.gap.first_seq + item.gap.lost - (item.gap.lost == 0 ? 0 : 1));
  json.key("why");
  json.string(to_string(item.gap.why));
  json.end_object();
  json.end_object();
}

void write_repeat(JsonWriter& json, const Item& item, const TraceReader& reader) {
  const RepeatRecord& repeat = item.repeat;
  json.begin_object();
  json.key("vcpu");
  json.number(item.vcpu_index);
  json.key("repeat");
  json.begin_object();
  json.key("of");
  json.number(repeat.of_seq);
  json.key("count");
  json.number(repeat.count);
  json.key("last_seq");
  json.number(repeated_exits(item, reader).last_seq);
  json.key("first_ns");
  json.number(reader.time_ns(repeat.first_tsc));
  json.key("last_ns");
  json.number(reader.time_ns(repeat.last_tsc));
  json.key("monitor_ns");
  json.begin_object();
  json.key("min");
  json.number(reader.ticks_to_ns(repeat.monitor_ticks_min));
  json.key("max");
  json.number(reader.ticks_to_ns(repeat.monitor_ticks_max));
  json.end_object();
  json.end_object();
  json.end_object();
}

void write_mark(JsonWriter& json, const Item& item) {
  json.begin_object();
  json.key("mark");
  json.string(item.mark);
  json.key("time_ns");
  json.number(item.time_ns);
  json.end_object();
}

}  // namespace kvmtape
