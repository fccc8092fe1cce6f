#include "replayer/struct_decoder.h"

#include <algorithm>
#include <set>
#include <string>

#include "replayer/kernel_facts.h"
#include "replayer/load_integer.h"
#include "replayer/struct_rules.h"
#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

constexpr std::string_view kSyncRegs = "kvm_sync_regs";

class Expansion {
 public:
  Expansion(const KernelFacts& kernel, std::span<const uint8_t> bytes)
      : kernel_(kernel), bytes_(bytes) {}

  void add(const abi::AbiField& row, uint16_t base) {
    Field field;
    field.name = row.name;
    field.offset = static_cast<uint16_t>(base + row.offset);
    field.bytes = row.element_bytes;
    field.validity = Validity::kValid;
    if (row.form == abi::FieldForm::kBytes) field.kind = FieldKind::kBytes;
    switch (kernel_.since(row.since)) {
      case Known::kYes:
        break;
      case Known::kNo:
        field.validity = Validity::kAbsent;
        field.why = "this kernel is older than the field";
        break;
      case Known::kMaybe:
        field.validity = Validity::kUnknown;
        field.why = "it is not known whether this kernel has the field: older ones do not";
        break;
    }
    for (uint16_t element = 0; element < row.elements; ++element) {
      if (row.elements > 1) field.element = static_cast<int16_t>(element);
      fields_.push_back(field);
      load(fields_.back(), row.form);
      field.offset = static_cast<uint16_t>(field.offset + row.element_bytes);
    }
  }

  std::span<Field> fields() { return fields_; }
  std::vector<Field> finish() {
    for (Field& field : fields_)
      if (field.validity != Validity::kValid) field.value = 0;
    return std::move(fields_);
  }

 private:
  void load(Field& field, abi::FieldForm form) {
    if (size_t{field.offset} + field.bytes > bytes_.size()) {
      field.bytes = 0;
      if (field.validity == Validity::kAbsent) return;
      field.validity = Validity::kUnknown;
      field.why = "these bytes were not recorded";
      return;
    }
    if (field.kind == FieldKind::kBytes) return;
    const ByteOrder order = kernel_.context.byte_order;
    field.value = load_integer(bytes_.data() + field.offset, field.bytes, order);
    if (form == abi::FieldForm::kTopBit)
      field.value = order == ByteOrder::kBig ? field.value >> 7 : field.value & 1;
  }

  const KernelFacts& kernel_;
  std::span<const uint8_t> bytes_;
  std::vector<Field> fields_;
};

bool has_struct(std::string_view name, std::string_view variant,
                abi::ArchitectureMask architectures) {
  return std::ranges::any_of(abi::struct_fields(), [&](const abi::StructField& row) {
    return row.structure == name && row.variant == variant &&
           (row.field.architectures & architectures) != 0;
  });
}

Error no_such_variant(std::string_view variant) {
  std::string message = "no layout is called " + std::string(variant) + "; there are:";
  std::string_view last;
  for (const abi::StructField& row : abi::struct_fields()) {
    if (row.variant.empty() || row.variant == last) continue;
    last = row.variant;
    message.append(" ").append(last);
  }
  return {ErrorCode::kUsage, message, {}, {}};
}

Error no_such_struct(std::string_view name, abi::ArchitectureMask architectures) {
  std::string message = "this architecture has no struct " + std::string(name) + " that is decoded";
  std::set<std::string_view> names;  // the rows of one struct need not stand together
  for (const abi::StructField& row : abi::struct_fields())
    if (row.structure != kSyncRegs && (row.field.architectures & architectures) != 0)
      names.insert(row.structure);
  if (!names.empty()) message += "; it has:";
  for (const std::string_view each : names) message.append(" ").append(each);
  return {ErrorCode::kUsage, message, {}, {}};
}

}  // namespace

Result<std::vector<Field>> decode_struct(const DecodeContext& context, std::string_view name,
                                         std::span<const uint8_t> bytes) {
  const abi::ArchitectureMask ours = abi::mask_of(context.architecture);
  const bool known_variant =
      context.abi_variant.empty() ||
      std::ranges::any_of(abi::struct_fields(), [&context](const abi::StructField& row) {
        return row.variant == context.abi_variant;
      });
  if (!known_variant) return no_such_variant(context.abi_variant);
  // The variant is of one struct; the others have their mainline layout under it.
  std::string_view variant = context.abi_variant;
  if (!has_struct(name, variant, ours)) variant = {};
  if (name == kSyncRegs || !has_struct(name, variant, ours)) return no_such_struct(name, ours);

  const KernelFacts kernel(context);
  Expansion expansion(kernel, bytes);
  for (const abi::StructField& row : abi::struct_fields())
    if (row.structure == name && row.variant == variant && (row.field.architectures & ours) != 0)
      expansion.add(row.field, 0);
  if (name == "kvm_vcpu_events") judge_vcpu_events(expansion.fields(), {});
  if (name == "kvm_guest_debug") judge_guest_debug(expansion.fields(), context.architecture);
  return expansion.finish();
}

std::vector<Field> decode_sync_regs(const DecodeContext& context, const RawMoment& moment) {
  const uint16_t valid_at = abi::sync_offset(context.architecture);
  const uint16_t regs_at = abi::sync_regs_offset(context.architecture);
  if (moment.kvm_run.size() < regs_at) return {};

  const KernelFacts kernel(context);
  Expansion expansion(kernel, moment.kvm_run);
  for (const abi::StructField& row : abi::struct_fields())
    if (row.structure == kSyncRegs &&
        (row.field.architectures & abi::mask_of(context.architecture)) != 0)
      expansion.add(row.field, regs_at);
  const uint64_t valid_regs = load<uint64_t>(moment.kvm_run.data() + valid_at, context.byte_order);
  judge_sync_regs(expansion.fields(), context.architecture, valid_regs);
  // x86 stores them when a signal interrupts; s390 may return before it has (kvm-s390.c).
  const bool interrupted = moment.ret == -kEintr && context.architecture != Architecture::kS390x;
  if (moment.ret_known && moment.ret < 0 && !interrupted) {
    for (Field& field : expansion.fields()) {
      if (field.validity != Validity::kValid) continue;
      field.validity = Validity::kUnknown;
      field.why = "KVM_RUN failed, maybe before it stored the registers";
    }
  }
  return expansion.finish();
}

}  // namespace kvmtape
