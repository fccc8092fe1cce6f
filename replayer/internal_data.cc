#include "replayer/internal_data.h"

#include <initializer_list>

#include "replayer/arch_names/svm.h"
#include "replayer/arch_names/vmx.h"
#include "replayer/kernel_facts.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

// The same word under the three names that the code has for it: kvm_x86_ops.get_exit_info hands
// over reason, info1, info2, intr_info and error_code, which are other things on VMX and on SVM.
constexpr std::string_view kReason[] = {"exit_reason", "exit_reason", "exit_code"};
constexpr std::string_view kInfo1[] = {"info1", "exit_qualification", "exit_info_1"};
constexpr std::string_view kInfo2[] = {"info2", "vectoring_info", "exit_info_2"};
constexpr std::string_view kIntrInfo[] = {"intr_info", "intr_info", "exit_int_info"};
constexpr std::string_view kErrorCode[] = {"error_code", "error_code", "exit_int_info_err"};

// What a word is, and whose numbers it holds.
struct Place {
  std::string_view slot;
  X86Virtualization whose = X86Virtualization::kUnknown;
};

Place at(X86Virtualization whose, std::initializer_list<std::string_view> slots, uint32_t element) {
  return element < slots.size() ? Place{slots.begin()[element], whose} : Place{};
}

// prepare_emulation_failure_exit in x86.c: flags, the instruction where they say so, and since 5.16
// (e615e355894e) what get_exit_info says.
Place emulation_place(const KernelFacts& kernel, bool has_instruction, uint32_t element) {
  const uint32_t info_start = has_instruction ? 3 : 1;
  if (element < info_start || kernel.since(5, 16) != Known::kYes) return {};
  const X86Virtualization whose = kernel.context.x86_virtualization;
  const auto i = static_cast<size_t>(whose);
  return at(whose, {kReason[i], kInfo1[i], kInfo2[i], kIntrInfo[i], kErrorCode[i]},
            element - info_start);
}

// __vmx_handle_exit in vmx.c up to 6.13, kvm_prepare_event_vectoring_exit in x86.c since 6.14
// (11c98fa07a79), which SVM calls as well and which says always gpa. The last CPU came with 5.9
// (1aa561b1a4c0).
Place delivery_place(const KernelFacts& kernel, uint32_t ndata, uint32_t element) {
  constexpr auto kVmx = X86Virtualization::kVmx;
  const Known neutral = kernel.since(6, 14);
  if (ndata == 5) {
    const bool can_be_svm = neutral != Known::kNo;
    const X86Virtualization whose = can_be_svm ? kernel.context.x86_virtualization : kVmx;
    const auto i = static_cast<size_t>(whose);
    return at(whose, {kInfo2[i], kReason[i], kInfo1[i], "gpa", "last_cpu"}, element);
  }
  if (neutral == Known::kYes || ndata > 5) return {};
  const Known last_cpu = kernel.since(5, 9);
  const std::string_view fourth = last_cpu == Known::kYes  ? "last_cpu"
                                  : last_cpu == Known::kNo ? "gpa"
                                                           : std::string_view{};
  return at(kVmx, {"vectoring_info", "exit_reason", "exit_qualification", fourth}, element);
}

Place place_of(const DecodeContext& context, const Exit& exit, uint32_t element) {
  const KernelFacts kernel(context);
  const auto value = [&exit](std::string_view name) {
    const Field* field = exit.find(name);
    return field == nullptr ? 0 : field->value;  // 0 unless valid
  };
  const uint64_t ndata = value("internal.ndata");
  switch (value("internal.suberror")) {
    case kSuberrorEmulation: {
      constexpr uint64_t kFlagInstructionBytes = 1;
      const Field* flags = exit.find("emulation_failure.flags");
      if (flags == nullptr || flags->validity != Validity::kValid) return {};
      return emulation_place(kernel, (flags->value & kFlagInstructionBytes) != 0, element);
    }
    case kSuberrorSimulEx:  // handle_exception_nmi in vmx.c, and nowhere else
      return at(X86Virtualization::kVmx, {"vect_info", "intr_info", "error_code", "last_cpu"},
                element);
    case kSuberrorDeliveryEv:
      return delivery_place(kernel, static_cast<uint32_t>(ndata), element);
    case kSuberrorUnexpectedExit: {
      const X86Virtualization whose = context.x86_virtualization;
      return at(whose, {kReason[static_cast<size_t>(whose)], "last_cpu"}, element);
    }
    default:
      return {};
  }
}

}  // namespace

InternalWord internal_word(const DecodeContext& context, const Exit& exit, const Field& field) {
  if (field.element < 0) return {};
  const Place place = place_of(context, exit, static_cast<uint32_t>(field.element));
  InternalWord word{place.slot, {}};
  if (place.slot == "exit_code") {
    if (!svm_exit_code_name(field.value).empty()) word.meaning = svm_exit_code_text(field.value);
  } else if (place.whose != X86Virtualization::kVmx) {
    return word;
  } else if (place.slot == "exit_reason") {
    if (!decode_vmx_exit_reason(field.value).name.empty())
      word.meaning = vmx_exit_reason_text(field.value);
  } else if (place.slot == "vectoring_info" || place.slot == "vect_info" ||
             place.slot == "intr_info") {
    word.meaning = vmx_event_info_text(static_cast<uint32_t>(field.value));
  }
  return word;
}

}  // namespace kvmtape
