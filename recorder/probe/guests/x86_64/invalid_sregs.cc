// A state that KVM_SET_SREGS itself refuses: paging without protection. Refused with EINVAL is what
// a kernel since 4.20 should say; an older one would take it and fail the entry.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(invalid_sregs_code, R"(
    hlt
)");

namespace {

constexpr uint64_t kCr0Paging = 1u << 31;

void play_invalid_sregs(Stage& stage) {
  Machine machine(stage);
  machine.load_code(invalid_sregs_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_sregs sregs = get_sregs(vcpu);
  sregs.cr0 = kCr0Paging;
  set_sregs(vcpu, sregs);
  vcpu.expect(KVM_EXIT_FAIL_ENTRY);
}

}  // namespace

const Guest kInvalidSregs = {"invalid_sregs",
                             "cr0.PG without cr0.PE: KVM_SET_SREGS refuses, or KVM_EXIT_FAIL_ENTRY",
                             play_invalid_sregs};

}  // namespace kvmtape::x86
