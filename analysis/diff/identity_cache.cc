#include "analysis/diff/identity_cache.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "analysis/diff/hash.h"
#include "schema/abi/registry.h"
#include "schema/base/byte_cursor.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

// What lies behind are registers, of which no identity is made.
constexpr uint16_t kCoreBytes = kCoreWordsS390 * kWordBytes;
constexpr uint32_t kAnyReason = ~uint32_t{0};

// Where a member of the union ends, in whole words.
uint16_t end_of(std::string_view member, Architecture architecture) {
  size_t end = 0;
  for (const abi::MemberField& row : abi::member_fields())
    if (row.member == member && (row.field.architectures & abi::mask_of(architecture)) != 0)
      end = std::max(end, row.field.offset + size_t{row.field.element_bytes} * row.field.elements);
  return static_cast<uint16_t>(abi::union_offset(architecture) +
                               (end + kWordBytes - 1) / kWordBytes * kWordBytes);
}

// The monitor may have left another one in its answer.
bool has_same_reason(const RecordedExit& exit) {
  constexpr size_t kReasonOffset = 8;  // offsetof(struct kvm_run, exit_reason)
  constexpr size_t kEnd = kReasonOffset + sizeof exit.reason;
  return exit.kvm_run.size() >= kEnd && exit.answer_kvm_run.size() >= kEnd &&
         std::memcmp(&exit.kvm_run[kReasonOffset], &exit.answer_kvm_run[kReasonOffset],
                     sizeof exit.reason) == 0;
}

}  // namespace

// Of the most frequent exits, and of those without a payload, the decoder reads no more than that.
IdentityCache::IdentityCache(Architecture architecture) {
  compared_bytes_.fill(kCoreBytes);
  for (const abi::ExitReason& reason : abi::exit_reasons())
    if (reason.number < compared_bytes_.size() &&
        (reason.member == "io" || reason.member == "mmio" || reason.member.empty()))
      compared_bytes_[reason.number] = end_of(reason.member, architecture);
}

std::span<const uint8_t> IdentityCache::compared(uint32_t reason,
                                                 std::span<const uint8_t> kvm_run) const {
  const size_t bytes = reason < compared_bytes_.size() ? compared_bytes_[reason] : kCoreBytes;
  return kvm_run.first(std::min(kvm_run.size(), bytes));
}

uint64_t IdentityCache::hash_of(const RecordedExit& exit, uint64_t state) const {
  uint64_t hash = fold(state, static_cast<uint32_t>(exit.ret) | uint64_t{exit.reason_is_new} << 32);
  hash = fold(hash, uint64_t{exit.kvm_run.size()} << 32 | exit.data.size());
  hash = fold(hash, hash_bytes(compared(exit.reason, exit.kvm_run)));
  hash = fold(hash, hash_bytes(exit.data));
  if (exit.has_answer) {
    hash = fold(hash, uint64_t{exit.answer_data.size()} << 1 | 1);
    const uint32_t reason = has_same_reason(exit) ? exit.reason : kAnyReason;
    hash = fold(hash, hash_bytes(compared(reason, exit.answer_kvm_run)));
    hash = fold(hash, hash_bytes(exit.answer_data));
  }
  return hash == 0 ? 1 : hash;  // 0: nothing is known there
}

}  // namespace kvmtape
