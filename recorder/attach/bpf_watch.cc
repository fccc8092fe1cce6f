#include "recorder/attach/bpf_watch.h"

#include <attach.skel.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <string>

#include "recorder/attach/target.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

static_assert(KVMTAPE_CORE_BYTES == kCoreWords * kWordBytes);
static_assert(KVMTAPE_LARGE_DATA_BYTES == kDataBytesMax);

// The next look at the ring buffer, which holds what the fastest guest does in that time.
constexpr int kPauseMs = 2;
constexpr size_t kDataOffsetAt = 40;  // offsetof(struct kvm_run, io.data_offset)

// The last thing that libbpf complained about: its return value says only EINVAL.
std::string& last_complaint() {
  static std::string text;
  return text;
}

int note_complaint(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  std::string text = line;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.find('\n') == std::string::npos) last_complaint() = text;
  return 0;
}

// Have the programs that read by plain loads what they need?
bool has_cast() {
  btf* kernel = btf__load_vmlinux_btf();
  const bool has =
      kernel != nullptr && btf__find_by_name_kind(kernel, "bpf_rdonly_cast", BTF_KIND_FUNC) >= 0;
  btf__free(kernel);
  return has;
}

Error refused(int error, const std::string& what) {
  std::string text = "eBPF cannot be used: " + what + ": " + std::strerror(error);
  if (error == EPERM || error == EACCES)
    text += "; run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE";
  else if (!last_complaint().empty())
    text += " (" + last_complaint() + ")";
  return Error{ErrorCode::kRefused, text, {}, std::nullopt};
}

}  // namespace

void BpfWatch::Free::operator()(attach_bpf* program) const { attach_bpf__destroy(program); }
void BpfWatch::Free::operator()(ring_buffer* moments) const { ring_buffer__free(moments); }

Result<std::unique_ptr<BpfWatch>> BpfWatch::load(uint32_t pid, AnswerPoint answers,
                                                 uint32_t ring_bytes, KernelReads reads) {
  std::unique_ptr<BpfWatch> watch(new BpfWatch);
  watch->process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!watch->process_.valid())
    return refused(errno, "pidfd_open of process " + std::to_string(pid));
  watch->run_bytes_ = std::max<size_t>(host_run_bytes(), KVMTAPE_CORE_BYTES);
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return refused(errno, "/sys/kernel/btf/vmlinux (the kernel is built without BTF)");
  last_complaint().clear();
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  libbpf_set_print(note_complaint);
  watch->program_.reset(attach_bpf__open());
  if (!watch->program_) return refused(errno, "opening the program");
  struct stat numbers {};
  ::stat("/proc/self/ns/pid", &numbers);
  attach_bpf& program = *watch->program_;
  program.rodata->config = {pid, static_cast<uint32_t>(numbers.st_ino)};
  bpf_map__set_max_entries(program.maps.moments, ring_bytes);
#if !defined(__x86_64__)
  answers = AnswerPoint::kSysEnter;
#endif
  const bool by_fpu = answers == AnswerPoint::kBest;
  const bool by_cast = reads == KernelReads::kBest && has_cast();
  for (bpf_program* one : watch->programs()) bpf_program__set_autoload(one, false);
  const auto& progs = program.progs;
  bpf_program__set_autoload(by_cast ? progs.on_exit_cast : progs.on_exit, true);
  if (by_fpu)
    bpf_program__set_autoload(by_cast ? progs.on_fpu_cast : progs.on_fpu, true);
  else
    bpf_program__set_autoload(by_cast ? progs.on_sys_enter_cast : progs.on_sys_enter, true);
  if (const int error = attach_bpf__load(&program); error != 0)
    return refused(-error, "loading the program");
  watch->moments_.reset(
      ring_buffer__new(bpf_map__fd(program.maps.moments), take_moment, watch.get(), nullptr));
  if (!watch->moments_) return refused(errno, "mapping the ring buffer");
  return watch;
}

BpfWatch::~BpfWatch() = default;

// Those at KVM's tracepoints.
std::array<bpf_program*, 6> BpfWatch::programs() const {
  const auto& progs = program_->progs;
  return {progs.on_exit,      progs.on_fpu,      progs.on_sys_enter,
          progs.on_exit_cast, progs.on_fpu_cast, progs.on_sys_enter_cast};
}

Result<void> BpfWatch::record_into(kvmtape_session& session) {
  session_ = &session;
  if (const int error = attach_bpf__attach(program_.get()); error != 0)
    return refused(-error, "attaching to KVM's tracepoints");
  return {};
}

int BpfWatch::take_moment(void* watch, void* moment, size_t bytes) {
  if (bytes >= sizeof(vcpu_moment))
    static_cast<BpfWatch*>(watch)->take(*static_cast<const vcpu_moment*>(moment));
  return 0;
}

BpfWatch::Vcpu* BpfWatch::find(const vcpu_key& key) {
  const auto [entry, is_new] = vcpus_.try_emplace(Key{key.address, key.run, key.process, key.id});
  Vcpu& vcpu = entry->second;
  if (is_new) {
    vcpu.run.resize(run_bytes_ / kWordBytes);
    std::string warning;  // no memory for a ring: the exits are counted
    auto tape = session_->attach(key.id, -1, vcpu.run.data(), run_bytes_, warning);
    if (tape.ok()) vcpu.tape = *tape;
  }
  return vcpu.tape == nullptr ? nullptr : &vcpu;
}

void BpfWatch::take(const vcpu_moment& moment) {
  Vcpu* vcpu = find(moment.vcpu);
  if (vcpu == nullptr) return;
  const size_t run_bytes = moment.whole_run != 0 ? KVMTAPE_CORE_BYTES : KVMTAPE_HEAD_BYTES;
  const bool is_exit = moment.kind == MOMENT_EXIT;
  const uint64_t before = moment.exits - (is_exit ? 1 : 0);
  if (before < vcpu->exits) vcpu->exits = 0;  // one that lies where this one was
  const uint64_t missed = before - vcpu->exits;
  if (missed != 0) vcpu->tape->capture.lost_before_ring(moment.time_ns, missed);
  vcpu->exits = moment.exits;
  auto* run = reinterpret_cast<uint8_t*>(vcpu->run.data());
  const auto* told = reinterpret_cast<const uint8_t*>(&moment + 1);
  std::memcpy(run, told, run_bytes);
  uint64_t offset = 0;
  std::memcpy(&offset, run + kDataOffsetAt, sizeof offset);
  if (offset <= run_bytes_ && moment.data_bytes <= run_bytes_ - offset)
    std::memcpy(run + offset, told + run_bytes, moment.data_bytes);
  if (is_exit)
    vcpu->tape->capture.exit_at(moment.time_ns, moment.ret, -moment.ret);
  else
    vcpu->tape->capture.enter_at(moment.time_ns);
}

void BpfWatch::take_new() { ring_buffer__consume(moments_.get()); }

bool BpfWatch::step() {
  pollfd process{process_.get(), POLLIN, 0};
  const int ended = ::poll(&process, 1, kPauseMs);
  take_new();
  return ended <= 0;
}

template <typename Visit>
void BpfWatch::for_each_state(Visit visit) const {
  const int taken = bpf_map__fd(program_->maps.taken), map = bpf_map__fd(program_->maps.vcpus);
  uint32_t place = 0;
  vcpu_state state{};
  for (const uint32_t* before = nullptr; bpf_map_get_next_key(taken, before, &place) == 0;
       before = &place)
    if (bpf_map_lookup_elem(map, &place, &state) == 0 && state.watched != 0) visit(state);
}

void BpfWatch::finish() {
  attach_bpf__detach(program_.get());
  take_new();
  for_each_state([&](const vcpu_state& state) {
    Vcpu* vcpu = find(state.key);
    if (vcpu == nullptr || state.exits <= vcpu->exits) return;
    vcpu->tape->capture.lost_before_ring(monotonic_now_ns(), state.exits - vcpu->exits);
    vcpu->exits = state.exits;
  });
}

uint64_t BpfWatch::unidentified() const { return program_->bss->unidentified; }

uint64_t BpfWatch::unfollowed() const { return program_->bss->unfollowed; }

uint64_t BpfWatch::exits_seen() const {
  uint64_t exits = 0;
  for_each_state([&](const vcpu_state& state) { exits += state.exits; });
  return exits;
}

BpfWatch::ProgramTime BpfWatch::program_time() const {
  ProgramTime time;
  for (const bpf_program* program : programs()) {
    const int fd = bpf_program__fd(program);
    bpf_prog_info info{};
    uint32_t bytes = sizeof info;
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &bytes) != 0) continue;
    time.runs += info.run_cnt;
    time.ns += info.run_time_ns;
  }
  return time;
}

}  // namespace kvmtape
