// Registers through kvm_run instead of ioctls: kvm_valid_regs asks for them at each exit,
// kvm_dirty_regs hands changed ones back.
#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(sync_regs_code, R"(
    mov $0x1234, %eax
    hlt
    mov $0x20000, %ecx
    movq %rbx, (%rcx)
    hlt
)");

namespace {

void play_sync_regs(Stage& stage) {
  Machine machine(stage);
  machine.require(KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS");
  machine.load_code(sync_regs_code);
  Vcpu& vcpu = machine.add_vcpu();
  kvm_run& run = vcpu.run();
  run.kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  stage.check(run.s.regs.regs.rax == 0x1234, "s.regs.regs.rax is not the guest's");
  run.s.regs.regs.rbx = 0x5678;
  run.kvm_dirty_regs = KVM_SYNC_X86_REGS;
  if (!vcpu.expect(KVM_EXIT_HLT)) return;
  stage.check(machine.load<uint64_t>(kDataAddress) == 0x5678,
              "the guest did not see the dirty rbx");
  stage.check(run.kvm_dirty_regs == 0, "the kernel left kvm_dirty_regs set");
}

}  // namespace

const Guest kSyncRegs = {"sync_regs", "HLT with kvm_valid_regs and kvm_dirty_regs: KVM_EXIT_HLT",
                         play_sync_regs};

}  // namespace kvmtape::x86
