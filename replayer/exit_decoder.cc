#include "replayer/exit_decoder.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "replayer/exit_rules.h"
#include "replayer/load_integer.h"
#include "schema/base/check.h"

namespace kvmtape {
namespace {

constexpr size_t kReasonOffset = 8;
constexpr size_t kFlagsOffset = 14;

constexpr std::string_view kNotRecorded = "these bytes were not recorded";

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

// Numbers for a decoder's plans that no other has.
uint64_t take_plan_ids(size_t count) {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(count, std::memory_order_relaxed);  // relaxed: nothing goes with it
}

// KVM_EXIT_HYPERCALL is as old as KVM, but nothing of these architectures ended a KVM_RUN with it
// before KVM_HC_MAP_GPA_RANGE of x86 (0dbb11230437, 5.14), arm64's SMCCC filter (6.4) and
// loongarch's KVM_HCALL_USER_SERVICE (6.14; 6.12 exit.c has none).
abi::Release first_release(const abi::ExitReason& reason, const DecodeContext& context) {
  constexpr uint32_t kHypercall = 3;
  if (reason.number != kHypercall) return reason.since;
  switch (context.architecture) {
    case Architecture::kX86_64:
    case Architecture::kI386:
      return abi::release(5, 14);
    case Architecture::kAarch64:
      return abi::release(6, 4);
    case Architecture::kLoongarch64:
      return abi::release(6, 14);
    default:
      return reason.since;
  }
}

abi::Release after(abi::Release release) { return static_cast<abi::Release>(release + 1); }

}  // namespace

ExitDecoder::ExitDecoder(DecodeContext context)
    : kernel_(std::move(context)), rules_(rules_of(kernel_.context.architecture)) {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
  for (const abi::AbiField& row : abi::header_fields())
    if ((row.architectures & ours) != 0) plan_field(row, 0, 0, header_);
  for (const abi::ExitReason& reason : abi::exit_reasons()) plans_.push_back(plan_reason(reason));
  for (const Plan& plan : plans_) KVMTAPE_CHECK(plan.fields.size() <= kExitFieldsMax);
  first_plan_id_ = take_plan_ids(1 + plans_.size());
  for (const abi::FlagName& flag : abi::flag_names())
    if ((flag.architectures & ours) != 0 && kernel_.since(flag.since) != Known::kNo)
      flag_names_.push_back(flag);
}

ExitDecoder::Plan ExitDecoder::plan_reason(const abi::ExitReason& reason) const {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
  Plan plan = header_;
  plan.reason_name = reason.name;
  plan.later_than_kernel = kernel_.since(first_release(reason, kernel_.context)) == Known::kNo;
  for (const abi::MemberField& row : abi::member_fields()) {
    const bool second_view = reason.member == "internal" && row.member == "emulation_failure";
    if (row.member != reason.member && !second_view) continue;
    if ((row.field.architectures & ours) == 0 || !is_shown(row.field)) continue;
    plan_field(row.field, kernel_.union_offset, reason.since, plan);
  }
  return plan;
}

void ExitDecoder::plan_field(const abi::AbiField& row, uint16_t base, abi::Release reason_since,
                             Plan& plan) const {
  const abi::ArchitectureMask ours = abi::mask_of(kernel_.context.architecture);
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
  field.sensitivity = sensitivity_of(row.name).value_or(Sensitivity::kPayload);
  field.offset = static_cast<uint16_t>(base + row.offset);
  field.validity = Validity::kValid;
  if (has == Known::kNo && row.since > reason_since) {
    if (has_moved(row, ours)) return;
    field.validity = Validity::kAbsent;
    field.why = "this kernel is older than the field";
  } else if (has == Known::kMaybe && row.since > reason_since && !system_event) {
    field.validity = Validity::kUnknown;
    field.why = "it is not known whether this kernel has the field: older ones do not";
  }
  const bool whole = field.validity == Validity::kAbsent && row.elements > 1;
  if (row.form == abi::FieldForm::kBytes || whole) {
    field.bytes = static_cast<uint16_t>(row.element_bytes * row.elements);
    field.kind = FieldKind::kBytes;
    if (field.validity != Validity::kValid) plan.doubtful |= uint64_t{1} << plan.fields.size();
    plan.fields.push_back(field);
    plan.end = std::max(plan.end, size_t{field.offset} + field.bytes);
    return;
  }
  NamedField named;
  for (const abi::ValueName& name : abi::value_names()) {
    if (name.field != row.name) continue;
    field.kind = FieldKind::kEnumerated;
    if ((name.architectures & ours) != 0) named.names.push_back(name);
  }
  field.bytes = row.element_bytes;
  for (uint16_t element = 0; element < row.elements; ++element) {
    if (row.elements > 1) field.element = static_cast<int16_t>(element);
    named.field = static_cast<uint8_t>(plan.fields.size());
    if (field.validity != Validity::kValid) plan.doubtful |= uint64_t{1} << named.field;
    plan.fields.push_back(field);
    plan.loads[std::bit_width(field.bytes) - 1u].push_back({field.offset, named.field});
    if (!named.names.empty()) plan.named.push_back(named);
    plan.end = std::max(plan.end, size_t{field.offset} + field.bytes);
    field.offset = static_cast<uint16_t>(field.offset + row.element_bytes);
  }
}

const ExitDecoder::Plan& ExitDecoder::plan_of(const Exit& exit) const {
  const bool known = exit.reason < plans_.size() && !exit.name.empty();
  return known && exit.reason_validity != Validity::kStale ? plans_[exit.reason] : header_;
}

// Every field of the plan, with its value, before any rule.
void ExitDecoder::begin(const Plan& plan, const RawMoment& moment, Exit& exit) const {
  Field* const fields = exit.fields.data();
  const uint64_t id =
      first_plan_id_ + (&plan == &header_ ? 0 : 1 + static_cast<uint64_t>(&plan - plans_.data()));
  if (exit.plan_id != id) {
    std::ranges::copy(plan.fields, fields);
  } else {
    for (uint64_t changed = exit.changed_fields; changed != 0; changed &= changed - 1) {
      const auto number = static_cast<size_t>(std::countr_zero(changed));
      if (number >= plan.fields.size()) break;  // was appended
      fields[number] = plan.fields[number];
    }
  }
  exit.plan_id = id;
  exit.changed_fields = 0;
  exit.field_count = static_cast<uint8_t>(plan.fields.size());

  if (moment.kvm_run.size() < plan.end) [[unlikely]]
    load_short(plan, moment, exit);
  else if (kernel_.context.byte_order == ByteOrder::kLittle)
    load_values<ByteOrder::kLittle>(plan, moment.kvm_run.data(), fields);
  else
    load_values<ByteOrder::kBig>(plan, moment.kvm_run.data(), fields);
  for (const NamedField& named : plan.named) {
    Field& field = fields[named.field];
    field.value_name = {};
    for (const abi::ValueName& name : named.names)
      if (name.value == field.value) field.value_name = name.name;
  }
}

template <ByteOrder order>
void ExitDecoder::load_values(const Plan& plan, const uint8_t* kvm_run, Field* fields) const {
  for (const Load& at : plan.loads[0]) fields[at.field].value = kvm_run[at.offset];
  for (const Load& at : plan.loads[1])
    fields[at.field].value = load<uint16_t>(kvm_run + at.offset, order);
  for (const Load& at : plan.loads[2])
    fields[at.field].value = load<uint32_t>(kvm_run + at.offset, order);
  for (const Load& at : plan.loads[3])
    fields[at.field].value = load<uint64_t>(kvm_run + at.offset, order);
}

// The values of a page that ends too early.
void ExitDecoder::load_short(const Plan& plan, const RawMoment& moment, Exit& exit) const {
  const auto is_there = [&](const Field& field) {
    return size_t{field.offset} + field.bytes <= moment.kvm_run.size();
  };
  for (const auto& loads : plan.loads)
    for (const Load& at : loads)
      if (Field& field = exit.fields[at.field]; is_there(field))
        field.value = load_integer(moment.kvm_run.data() + field.offset, field.bytes,
                                   kernel_.context.byte_order);
  exit.changed_fields = kAllFields;
  for (Field& field : std::span(exit.fields).first(exit.field_count)) {
    if (is_there(field)) continue;
    field.bytes = 0;
    if (field.validity == Validity::kAbsent) continue;
    field.validity = Validity::kUnknown;
    field.why = kNotRecorded;
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
  const std::span fields(exit.fields.data(), exit.field_count);
  const auto shares_bytes = [](const Field& a, const Field& b) {
    return a.in_data == b.in_data && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  };
  const auto is_removed = [&](const Field& field) {
    return std::ranges::any_of(fields, [&](const Field& other) {
      return !keeps(profile, other.sensitivity) && shares_bytes(field, other);
    });
  };
  exit.changed_fields = kAllFields;
  for (Field& field : fields) {
    if (field.validity == Validity::kAbsent) continue;
    if (field.validity == Validity::kValid && keeps(profile, field.sensitivity) &&
        !is_removed(field))
      continue;
    field.validity = Validity::kUnknown;
    field.why = kWhyRedacted;
  }
  if (!keeps(profile, Sensitivity::kRegister)) exit.has_esr = exit.esr_has_high = false;
}

void ExitDecoder::decode(const RawMoment& moment, Exit& exit) const {
  const RuleView view{kernel_, moment, exit};
  exit.has_esr = exit.esr_has_high = false;
  exit.esr = 0;
  exit.reason = view.load_at<uint32_t>(kReasonOffset);
  exit.name = exit.reason < plans_.size() ? plans_[exit.reason].reason_name : std::string_view{};
  exit.reason_recorded = moment.kvm_run.size() >= kReasonOffset + sizeof exit.reason;
  if (!exit.reason_recorded) {
    exit.name = {};
    exit.reason_validity = Validity::kUnknown;
    exit.reason_why = kNotRecorded;
  } else {
    judge_exit_reason(view);
  }
  decode_flags(view);
  const Plan& plan = plan_of(exit);
  begin(plan, moment, exit);
  const auto header_count = static_cast<uint8_t>(header_.fields.size());
  exit.field_count = header_count;
  rules_.judge_header(view);

  if (&plan != &header_) {
    exit.field_count = static_cast<uint8_t>(plan.fields.size());
    rules_.judge_exit(view);
    if (exit.reason_validity == Validity::kUnknown) {
      view.mark_all(Validity::kUnknown, exit.reason_why, header_count);
    } else if (plan.later_than_kernel) {
      exit.has_esr = exit.esr_has_high = false;
      view.mark_all(Validity::kUnknown,
                    "this exit came after the kernel that is named: a backport, or a vendor's own "
                    "meaning of the number",
                    header_count);
    }
  }
  if (kernel_.context.redaction != RedactionProfile::kNone) judge_redaction(exit);
  // What rules took back they have cleared; what was never there, moved or was redacted has not
  // been.
  uint64_t doubtful = exit.changed_fields == kAllFields ? kAllFields : plan.doubtful;
  for (; doubtful != 0; doubtful &= doubtful - 1) {
    Field& field = exit.fields[static_cast<size_t>(std::countr_zero(doubtful))];
    if (field.validity == Validity::kValid) continue;
    field.value = 0;
    field.value_name = {};
  }
  if (exit.reason_validity != Validity::kValid) exit.has_esr = exit.esr_has_high = false;
}

}  // namespace kvmtape
