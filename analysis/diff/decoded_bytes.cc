#include "analysis/diff/decoded_bytes.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "schema/abi/registry.h"

namespace kvmtape {
namespace {

// Where a member of the union ends, in whole words.
uint16_t end_of(std::string_view member, Architecture architecture) {
  size_t end = 0;
  for (const abi::MemberField& row : abi::member_fields())
    if (row.member == member && (row.field.architectures & abi::mask_of(architecture)) != 0)
      end = std::max(end, row.field.offset + size_t{row.field.element_bytes} * row.field.elements);
  return static_cast<uint16_t>(abi::union_offset(architecture) +
                               (end + kWordBytes - 1) / kWordBytes * kWordBytes);
}

}  // namespace

// Of the most frequent exits, and of those without a payload, the decoder reads no more than that.
DecodedBytes::DecodedBytes(Architecture architecture) {
  bytes_.fill(kAll);
  for (const abi::ExitReason& reason : abi::exit_reasons())
    if (reason.number < bytes_.size() &&
        (reason.member == "io" || reason.member == "mmio" || reason.member.empty()))
      bytes_[reason.number] = end_of(reason.member, architecture);
}

bool DecodedBytes::has_same_reason(const RecordedExit& exit) {
  constexpr size_t kReasonOffset = 8;  // offsetof(struct kvm_run, exit_reason)
  constexpr size_t kEnd = kReasonOffset + sizeof exit.reason;
  return exit.kvm_run.size() >= kEnd && exit.answer_kvm_run.size() >= kEnd &&
         std::memcmp(&exit.kvm_run[kReasonOffset], &exit.answer_kvm_run[kReasonOffset],
                     sizeof exit.reason) == 0;
}

}  // namespace kvmtape
