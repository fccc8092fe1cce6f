#include "recorder/probe/vcpu.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "recorder/probe/arch.h"
#include "recorder/probe/completion.h"
#include "recorder/probe/exit_name.h"
#include "recorder/probe/machine.h"
#include "recorder/probe/noted_ioctl.h"
#include "schema/base/check.h"

namespace kvmtape {
namespace {

constexpr size_t kStandInBytes = 3 * kPageBytes;  // kvm_run, port-I/O data, coalesced ring
constexpr uint8_t kPoison = 0xaa;

// Pages to stand in for a vCPU that could not be made.
void* map_zeros(size_t bytes) {
  void* zeros = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  KVMTAPE_CHECK(zeros != MAP_FAILED);
  return zeros;
}

}  // namespace

Vcpu::Vcpu(Stage& stage, int vm_fd, unsigned id) : stage_(stage), id_(id) {
  fd_.reset(noted_ioctl(stage_, {KVMTAPE_VM, vm_fd, nullptr, KVM_CREATE_VCPU, "KVM_CREATE_VCPU"},
                        uint64_t{id}));
  const int mmap_bytes = ioctl(stage_.kvm_fd(), KVM_GET_VCPU_MMAP_SIZE, 0);
  run_bytes_ = mmap_bytes > 0 ? static_cast<size_t>(mmap_bytes) : kStandInBytes;
  void* run = fd_.valid() ? mmap(nullptr, run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0)
                          : map_zeros(run_bytes_);
  if (run == MAP_FAILED) {
    stage_.refuse(fmt::format("mmap of the vCPU: {}", errno_name(errno)));
    run = map_zeros(run_bytes_);
  }
  run_ = static_cast<kvm_run*>(run);
  // Also where it could not be made: a guest then has the same vCPUs of the recording on every
  // kernel, and two kernels' recordings can be compared vCPU by vCPU.
  kvmtape_error error = {};
  tape_ = kvmtape_attach_vcpu(stage_.session(), id_, fd(), run_, run_bytes_, &error);
}

Vcpu::~Vcpu() { munmap(run_, run_bytes_); }

uint8_t* Vcpu::page(size_t index) {
  KVMTAPE_CHECK((index + 1) * kPageBytes <= run_bytes_);
  return reinterpret_cast<uint8_t*>(run_) + index * kPageBytes;
}

bool Vcpu::call_bytes(unsigned long request, const char* name, void* payload, size_t bytes) {
  return noted_ioctl(stage_, {KVMTAPE_VCPU, fd(), tape_, request, name}, payload, bytes) >= 0;
}

bool Vcpu::call_value(unsigned long request, const char* name, uint64_t value) {
  return noted_ioctl(stage_, {KVMTAPE_VCPU, fd(), tape_, request, name}, value) >= 0;
}

void Vcpu::enable_cap(unsigned capability, const char* name, uint64_t argument) {
  kvm_enable_cap enable = {};
  enable.cap = capability;
  enable.args[0] = argument;
  call(KVM_ENABLE_CAP, fmt::format("KVM_ENABLE_CAP({})", name).c_str(), &enable);
}

int Vcpu::run_once() {
  if (!stage_.going() || !stage_.count_exit()) return last_ret_ = -1;
  kvmtape_enter(tape_);  // the answer as it was given
  if (stage_.poison()) poison();
  const int ret = ioctl(fd(), KVM_RUN, 0);
  const int error_number = ret < 0 ? errno : 0;
  kvmtape_exit(tape_, ret, error_number);
  ran_ = true;
  last_ret_ = ret;
  last_error_ = error_number;
  return ret;
}

bool Vcpu::expect(uint32_t exit_reason) {
  if (!stage_.going()) return false;
  const int ret = run_once();
  if (ret >= 0 && run_->exit_reason == exit_reason) return true;
  stage_.differ(fmt::format("gave {} instead of {} at KVM_RUN {}", describe_last(),
                            exit_reason_name(exit_reason), stage_.exits()));
  return false;
}

bool Vcpu::expect_error(int error_number) {
  if (!stage_.going()) return false;
  if (run_once() < 0 && last_error_ == error_number) return true;
  stage_.differ(fmt::format("gave {} instead of {} from KVM_RUN at KVM_RUN {}", describe_last(),
                            errno_name(error_number), stage_.exits()));
  return false;
}

std::string Vcpu::describe_last() const {
  if (last_ret_ < 0) {
    return fmt::format("{} from KVM_RUN ({})", errno_name(last_error_),
                       exit_reason_name(run_->exit_reason));
  }
  const std::string name = exit_reason_name(run_->exit_reason);
  switch (run_->exit_reason) {
    case KVM_EXIT_IO:
      return fmt::format("{} (port {:#x})", name, run_->io.port);
    case KVM_EXIT_MMIO:
      return fmt::format("{} ({:#x}, {} bytes)", name, run_->mmio.phys_addr, run_->mmio.len);
    case KVM_EXIT_INTERNAL_ERROR:
      return fmt::format("{} (suberror {})", name, run_->internal.suberror);
    case KVM_EXIT_FAIL_ENTRY:
      return fmt::format("{} ({:#x})", name, run_->fail_entry.hardware_entry_failure_reason);
    default:
      return name;
  }
}

// Every byte of kvm_run that the kernel does not read on the way in.
void Vcpu::poison() {
  const kvm_run before = *run_;
  uint8_t* bytes = reinterpret_cast<uint8_t*>(run_);
  const auto fill = [bytes](size_t begin, size_t end) {
    std::memset(bytes + begin, kPoison, end - begin);
  };
  // request_interrupt_window and immediate_exit are read: begin behind them. cr8 and apic_base are
  // input as well (Documentation/virt/kvm/api.rst, 5), and so is all from kvm_valid_regs to `s`.
  fill(offsetof(kvm_run, padding1), offsetof(kvm_run, cr8));
  fill(offsetof(kvm_run, hw), offsetof(kvm_run, kvm_valid_regs));
  if (run_->kvm_dirty_regs == 0) fill(offsetof(kvm_run, s) + sync_bytes_read(), sizeof(kvm_run));
  if (!ran_ || last_ret_ < 0) return;
  for (const ByteRange& read : bytes_read_to_complete(before)) {
    std::memcpy(bytes + read.begin, reinterpret_cast<const uint8_t*>(&before) + read.begin,
                read.end - read.begin);
  }
}

}  // namespace kvmtape
