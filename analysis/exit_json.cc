#include "analysis/exit_json.h"

#include <fmt/format.h>

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "analysis/exit_label.h"
#include "replayer/arch_names/esr.h"
#include "replayer/failed_instruction.h"
#include "replayer/flag_bits.h"
#include "replayer/internal_data.h"
#include "replayer/struct_text.h"

namespace kvmtape {
namespace {

void write_validity(JsonWriter& json, Validity validity, std::string_view why) {
  json.key("validity");
  json.string(to_string(validity));
  if (validity == Validity::kValid || why.empty()) return;
  json.key("why");
  json.string(why);
}

void write_plain_value(JsonWriter& json, const RawMoment& moment, const Field& field) {
  if (field.kind == FieldKind::kBytes)
    json.bytes(raw_bytes(field, moment));
  else
    json.hex(field.value);
}

std::vector<uint8_t> bytes_of(std::span<const Field> group, const RawMoment& moment) {
  std::vector<uint8_t> bytes;
  for (const Field& field : group) {
    const auto more = raw_bytes(field, moment);
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  return bytes;
}

// Fields of one list that may be believed alike stand in one list; a plain field is a list of one.
void write_group(JsonWriter& json, const RawMoment& moment, std::span<const Field> group,
                 bool as_list, const std::string& text) {
  const Field& first = group.front();
  json.begin_object();
  json.key("value");
  if (first.validity != Validity::kValid) {
    json.null();
    json.key("bytes");
    if (first.why == kWhyRedacted)
      json.null();  // what stands there is not what lay in memory
    else
      json.bytes(bytes_of(group, moment));
  } else if (as_list) {
    json.begin_list();
    for (const Field& field : group) write_plain_value(json, moment, field);
    json.end_list();
  } else {
    write_plain_value(json, moment, first);
    if (!first.value_name.empty()) {
      json.key("name");
      json.string(first.value_name);
    }
    if (!text.empty()) {
      json.key("text");
      json.string(text);
    }
  }
  write_validity(json, first.validity, first.why);
  json.end_object();
}

bool alike(std::span<const Field> group) {
  for (const Field& field : group)
    if (field.validity != group.front().validity || field.why != group.front().why) return false;
  return true;
}

// Calls `visit` with each field alone, and with all elements of a list at once.
template <typename Visit>
void for_each_group(std::span<const Field> fields, const Visit& visit) {
  for (size_t first = 0, end = 0; first < fields.size(); first = end) {
    end = first + 1;
    if (fields[first].element >= 0)
      while (end < fields.size() && fields[end].name == fields[first].name) ++end;
    visit(fields.subspan(first, end - first));
  }
}

// As members of "fields": a list is one member where its elements may be believed alike.
void write_named_group(JsonWriter& json, const RawMoment& moment, std::span<const Field> group,
                       const std::string& text) {
  const bool is_list = group.front().element >= 0;
  if (!is_list || alike(group)) {
    json.key(group.front().name);
    return write_group(json, moment, group, is_list, text);
  }
  for (const Field& field : group) {
    json.key(fmt::format("{}[{}]", field.name, field.element));
    write_group(json, moment, {&field, 1}, false, {});
  }
}

void write_flags(JsonWriter& json, const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  json.key("flags");
  json.begin_object();
  json.key("value");
  if (exit.flags_validity == Validity::kValid) {
    json.hex(exit.flags);
  } else {
    constexpr size_t kFlagsOffset = 14;  // offsetof(struct kvm_run, flags)
    json.null();
    json.key("bytes");
    const auto run = decoded.moment.kvm_run;
    json.bytes(run.size() < kFlagsOffset + 2 ? std::span<const uint8_t>{}
                                             : run.subspan(kFlagsOffset, 2));
  }
  json.key("names");
  json.begin_list();
  for (uint8_t i = 0; i < exit.flag_name_count; ++i) json.string(exit.flag_names[i]);
  json.end_list();
  write_validity(json, exit.flags_validity, exit.flags_why);
  json.end_object();
}

void write_esr(JsonWriter& json, const Exit& exit) {
  const Esr esr = esr_of(exit);
  json.key("esr");
  json.begin_object();
  json.key("value");
  json.hex(esr.value);
  if (esr.has_class) {
    json.key("ec");
    json.hex(esr.ec);
    json.key("ec_name");
    esr.ec_name.empty() ? json.null() : json.string(esr.ec_name);
    json.key("il");
    json.number(esr.il);
  }
  json.key("iss");
  json.hex(esr.iss);
  if (exit.esr_has_high) {
    json.key("iss2");
    json.hex(esr.iss2);
  }
  for (const EsrField& field : esr.all_fields()) {
    json.key(field.name);
    json.hex(field.value);
    if (field.value_name.empty()) continue;
    json.key(std::string(field.name) + "_name");
    json.string(field.value_name);
  }
  json.end_object();
}

// What emulation_failure.insn_bytes begin with, in words.
void write_instruction(JsonWriter& json, const ExitDecoder& decoder, const DecodedExit& decoded) {
  const auto failed = failed_instruction(decoder.context(), decoded.moment, decoded.exit);
  if (!failed) return;
  json.key("instruction");
  json.begin_object();
  const bool is_code = !failed->code.empty();
  json.key("bytes");
  is_code ? json.bytes(failed->code[0].bytes) : json.null();
  json.key("text");
  is_code ? json.string(failed->code[0].text) : json.null();
  json.key("bits");
  json.number(static_cast<int>(failed->mode));
  json.key("bits_known");
  json.boolean(failed->mode_known);
  json.end_object();
}

// The words of internal.data that are known by name, beside the list.
void write_internal_data(JsonWriter& json, const ExitDecoder& decoder, const Exit& exit) {
  bool any = false;
  for (const Field& field : exit.all_fields()) {
    if (field.name != "internal.data" || field.validity != Validity::kValid) continue;
    const InternalWord word = internal_word(decoder.context(), exit, field);
    if (word.slot.empty()) continue;
    if (!any) {
      json.key("internal_data");
      json.begin_list();
    }
    any = true;
    json.begin_object();
    json.key("element");
    json.number(field.element);
    json.key("slot");
    json.string(word.slot);
    json.key("value");
    json.hex(field.value);
    json.key("text");
    word.meaning.empty() ? json.null() : json.string(word.meaning);
    json.end_object();
  }
  if (any) json.end_list();
}

void write_reason(JsonWriter& json, const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  const bool stale = exit.reason_validity == Validity::kStale;
  const bool is_said = exit.reason_recorded && !stale;
  json.key("reason");
  is_said ? json.number(exit.reason) : json.null();
  json.key("name");
  is_said ? json.string(name_of(decoded)) : json.null();
  if (stale) {
    json.key("stale_reason");
    json.number(exit.reason);
  }
  if (exit.reason_validity == Validity::kValid) return;
  json.key("reason_validity");
  json.string(to_string(exit.reason_validity));
  json.key("reason_why");
  json.string(exit.reason_why);
}

// A damaged recording's times may lie anywhere.
int64_t answer_time_ns(const Item& item) {
  int64_t sum = 0;
  const bool fits = !__builtin_add_overflow(item.time_ns, item.monitor_ns.value_or(0), &sum);
  return fits ? sum : std::numeric_limits<int64_t>::max();
}

}  // namespace

void write_raw(JsonWriter& json, const RawMoment& moment) {
  json.key("raw");
  json.begin_object();
  json.key("kvm_run");
  json.bytes(moment.kvm_run);
  json.key("pio");
  json.bytes(moment.data);
  json.end_object();
}

void write_fields(JsonWriter& json, Architecture architecture, const RawMoment& moment,
                  std::span<const Field> fields, const DecodedExit* only_new_in) {
  json.key("fields");
  json.begin_object();
  for_each_group(fields, [&](std::span<const Field> group) {
    bool is_new = only_new_in == nullptr;
    for (const Field& field : group) is_new = is_new || differs_in_answer(*only_new_in, field);
    if (is_new) write_named_group(json, moment, group, flag_bits_text(architecture, group.front()));
  });
  json.end_object();
}

void write_struct_fields(JsonWriter& json, Architecture architecture, std::string_view structure,
                         const RawMoment& moment, std::span<const Field> fields) {
  json.key("fields");
  json.begin_object();
  for_each_group(fields, [&](std::span<const Field> group) {
    const bool is_list = group.front().element >= 0;
    write_named_group(
        json, moment, group,
        is_list ? std::string() : struct_field_text(architecture, structure, group.front()));
  });
  json.end_object();
}

void write_exit_meaning(JsonWriter& json, const ExitDecoder& decoder, const DecodedExit& decoded) {
  // As the monitor saw them: ioctl returns -1 and leaves the rest to errno.
  const RawMoment& moment = decoded.moment;
  json.key("ret");
  if (moment.ret_known)
    json.number(moment.ret < 0 ? -1 : moment.ret);
  else
    json.null();
  json.key("errno");
  moment.ret_known&& moment.ret < 0 ? json.string(errno_name(errno_of(moment.ret))) : json.null();
  write_reason(json, decoded);
  write_flags(json, decoded);
  write_fields(json, decoder.context().architecture, moment, decoded.exit.all_fields());
  if (decoded.exit.has_esr) write_esr(json, decoded.exit);
  write_instruction(json, decoder, decoded);
  write_internal_data(json, decoder, decoded.exit);
  json.key("text");
  json.string(text_of(decoder, decoded));
}

void begin_exit(JsonWriter& json, const Item& item, const ExitDecoder& decoder,
                const DecodedExit& decoded, bool with_raw, bool has_clock) {
  const RecordedExit& recorded = *item.exit;
  json.begin_object();
  json.key("vcpu");
  json.number(item.vcpu_index);
  json.key("seq");
  json.number(recorded.seq);
  json.key("time_ns");
  has_clock ? json.number(item.time_ns) : json.null();
  json.key("guest_ns");
  json.number_or_null(item.guest_ns);
  json.key("monitor_ns");
  json.number_or_null(item.monitor_ns);
  write_exit_meaning(json, decoder, decoded);
  json.key("answer");
  if (decoded.has_answer) {
    json.begin_object();
    json.key("time_ns");
    json.number(answer_time_ns(item));
    write_fields(json, decoder.context().architecture, decoded.answer_moment,
                 decoded.answer.all_fields(), &decoded);
    if (with_raw) write_raw(json, decoded.answer_moment);
    json.end_object();
  } else {
    json.null();
  }
  if (with_raw) write_raw(json, decoded.moment);
}

}  // namespace kvmtape
