// KVM_INTERNAL_ERROR_DELIVERY_EV: while the processor delivered an event to the guest, it left the
// guest for something that KVM cannot handle in the middle of that, mostly because the IDT, GDT,
// TSS or the stack lies where no memory is. __vmx_handle_exit() in vmx.c, Linux 6.12.
#include <fmt/format.h>

#include <optional>
#include <string>

#include "analysis/explain/rule_tools.h"
#include "analysis/explain/rules.h"
#include "replayer/internal_data.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

class DeliveryEvent : public Rule {
 public:
  std::string_view id() const override { return "delivery-event"; }
  std::string_view about() const override {
    return "an exit in the middle of delivering an event: IDT, GDT, TSS or stack in no memory";
  }
  std::vector<std::string_view> yields_to() const override { return {"guest-panic"}; }
  void judge(const Case& all, std::vector<Finding>& findings) override {
    if (!all.crashed_by(kExitInternalError) ||
        all.crash_field("internal.suberror") != kSuberrorDeliveryEv)
      return;
    std::string event = "an event", exit_text = "an exit";
    std::optional<uint64_t> gpa;
    for (const Field& field : all.decoded_crash.exit.all_fields()) {
      if (field.name != "internal.data" || field.validity != Validity::kValid) continue;
      const InternalWord word = internal_word(all.context, all.decoded_crash.exit, field);
      if (word.slot == "vectoring_info" && !word.meaning.empty()) event = word.meaning;
      if ((word.slot == "exit_reason" || word.slot == "exit_code") && !word.meaning.empty())
        exit_text = word.meaning;
      if (word.slot == "gpa") gpa = field.value;
    }
    Finding finding = crash_finding(
        all, fmt::format("KVM met {} while the processor delivered {}", exit_text, event), 0.85);
    if (gpa && all.slots.is_outside(*gpa))
      finding.details.push_back(fmt::format(
          "guest physical {:#x} is in no memory slot: the tables or the stack are there", *gpa));
    if (const auto base = all.at_crash.get("idt.base"))
      finding.details.push_back(fmt::format(
          "IDT at {:#x} limit {:#x}, GDT at {:#x}, TSS at {:#x}, "
          "stack {:#x}",
          *base, all.at_crash.get_or("idt.limit", 0), all.at_crash.get_or("gdt.base", 0),
          all.at_crash.get_or("tr.base", 0), all.at_crash.get_or("rsp", 0)));
    finding.next =
        "see in which memory slot IDT, GDT, TSS and stack lie; a removed slot, or a stack "
        "that ran into a device's memory";
    finding.change =
        "Documentation/virt/kvm/api.rst, KVM_EXIT_INTERNAL_ERROR, suberror 3; 11c98fa07a79 (6.14) "
        "made it of SVM as well";
    finding.kernel_change = "x86-delivery-event";
    findings.push_back(std::move(finding));
  }
};

}  // namespace

std::unique_ptr<Rule> make_delivery_event_rule() { return std::make_unique<DeliveryEvent>(); }

}  // namespace kvmtape
