#include "analysis/decoded_exit.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/exit_label.h"

namespace kvmtape {

RawMoment exit_moment(const RecordedExit& recorded, const DecodeContext& context) {
  return {.kvm_run = recorded.kvm_run,
          .data = recorded.data,
          .ret = recorded.ret,
          .ret_known = context.ret_recorded,
          .reason_is_new = recorded.reason_is_new};
}

RawMoment answer_moment(const RecordedExit& recorded, const DecodeContext& context) {
  return {.kvm_run = recorded.answer_kvm_run,
          .data = recorded.answer_data,
          .ret = recorded.ret,
          .ret_known = context.ret_recorded,
          .is_answer = true,
          .reason_is_new = recorded.reason_is_new};
}

void decode_both(const ExitDecoder& decoder, const RecordedExit& recorded, DecodedExit& decoded) {
  decoded.moment = exit_moment(recorded, decoder.context());
  decoder.decode(decoded.moment, decoded.exit);
  decoded.has_answer = recorded.has_answer;
  if (!recorded.has_answer) return;
  decoded.answer_moment = answer_moment(recorded, decoder.context());
  decoder.decode(decoded.answer_moment, decoded.answer);
}

Esr esr_of(const Exit& exit) {
  if (exit.name == "KVM_EXIT_ARM_NISV") return decode_arm_nisv(exit.esr);
  if (exit.name == "KVM_EXIT_ARM_LDST64B") return decode_arm_ldst64b(exit.esr);
  if (exit.name == "KVM_EXIT_ARM_SEA") return decode_arm_sea(exit.esr);
  return decode_esr(exit.esr, exit.esr_has_high);
}

std::string name_of(const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  if (exit.reason_validity == Validity::kStale || !exit.reason_recorded) return "KVM_RUN";
  return exit.name.empty() ? fmt::format("KVM_EXIT_{}", exit.reason) : std::string(exit.name);
}

bool same_name(const DecodedExit& a, const DecodedExit& b) {
  const auto is_nameless = [](const Exit& exit) {
    return exit.reason_validity == Validity::kStale || !exit.reason_recorded;
  };
  if (is_nameless(a.exit) || is_nameless(b.exit)) return is_nameless(a.exit) == is_nameless(b.exit);
  return a.exit.reason == b.exit.reason;
}

bool differs_in_answer(const DecodedExit& decoded, const Field& in_answer) {
  // Of the same reason both have it at the same place, nearly always.
  const auto number = static_cast<size_t>(&in_answer - decoded.answer.fields.data());
  const Field* before = number < decoded.exit.field_count ? &decoded.exit.fields[number] : nullptr;
  if (before == nullptr || before->name.data() != in_answer.name.data() ||
      before->name.size() != in_answer.name.size() || before->element != in_answer.element)
    before = decoded.exit.find(in_answer.name, in_answer.element);
  if (before == nullptr || before->validity != in_answer.validity) return true;
  if (in_answer.validity == Validity::kValid && in_answer.kind != FieldKind::kBytes &&
      before->bytes == in_answer.bytes)
    return before->value != in_answer.value;
  return !std::ranges::equal(raw_bytes(*before, decoded.moment),
                             raw_bytes(in_answer, decoded.answer_moment));
}

std::string text_of(const ExitDecoder& decoder, const DecodedExit& decoded) {
  const bool failed = decoded.moment.ret < 0;
  const std::string failure =
      failed ? fmt::format("failed: {}; ", errno_name(errno_of(decoded.moment.ret)))
             : std::string();
  // Nobody knows whose exit_reason it is, and so which fields there are.
  if (failed && decoded.exit.reason_validity == Validity::kUnknown)
    return failure + std::string(decoded.exit.reason_why);
  const auto learnt = [&](const Field& field) {
    if (field.validity != Validity::kValid) return false;
    if (field.name == "msr.error" && field.value != 0) return true;
    const Field* before = decoded.exit.find(field.name, field.element);
    return before != nullptr && before->validity == Validity::kStale;
  };
  const bool answer_says_more = decoded.has_answer && !failed &&
                                decoded.answer.reason == decoded.exit.reason &&
                                std::ranges::any_of(decoded.answer.all_fields(), learnt);
  const std::string text = answer_says_more
                               ? exit_text(decoder.context(), decoded.answer_moment, decoded.answer)
                               : exit_text(decoder.context(), decoded.moment, decoded.exit);
  return failure + text;
}

}  // namespace kvmtape
