#include "replayer/exit_decoder.h"

#include <algorithm>
#include <utility>

#include "replayer/exit_rules.h"
#include "replayer/load_integer.h"

namespace kvmtape {
namespace {

constexpr size_t kReasonOffset = 8;
constexpr size_t kFlagsOffset = 14;

constexpr std::string_view kNotRecorded = "these bytes were not recorded";

std::span<const abi::ValueName> value_names_of(std::string_view field) {
  const auto all = abi::value_names();
  size_t first = 0;
  while (first < all.size() && all[first].field != field) ++first;
  size_t end = first;
  while (end < all.size() && all[end].field == field) ++end;
  return all.subspan(first, end - first);
}

// Two rows of emulation_failure are internal's first two again.
bool is_shown(const abi::AbiField& row) {
  return row.form != abi::FieldForm::kPadding && row.name != "emulation_failure.suberror" &&
         row.name != "emulation_failure.ndata";
}

// The field lay elsewhere in older kernels, which another row says.
bool has_moved(const abi::AbiField& row, abi::ArchitectureMask ours) {
  for (const abi::MemberField& other : abi::member_fields())
    if (other.field.name == row.name && other.field.until != 0 &&
        (other.field.architectures & ours) != 0)
      return true;
  return false;
}

abi::Release after(abi::Release release) { return static_cast<abi::Release>(release + 1); }

}  // namespace

ExitDecoder::ExitDecoder(DecodeContext context)
    : kernel_(std::move(context)), rules_(rules_of(kernel_.context.architecture)) {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
  for (const abi::AbiField& row : abi::header_fields())
    if ((row.architectures & ours) != 0) plan_field(row, 0, 0);
  header_.count = fields_.size();
  for (const abi::ExitReason& reason : abi::exit_reasons()) plan_reason(reason);
  for (const abi::FlagName& flag : abi::flag_names())
    if ((flag.architectures & ours) != 0 && kernel_.since(flag.since) != Known::kNo)
      flag_names_.push_back(flag);
}

void ExitDecoder::plan_reason(const abi::ExitReason& reason) {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
  Plan plan;
  plan.first = fields_.size();
  plan.later_than_kernel = kernel_.since(reason.since) == Known::kNo;
  for (const abi::MemberField& row : abi::member_fields()) {
    const bool second_view = reason.member == "internal" && row.member == "emulation_failure";
    if (row.member != reason.member && !second_view) continue;
    if ((row.field.architectures & ours) == 0 || !is_shown(row.field)) continue;
    plan_field(row.field, kernel_.union_offset, reason.since);
  }
  plan.count = fields_.size() - plan.first;
  plans_.push_back(plan);
}

void ExitDecoder::plan_field(const abi::AbiField& row, uint16_t base, abi::Release reason_since) {
  const bool system_event = row.name.starts_with("system_event.");
  Known has = kernel_.since(row.since);
  if (row.until != 0) {
    const Known gone = system_event ? kernel_.system_event_ndata : kernel_.since(after(row.until));
    if (gone == Known::kYes || (gone == Known::kMaybe && !system_event)) return;
  } else if (system_event && row.since > reason_since) {
    has = kernel_.system_event_ndata;
  }

  Field field;
  field.name = row.name;
  field.offset = static_cast<uint16_t>(base + row.offset);
  field.validity = Validity::kValid;
  const std::span<const abi::ValueName> value_names = value_names_of(row.name);
  const auto add = [&] {
    fields_.push_back(field);
    value_names_.push_back(value_names);
  };
  if (has == Known::kNo && row.since > reason_since) {
    if (has_moved(row, abi::mask_of(kernel_.context.architecture))) return;
    field.validity = Validity::kAbsent;
    field.why = "this kernel is older than the field";
  } else if (has == Known::kMaybe && row.since > reason_since && !system_event) {
    field.validity = Validity::kUnknown;
    field.why = "the kernel is not known, and older ones have no such field";
  }
  const bool whole = field.validity == Validity::kAbsent && row.elements > 1;
  if (row.form == abi::FieldForm::kBytes || whole) {
    field.bytes = static_cast<uint16_t>(row.element_bytes * row.elements);
    field.kind = FieldKind::kBytes;
    return add();
  }
  field.bytes = row.element_bytes;
  field.kind = value_names.empty() ? FieldKind::kInteger : FieldKind::kEnumerated;
  for (uint16_t element = 0; element < row.elements; ++element) {
    if (row.elements > 1) field.element = static_cast<int16_t>(element);
    add();
    field.offset = static_cast<uint16_t>(field.offset + row.element_bytes);
  }
}

// Copies the planned fields behind those that `exit` has, with their values.
void ExitDecoder::append(const Plan& plan, const RawMoment& moment, Exit& exit) const {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
  const size_t count = std::min(plan.count, kExitFieldsMax - exit.field_count);
  const Field* planned = fields_.data() + plan.first;
  const std::span<const abi::ValueName>* value_names = value_names_.data() + plan.first;
  Field* field = &exit.fields[exit.field_count];
  exit.field_count = static_cast<uint8_t>(exit.field_count + count);
  for (const Field* end = planned + count; planned != end; ++planned, ++value_names, ++field) {
    *field = *planned;
    if (size_t{planned->offset} + planned->bytes > moment.kvm_run.size()) [[unlikely]] {
      field->bytes = 0;
      if (planned->validity != Validity::kAbsent)
        field->take_back(Validity::kUnknown, kNotRecorded);
      continue;
    }
    if (planned->kind == FieldKind::kBytes || planned->validity != Validity::kValid) continue;
    const uint64_t value =
        load_integer(moment.kvm_run, planned->offset, planned->bytes, kernel_.context.byte_order);
    field->value = value;
    if (planned->kind != FieldKind::kEnumerated) continue;
    for (const abi::ValueName& name : *value_names)
      if (name.value == value && (name.architectures & ours) != 0) field->value_name = name.name;
  }
}

void ExitDecoder::decode_flags(const RuleView& view) const {
  Exit& exit = view.exit;
  exit.flag_name_count = 0;
  exit.flags = view.load_at<uint16_t>(kFlagsOffset);
  exit.flags_validity = Validity::kValid;
  exit.flags_why = {};
  if (view.moment.kvm_run.size() < kFlagsOffset + sizeof exit.flags) {
    exit.flags_validity = Validity::kUnknown;
    exit.flags_why = kNotRecorded;
    return;
  }
  rules_.judge_flags(view);
  if (exit.flags_validity != Validity::kValid) return;
  for (const abi::FlagName& flag : flag_names_)
    if ((exit.flags & flag.mask) == flag.value && exit.flag_name_count < kFlagNamesMax)
      exit.flag_names[exit.flag_name_count++] = flag.name;
}

// Zeros that redaction left are no values: of fields that the profile removes, of fields that share
// bytes with those, and of what was not valid.
void ExitDecoder::judge_redaction(Exit& exit) const {
  const RedactionProfile profile = kernel_.context.redaction;
  const auto fields = exit.all_fields();
  const auto shares_bytes = [](const Field& a, const Field& b) {
    return a.in_data == b.in_data && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  };
  const auto is_removed = [&](const Field& field) {
    return std::ranges::any_of(fields, [&](const Field& other) {
      return !keeps_field(profile, other.name) && shares_bytes(field, other);
    });
  };
  for (Field& field : fields) {
    if (field.validity == Validity::kAbsent) continue;
    if (field.validity == Validity::kValid && keeps_field(profile, field.name) &&
        !is_removed(field))
      continue;
    field.take_back(Validity::kUnknown, "redacted");
  }
  if (!keeps(profile, Sensitivity::kRegister)) exit.has_esr = exit.esr_has_high = false;
}

void ExitDecoder::decode(const RawMoment& moment, Exit& exit) const {
  const RuleView view{kernel_, moment, exit};
  exit.field_count = 0;
  exit.has_esr = exit.esr_has_high = false;
  exit.esr = 0;
  exit.reason = view.load_at<uint32_t>(kReasonOffset);
  exit.name = exit_reason_name(exit.reason);
  if (moment.kvm_run.size() < kReasonOffset + sizeof exit.reason) {
    exit.name = {};
    exit.reason_validity = Validity::kUnknown;
    exit.reason_why = kNotRecorded;
  } else {
    judge_exit_reason(view);
  }
  decode_flags(view);
  append(header_, moment, exit);
  rules_.judge_header(view);

  const bool has_plan = exit.reason < plans_.size() && !exit.name.empty();
  if (has_plan && exit.reason_validity != Validity::kStale) {
    const Plan& plan = plans_[exit.reason];
    append(plan, moment, exit);
    rules_.judge_exit(view);
    const size_t header_count = header_.count;
    if (exit.reason_validity == Validity::kUnknown)
      view.mark_all(Validity::kUnknown, exit.reason_why, header_count);
    else if (plan.later_than_kernel)
      view.mark_all(Validity::kUnknown,
                    "this exit came after the kernel that is named: a backport, or a vendor's own "
                    "meaning of the number",
                    header_count);
  }
  if (kernel_.context.redaction != RedactionProfile::kNone) judge_redaction(exit);
  if (exit.reason_validity != Validity::kValid) exit.has_esr = exit.esr_has_high = false;
}

}  // namespace kvmtape
