// What a validity rule sees of one moment, and the only three things that it may do to a field.
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

  template <typename T>
  T load_at(size_t offset) const {
    if (moment.kvm_run.size() < sizeof(T) || offset > moment.kvm_run.size() - sizeof(T)) return 0;
    return load<T>(moment.kvm_run.data() + offset, kernel.context.byte_order);
  }

  // Takes a field's validity back.
  void mark(Field& field, Validity validity, std::string_view why) const {
    const bool not_recorded = field.bytes == 0 && field.validity == Validity::kUnknown;
    if ((not_recorded && !field.in_data) || field.validity == Validity::kAbsent) return;
    field.take_back(validity, why);
  }
  // The same for every field, or every element of the list, of this name.
  void mark(std::string_view name, Validity validity, std::string_view why) const {
    for (Field& field : exit.all_fields())
      if (field.name == name) mark(field, validity, why);
  }
  void mark_all(Validity validity, std::string_view why, size_t from = 0) const {
    for (Field& field : exit.all_fields().subspan(from)) mark(field, validity, why);
  }
  // Drops every field whose name begins so: another view of the same bytes holds.
  void drop(std::string_view prefix) const {
    uint8_t kept = 0;
    for (const Field& field : exit.all_fields())
      if (!field.name.starts_with(prefix)) exit.fields[kept++] = field;
    exit.field_count = kept;
  }
  // Data that the monitor is to fill in: stale when the exit arrives, valid in the answer.
  void mark_read(std::string_view name, std::string_view why) const {
    if (!moment.is_answer) mark(name, Validity::kStale, why);
  }
};

}  // namespace kvmtape
