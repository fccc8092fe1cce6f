/* The smallest monitor that records itself, in C: one vCPU in real mode writes a character to a
 * port and halts. The six lines that kvmtape asks for are marked with ->.
 *
 *     cc monitor.c $(pkg-config --cflags --libs kvmtape) -o monitor && ./monitor vm.kvmtape
 */
#include <errno.h>
#include <fcntl.h>
#include <kvmtape.h> /* -> */
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static const uint8_t kGuest[] = {
    0xb0, '!',  /* mov $'!', %al */
    0xe6, 0xe9, /* out %al, $0xe9 */
    0xf4,       /* hlt */
};
enum { kGuestAddress = 0x1000, kMemoryBytes = 0x2000 };

static int start_at(int vcpu_fd, uint64_t address) {
  struct kvm_sregs sregs;
  if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) return -1;
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  struct kvm_regs regs = {.rip = address, .rflags = 2};
  if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0) return -1;
  return ioctl(vcpu_fd, KVM_SET_REGS, &regs);
}

int main(int argc, char** argv) {
  int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  int vm_fd = kvm_fd < 0 ? -1 : ioctl(kvm_fd, KVM_CREATE_VM, 0);
  if (vm_fd < 0) {
    printf("skipped: /dev/kvm: %s\n", strerror(errno));
    return 77;
  }
  uint8_t* memory =
      mmap(NULL, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(memory + kGuestAddress, kGuest, sizeof kGuest);
  struct kvm_userspace_memory_region region = {.memory_size = kMemoryBytes,
                                               .userspace_addr = (uint64_t)(uintptr_t)memory};
  int vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
  size_t run_bytes = (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run* run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
  if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 || run == MAP_FAILED ||
      start_at(vcpu_fd, kGuestAddress) < 0) {
    perror("cannot set the vCPU up");
    return 1;
  }

  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = argc > 1 ? argv[1] : NULL;
  options.kvm_fd = kvm_fd;
  options.vm_fd = vm_fd;
  kvmtape_error error;
  kvmtape_session* session = kvmtape_open(&options, &error);               /* -> */
  if (session == NULL) fprintf(stderr, "not recording: %s\n", error.text); /* and go on */
  kvmtape_vcpu* tape = kvmtape_attach_vcpu(session, 0, vcpu_fd, run, run_bytes, &error); /* -> */

  for (int halted = 0; !halted;) {
    kvmtape_enter(tape); /* -> */
    int ret = ioctl(vcpu_fd, KVM_RUN, 0);
    kvmtape_exit(tape, ret, ret < 0 ? errno : 0); /* -> */
    if (ret < 0) break;
    if (run->exit_reason == KVM_EXIT_IO)
      printf("guest says %c\n", *((char*)run + run->io.data_offset));
    halted = run->exit_reason != KVM_EXIT_IO;
  }

  kvmtape_totals totals = {0};
  int closed = kvmtape_close(session, &totals, &error); /* -> */
  printf("%llu exits recorded\n", (unsigned long long)totals.exits);
  return closed == 0 && totals.exits == 2 ? 0 : 1;
}
