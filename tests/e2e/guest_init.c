// The one program of the initramfs that guest_kernel_test boots: says that it runs, and ends the
// machine.
#include <sys/reboot.h>
#include <unistd.h>

int main(void) {
  static const char text[] = "the guest's own program runs\n";
  if (write(STDOUT_FILENO, text, sizeof text - 1) < 0) return 1;
  return reboot(RB_AUTOBOOT);
}
