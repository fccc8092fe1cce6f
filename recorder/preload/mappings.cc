#include "recorder/preload/mappings.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder/preload/interpose.h"
#include "recorder/ring/clock.h"

namespace kvmtape::preload {
namespace {

namespace next = interpose::next;

// Within kvm_run's padding1, which neither KVM nor a monitor looks at (linux/kvm.h, all versions).
constexpr size_t kMarkAt = 4;
static_assert(kMarkAt >= offsetof(kvm_run, padding1) &&
              kMarkAt + sizeof(uint32_t) <= offsetof(kvm_run, exit_reason));

// A mark in a vCPU's kvm_run for as long as it lives.
class Marked {
 public:
  explicit Marked(int fd) noexcept
      : page_(next::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) {
    if (page_ == MAP_FAILED) return;
    before_ = *place();
    mark_ = static_cast<uint32_t>(read_clock() ^ reinterpret_cast<uintptr_t>(page_) >> 4) | 1;
    if (mark_ == before_) mark_ += 2;
    *place() = mark_;
  }
  Marked(const Marked&) = delete;
  ~Marked() {
    if (page_ == MAP_FAILED) return;
    *place() = before_;
    next::munmap(page_, kPageBytes);
  }

  // Whether it shows through there. What another thread has just unmapped may not be touched: the
  // kernel looks.
  bool shows_at(void* address) const noexcept {
    if (page_ == MAP_FAILED || address == page_) return false;
    uint32_t there = 0;
    const iovec to{&there, sizeof there};
    const iovec from{static_cast<char*>(address) + kMarkAt, sizeof there};
    return ::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) == sizeof there && there == mark_;
  }

 private:
  static constexpr size_t kPageBytes = 4096;

  volatile uint32_t* place() const noexcept {
    return reinterpret_cast<volatile uint32_t*>(static_cast<char*>(page_) + kMarkAt);
  }

  void* page_;
  uint32_t before_ = 0, mark_ = 0;
};

// A line of /proc/self/maps; of another name or offset: none.
Mapping mapping_in(const char* line, const char* name) noexcept {
  constexpr char kPrefix[] = "anon_inode:";
  unsigned long begin = 0, behind = 0, offset = 1;
  const char* const named = ::strstr(line, kPrefix);
  if (named == nullptr || ::strcmp(named + sizeof kPrefix - 1, name) != 0 ||
      ::sscanf(line, "%lx-%lx %*s %lx", &begin, &behind, &offset) != 3 || offset != 0)
    return {};
  return {reinterpret_cast<void*>(begin), behind - begin};
}

}  // namespace

Mapping mapping_of(int fd, uint32_t id) noexcept {
  const int maps = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return {};
  char name[32], text[4096];
  snprintf(name, sizeof name, id == ~0u ? "kvm-vcpu" : "kvm-vcpu:%u", id);
  const Marked marked(fd);
  Mapping found;
  size_t have = 0;
  for (ssize_t got;
       found.begin == nullptr && (got = ::read(maps, text + have, sizeof text - 1 - have)) > 0;) {
    have += static_cast<size_t>(got);
    text[have] = '\0';
    char* line = text;
    for (char* end; found.begin == nullptr && (end = ::strchr(line, '\n')) != nullptr;
         line = end + 1) {
      *end = '\0';
      const Mapping mapping = mapping_in(line, name);
      if (mapping.begin != nullptr && marked.shows_at(mapping.begin)) found = mapping;
    }
    have = ::strlen(line);
    ::memmove(text, line, have);
    if (have == sizeof text - 1) have = 0;  // no line is that long
  }
  next::close(maps);
  return found;
}

}  // namespace kvmtape::preload
