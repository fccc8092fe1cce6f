// What a validity rule sees of one moment, and the only things that it may do to a field.
// The decoder has filled `exit` with every row of the tables as if the kernel had written all of
// it; rules then take back what it did not. A field that is absent or was not recorded stays so.
#pragma once

#include <string_view>

#include "replayer/exit.h"
#include "replayer/kernel_facts.h"
#include "replayer/raw_moment.h"

namespace kvmtape {

struct RuleView {
  const KernelFacts& kernel;
  const RawMoment& moment;
  Exit& exit;

  // From the union's start; 0 when those bytes were not recorded.
  uint8_t u8(size_t offset) const { return load_at<uint8_t>(kernel.union_offset + offset); }
  uint16_t u16(size_t offset) const { return load_at<uint16_t>(kernel.union_offset + offset); }
  uint32_t u32(size_t offset) const { return load_at<uint32_t>(kernel.union_offset + offset); }
  uint64_t u64(size_t offset) const { return load_at<uint64_t>(kernel.union_offset + offset); }

  // The monitor asked KVM_RUN to return at once: 460df4c1fc7c, in 4.11; KVM never writes it.
  bool immediate_exit() const { return load_at<uint8_t>(1) != 0; }

  template <typename T>
  T load_at(size_t offset) const {
    if (moment.kvm_run.size() < sizeof(T) || offset > moment.kvm_run.size() - sizeof(T)) return 0;
    return load<T>(moment.kvm_run.data() + offset, kernel.context.byte_order);
  }

  std::span<const Field> fields() const { return exit.all_fields(); }

  // The same field, to be changed, which the decoder has to know of.
  Field& edit(const Field& field) const {
    const auto number = static_cast<size_t>(&field - exit.fields.data());
    exit.changed_fields |= uint64_t{1} << number;
    return exit.fields[number];
  }
  // One more field behind the others, all of it at its defaults; nullptr: no room.
  Field* append() const {
    if (exit.field_count == kExitFieldsMax) return nullptr;
    Field& field = edit(exit.fields[exit.field_count++]);
    field = Field{};
    return &field;
  }
  // Takes a field's validity back.
  void mark(const Field& field, Validity validity, std::string_view why) const {
    const bool not_recorded = field.bytes == 0 && field.validity == Validity::kUnknown;
    if ((not_recorded && !field.in_data) || field.validity == Validity::kAbsent) return;
    judge(field, validity, why);
  }
  // Says what a field's validity is, whatever it was.
  void judge(const Field& field, Validity validity, std::string_view why) const {
    Field& changed = edit(field);
    changed.validity = validity;
    changed.why = why;
    if (validity == Validity::kValid) return;
    changed.value = 0;
    changed.value_name = {};
  }
  // The same for every field, or every element of the list, of this name.
  void mark(std::string_view name, Validity validity, std::string_view why) const {
    for (const Field& field : fields())
      if (field.name == name) mark(field, validity, why);
  }
  void mark_all(Validity validity, std::string_view why, size_t from = 0) const {
    for (const Field& field : fields().subspan(from)) mark(field, validity, why);
  }
  // Drops every field whose name begins so: another view of the same bytes holds.
  void drop(std::string_view prefix) const {
    uint8_t kept = 0;
    for (const Field& field : fields())
      if (!field.name.starts_with(prefix)) exit.fields[kept++] = field;
    exit.field_count = kept;
    exit.plan_id = 0;  // they are no longer where they were planned
    exit.changed_fields = kAllFields;
  }
  // What the monitor is to fill in, and KVM has not: stale when the exit arrives, valid in the
  // answer. A default that KVM wrote in its place (riscv_sbi.ret, tdx.get_quote.ret) is valid at
  // the exit too, since valid means that this kernel wrote it for this exit. The data of a read is
  // stale until it is answered whatever stands there, a 0 of KVM's in msr.data as well.
  void mark_read(std::string_view name, std::string_view why) const {
    if (!moment.is_answer) mark(name, Validity::kStale, why);
  }
};

}  // namespace kvmtape
