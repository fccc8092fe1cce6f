// The registers that were taken with an exit, by name beside their bytes.
#include <string_view>

#include "analysis/exit_json.h"
#include "analysis/exit_label.h"
#include "analysis/register_set.h"
#include "replayer/struct_decoder.h"

namespace kvmtape {
namespace {

std::string_view status_name(RegisterStatus status) {
  switch (status) {
    case RegisterStatus::kTaken:
      return "taken";
    case RegisterStatus::kRefused:
      return "refused";
    case RegisterStatus::kNotTaken:
      return "not taken: seccomp";
    case RegisterStatus::kTruncated:
      return "truncated";
    case RegisterStatus::kRedacted:
      return "redacted";
  }
  return "unknown";
}

// An entry of "fields", of a register that is not in a struct.
void write_register(JsonWriter& json, const RegisterValue& shown) {
  const bool valid = shown.validity == Validity::kValid;
  json.key(shown.name);
  json.begin_object();
  json.key("value");
  valid ? json.hex(shown.value) : json.null();
  json.key("validity");
  json.string(to_string(shown.validity));
  if (!shown.why.empty()) {
    json.key(valid ? "note" : "why");
    json.string(shown.why);
  }
  json.end_object();
}

void write_fields_of(JsonWriter& json, const DecodeContext& context, RegisterSet set,
                     const RegisterSetContents& contents) {
  if (is_of_pairs(set)) {
    json.key("fields");
    json.begin_object();
    for (const RegisterValue& shown : values_of(context, set, contents))
      write_register(json, shown);
    json.end_object();
  } else if (!contents.bytes.empty()) {
    if (const auto fields = decode_struct(context, struct_name(set), contents.bytes))
      write_struct_fields(json, context.architecture, struct_name(set),
                          {.kvm_run = contents.bytes, .data = {}}, *fields);
  }
}

}  // namespace

void write_registers(JsonWriter& json, const DecodeContext& context, const RegisterSets& sets) {
  if (sets.empty()) return;
  json.key("registers");
  json.begin_object();
  for (const auto& [set, contents] : sets) {
    json.key(struct_name(set));
    json.begin_object();
    json.key("status");
    json.string(status_name(contents.status));
    if (contents.status == RegisterStatus::kRefused) {
      json.key("errno");
      json.string(errno_name(static_cast<int32_t>(contents.error)));
    }
    write_fields_of(json, context, set, contents);
    json.key("bytes");
    json.bytes(shown_bytes(context, set, contents));
    json.end_object();
  }
  json.end_object();
}

}  // namespace kvmtape
