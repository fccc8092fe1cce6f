// Code linked where Linux's is, with symbols and DWARF: what `explain` finds names, lines and a
// moved kernel in. It is never run.
__attribute__((noinline)) int panic(volatile int* why) {
  for (;;) *why += 1;
}

__attribute__((noinline)) int mount_root(volatile int* n) {
  *n ^= 5;
  return panic(n) + *n;
}

__attribute__((noinline)) int prepare_namespace(volatile int* n) {
  *n += 3;
  return mount_root(n) * 7 + *n;
}

__attribute__((noinline)) int kernel_init(volatile int* n) {
  *n -= 2;
  return prepare_namespace(n) - *n * 9;
}

int start_kernel(volatile int* n) { return kernel_init(n) + 1; }
