// A hypercall of a guest for Xen (KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL): KVM_EXIT_XEN;
// xen.u.hcall.result becomes rax.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(xen_hypercall_intel_code, R"(
    mov $17, %eax
    vmcall
    hlt
)");

KVMTAPE_GUEST_CODE(xen_hypercall_amd_code, R"(
    mov $17, %eax
    vmmcall
    hlt
)");

namespace {

void play_xen_hypercall(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_XEN_HVM, "KVM_CAP_XEN_HVM");
  kvm_xen_hvm_config config = {};
  config.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
  config.msr = 0x40000200;  // where such a guest would ask for its hypercall page
  machine.call(KVM_XEN_HVM_CONFIG, "KVM_XEN_HVM_CONFIG", &config);
  machine.load_code(is_amd() ? xen_hypercall_amd_code : xen_hypercall_intel_code);
  Vcpu& vcpu = machine.add_vcpu();
  if (!vcpu.expect(KVM_EXIT_XEN)) return;
  auto& xen = vcpu.run().xen;
  stage.check(xen.type == KVM_EXIT_XEN_HCALL && xen.u.hcall.input == 17,
              "xen says another type or number");
  xen.u.hcall.result = 0x77;
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  stage.check(get_regs(vcpu).rax == 0x77, "the guest did not see our answer");
}

}  // namespace

const Guest kXenHypercall = {"xen_hypercall", "a Xen guest's hypercall, answered: KVM_EXIT_XEN",
                             play_xen_hypercall};

}  // namespace kvmtape::x86
