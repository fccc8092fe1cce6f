// A monitor of few lines, for tests that compare a recorded run with an unrecorded one: it knows
// nothing of kvmtape, reaches KVM in the way that its first argument names, and prints every count
// that must not change. small_monitor WAY EXITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/e2e/monitor_filters.h"

namespace {

using namespace kvmtape::testing;

constexpr uint64_t kCodeAddress = 0x1000;
constexpr size_t kMemoryBytes = 0x10000;
constexpr uint8_t kPort = 0x10;
constexpr size_t kUnionEnd = offsetof(kvm_run, kvm_valid_regs);

std::string g_way;

bool way_is(const char* name) { return g_way == name; }
bool ends_in_crash() { return way_is("crash") || way_is("crash-filtered"); }

[[noreturn]] void fail(const char* what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

int kvm_call(int fd, unsigned long request, unsigned long argument) {
  if (way_is("by-number")) return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
  // As monitors do that keep requests in an int: the upper half is then all ones or anything else.
  if (way_is("signed-request"))
    return ioctl(fd, static_cast<unsigned long>(static_cast<int>(request)), argument);
  return ioctl(fd, request, argument);
}

// By an instruction of our own, as programs do that have no libc: nothing in between sees it.
long unseen_call(long number, long a, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  return syscall(number, a, b, c, d, e, f);
#endif
}

struct SmallVcpu {
  int fd = -1;
  kvm_run* run = nullptr;
  uint32_t sum = 0;                // of what the guest wrote
  std::map<uint32_t, long> exits;  // by reason
  long failed = 0;
};

struct SmallVm {
  int fd = -1;
  std::vector<SmallVcpu> vcpus;
};

// Real mode: writes AL to the port `exits` times, counting up, then halts. Or, for `crash`, jumps
// to where there is no memory, whence KVM cannot fetch an instruction to emulate; for
// `triple-fault`, does what only the table of interrupts could handle that prepare_cpu() empties;
// for `hangs`, never exits again.
std::vector<uint8_t> guest_code(uint32_t exits) {
  std::vector<uint8_t> code = {0x66, 0xb9,  0, 0, 0, 0,  // mov ecx, exits
                               0xe6, kPort,              // out port, al
                               0xfe, 0xc0,               // inc al
                               0x66, 0x49,               // dec ecx
                               0x75, 0xf8,               // jnz out
                               0xf4};                    // hlt
  memcpy(&code[2], &exits, sizeof exits);
  if (ends_in_crash()) {
    code.pop_back();
    code.insert(code.end(), {0xea, 0x00, 0x00, 0x00, 0x20});  // jmp 0x2000:0
  }
  if (way_is("triple-fault")) {
    code.pop_back();
    code.insert(code.end(), {0x0f, 0x0b});  // ud2
  }
  if (way_is("hangs")) {
    code.pop_back();
    code.insert(code.end(), {0xeb, 0xfe});  // jmp to itself
  }
  return code;
}

void prepare_cpu(int fd) {
  kvm_sregs sregs{};
  if (ioctl(fd, KVM_GET_SREGS, &sregs) != 0) fail("KVM_GET_SREGS");
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  if (way_is("triple-fault")) {  // in 16-bit protected mode: real mode has its table at 0
    sregs.cr0 |= 1;
    sregs.idt.limit = 0;
  }
  if (ioctl(fd, KVM_SET_SREGS, &sregs) != 0) fail("KVM_SET_SREGS");
  kvm_regs regs{};
  regs.rip = kCodeAddress;
  regs.rflags = 2;
  if (ioctl(fd, KVM_SET_REGS, &regs) != 0) fail("KVM_SET_REGS");
}

SmallVcpu make_vcpu(int vm, int id, size_t run_bytes) {
  SmallVcpu vcpu;
  vcpu.fd = kvm_call(vm, KVM_CREATE_VCPU, static_cast<unsigned long>(id));
  if (vcpu.fd < 0) fail("KVM_CREATE_VCPU");
  if (way_is("copied")) {  // to numbers that were never an answer of KVM's
    const int copy = fcntl(vcpu.fd, F_DUPFD_CLOEXEC, 100);
    close(vcpu.fd);
    vcpu.fd = dup2(copy, copy + 100);
    close(copy);
  }
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  void* run = nullptr;
  if (way_is("by-number"))
    run = reinterpret_cast<void*>(
        syscall(SYS_mmap, nullptr, run_bytes, kAccess, MAP_SHARED, vcpu.fd, 0));
  else if (way_is("unseen-maps"))
    run = reinterpret_cast<void*>(
        unseen_call(SYS_mmap, 0, static_cast<long>(run_bytes), kAccess, MAP_SHARED, vcpu.fd, 0));
  else
    run = mmap(nullptr, run_bytes, kAccess, MAP_SHARED, vcpu.fd, 0);
  if (run == MAP_FAILED) fail("mmap");
  vcpu.run = static_cast<kvm_run*>(run);
  if (way_is("unseen-copies")) vcpu.fd = static_cast<int>(unseen_call(SYS_dup, vcpu.fd));
  prepare_cpu(vcpu.fd);
  return vcpu;
}

SmallVm make_vm(int kvm, int vcpus, uint32_t exits) {
  SmallVm vm;
  vm.fd = kvm_call(kvm, KVM_CREATE_VM, 0);
  if (vm.fd < 0) fail("KVM_CREATE_VM");
  void* memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const std::vector<uint8_t> code = guest_code(exits);
  memcpy(static_cast<uint8_t*>(memory) + kCodeAddress, code.data(), code.size());
  kvm_userspace_memory_region region{};
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<uint64_t>(memory);
  if (ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &region) != 0) fail("memory");
  const int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  for (int id = 0; id < vcpus; ++id)
    vm.vcpus.push_back(make_vcpu(vm.fd, id, static_cast<size_t>(run_bytes)));
  return vm;
}

void run(SmallVcpu& vcpu) {
  for (;;) {
    errno = ENOTTY;  // must survive a call that succeeds
    if (kvm_call(vcpu.fd, KVM_RUN, 0) < 0) {
      ++vcpu.failed;
      if (errno == EINTR) continue;
      return;
    }
    if (errno != ENOTTY) ++vcpu.failed;
    ++vcpu.exits[vcpu.run->exit_reason];
    if (vcpu.run->exit_reason != KVM_EXIT_IO) return;
    auto* bytes = reinterpret_cast<uint8_t*>(vcpu.run);
    vcpu.sum += bytes[vcpu.run->io.data_offset];
    // Behind what port I/O is made of, where nobody looks before the crash.
    if (ends_in_crash())
      memset(bytes + 96, static_cast<int>(vcpu.exits[KVM_EXIT_IO]), kUnionEnd - 96);
  }
}

int64_t thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);  // the machine may have others to serve
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

#ifndef SMALL_MONITOR_STATIC  // where nothing is preloaded
// For `paired`: the same exits through whatever is preloaded and past it, in turn. What differs
// from one process to the next, and by the hour, is the same in both. With SMALL_MONITOR_RECORDER
// our parent is who records, and stands still meanwhile: all that it does falls into the other
// turns.
void run_in_turn(SmallVcpu& vcpu) {
  constexpr int kExitsAtATime = 3000;
  void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  using Ioctl = int (*)(int, unsigned long, ...);
  const Ioctl ways[] = {ioctl,
                        libc == nullptr ? ioctl : reinterpret_cast<Ioctl>(dlsym(libc, "ioctl"))};
  const pid_t recorder = getenv("SMALL_MONITOR_RECORDER") == nullptr ? 0 : getppid();
  int64_t ns[2] = {};
  long long exits_past = 0;  // as many went through, where EXITS is whole pairs of turns
  size_t turn = 0;           // the first of either are not counted: all is cold
  for (size_t way = 0, more = 1; more != 0; way = 1 - way, ++turn) {
    if (recorder != 0) kill(recorder, way == 0 ? SIGCONT : SIGSTOP);
    const int64_t begin = thread_ns();
    for (int i = 0; i < kExitsAtATime && more != 0; ++i) {
      more = ways[way](vcpu.fd, KVM_RUN, 0) == 0 && vcpu.run->exit_reason == KVM_EXIT_IO;
      ++vcpu.exits[vcpu.run->exit_reason];
    }
    if (more == 0 || turn <= 1) continue;
    ns[way] += thread_ns() - begin;
    if (way == 1) exits_past += kExitsAtATime;
  }
  if (recorder != 0) kill(recorder, SIGCONT);
  printf("ns through %lld past %lld of %lld exits\n", static_cast<long long>(ns[0]),
         static_cast<long long>(ns[1]), exits_past);
}
#endif

// A child that inherits a VM may not run it, and must not disturb its parent.
void let_a_child_try(SmallVm& vm) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int answer = ioctl(vm.vcpus[0].fd, KVM_RUN, 0);
    const bool refused = answer < 0 && errno == EIO;
    close_range(3, ~0u, 0);
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("child: %d\n", WEXITSTATUS(status));
}

// A child that is to start a program, and until then uses its parent's memory, puts a descriptor of
// its own where the parent has a vCPU.
void let_a_vfork_child_copy(const SmallVm& vm) {
  const pid_t child = vfork();
  if (child == 0) {
    dup2(STDIN_FILENO, vm.vcpus[0].fd);
    execl("/bin/true", "true", nullptr);
    _exit(1);
  }
  waitpid(child, nullptr, 0);
}

// More processes than anybody watches at a time, one after the other, and the VM in the last one.
void become_the_last_of_many() {
  fflush(stdout);
  for (int i = 0; i < 1100; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  }
  if (const pid_t last = fork(); last != 0) {
    int status = 0;
    waitpid(last, &status, 0);
    _exit(WEXITSTATUS(status));
  }
}

// Has had a child, and waits.
void say_who_has_ended() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  printf("child %d of %d\n", child, getpid());
  fflush(stdout);
  raise(SIGSTOP);
  _exit(7);
}

// Under a filter that was there before it was started, and forbids what recording asks for.
void start_under_a_filter(const char* exits) {
  install_filter_against({SYS_fallocate, SYS_rt_sigtimedwait, SYS_rt_sigpending});
  execl("/proc/self/exe", "small_monitor", "plain", exits, nullptr);
  fail("execl");
}

// Under one that forbids nothing that it asks for.
void run_under_a_filter(const char* command) {
  install_filter_against({SYS_reboot});
  execl("/bin/sh", "sh", "-c", command, nullptr);
  fail("execl");
}

void print(const SmallVm& vm) {
  for (const SmallVcpu& vcpu : vm.vcpus) {
    printf("sum %u failed %ld", vcpu.sum, vcpu.failed);
    for (const auto& [reason, count] : vcpu.exits) printf(" exit%u=%ld", reason, count);
    printf("\n");
  }
}

// Until somebody who wants to watch from the first exit on sends SIGCONT.
void wait_to_be_watched() {
  fflush(stdout);
  raise(SIGSTOP);
}

void run_all(SmallVm& vm) {
#ifndef SMALL_MONITOR_STATIC
  if (way_is("paired")) return run_in_turn(vm.vcpus[0]);
#endif
  if (vm.vcpus.size() == 1) return run(vm.vcpus[0]);
  std::vector<std::thread> threads;
  for (SmallVcpu& vcpu : vm.vcpus) threads.emplace_back([&vcpu] { run(vcpu); });
  for (std::thread& thread : threads) thread.join();
}

SmallVm make_and_run_by_filtered_threads(int kvm, uint32_t exits) {
  std::thread([] { install_cloud_hypervisor_api_filter(); }).join();
  SmallVm vm;
  std::thread([&] {
    install_cloud_hypervisor_vmm_filter();
    vm = make_vm(kvm, 1, exits);
    std::thread([&] {
      install_cloud_hypervisor_vcpu_filter();
      run(vm.vcpus[0]);
    }).join();
  }).join();
  return vm;
}

// Where SMALL_MONITOR_RINGS names the directory of a recorder's rings: until it has given most of
// those back that it no longer needs, for a minute at most.
void wait_for_room_of_rings() {
  const char* directory = getenv("SMALL_MONITOR_RINGS");
  for (int tries = 0; directory != nullptr && tries < 6000; ++tries) {
    int rings = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
      if (entry.path().filename().string().starts_with("vcpu-")) ++rings;
    if (rings < 8) return;
    usleep(10'000);
  }
}

// Guests that come and go, as under a monitor that serves one after the other.
[[noreturn]] void run_one_after_the_other(int kvm, uint32_t exits) {
  for (int i = 0; i < 40; ++i) {
    SmallVm vm = make_vm(kvm, 1, exits);
    run_all(vm);
    munmap(vm.vcpus[0].run, 4096);
    close(vm.vcpus[0].fd);
    close(vm.fd);
    usleep(30'000);
    wait_for_room_of_rings();
  }
  _exit(7);
}

void become_daemon() {
  fflush(stdout);
  if (fork() != 0) _exit(0);
  setsid();
  if (fork() != 0) _exit(0);
  closefrom(3);
  usleep(200'000);  // the parents are long gone when KVM is opened
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  g_way = argv[1];
  const auto exits = static_cast<uint32_t>(strtoul(argv[2], nullptr, 0));
  if (way_is("daemon")) become_daemon();
  if (way_is("child-ends")) say_who_has_ended();
  if (way_is("many-children")) become_the_last_of_many();
  if (way_is("started-filtered")) start_under_a_filter(argv[2]);
  if (way_is("runs-filtered")) run_under_a_filter(argv[2]);
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) fail("/dev/kvm");
  printf("small monitor\n");
  fflush(stdout);  // now, since it asks for things that a filter may know nothing of
  if (!way_is("filter-first") && ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
    fail("KVM_GET_API_VERSION");
  if (way_is("early-filter") || way_is("filter-first")) install_small_monitor_filter();
  if (way_is("many-vms")) run_one_after_the_other(kvm, exits);
  std::vector<SmallVm> vms;
  if (way_is("cloud-hypervisor"))
    vms.push_back(make_and_run_by_filtered_threads(kvm, exits));
  else
    vms.push_back(make_vm(kvm, way_is("two-vcpus") ? 2 : 1, exits));
  const bool with_unseen = way_is("unseen-maps") || way_is("unseen-copies") || way_is("vfork");
  if (way_is("two-vms") || with_unseen) vms.push_back(make_vm(kvm, 1, exits));
  if (with_unseen) std::reverse(vms.begin(), vms.end());  // which was made last runs first
  if (way_is("vfork")) let_a_vfork_child_copy(vms[1]);
  if (way_is("fork")) let_a_child_try(vms[0]);
  if (getenv("SMALL_MONITOR_STOP") != nullptr) wait_to_be_watched();
  if (way_is("filter") || way_is("crash-filtered")) install_run_loop_filter();
  const int64_t begin = thread_ns();
  for (SmallVm& vm : vms)
    if (!way_is("cloud-hypervisor")) run_all(vm);
  const int64_t end = thread_ns();
  for (const SmallVm& vm : vms) print(vm);
  if (way_is("timed")) printf("ns %lld\n", static_cast<long long>(end - begin));
  for (SmallVm& vm : vms)
    for (SmallVcpu& vcpu : vm.vcpus) {
      munmap(vcpu.run, 4096);
      close(vcpu.fd);
    }
  fflush(stdout);
  if (const char* seconds = getenv("SMALL_MONITOR_LINGER"))
    sleep(static_cast<unsigned>(atoi(seconds)));
  if (way_is("killed")) kill(getpid(), SIGKILL);
  _exit(7);
}
