#include "recorder/ring/ring_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "recorder/ring/signal_shield.h"
#include "schema/process_start.h"

namespace kvmtape {
namespace {

uint64_t clamped(uint64_t value, uint64_t least, uint64_t most) {
  return value < least ? least : value > most ? most : value;
}

RingMemory failed_at(RingMemory::Step step, int error, int fd, const char* path) {
  if (fd >= 0) {
    ::unlink(path);
    ::close(fd);
  }
  RingMemory memory;
  memory.failed = step;
  memory.error = error;
  return memory;
}

}  // namespace

RingGeometry ring_geometry(uint64_t ring_bytes) noexcept {
  // 16 blocks: the reader gives back a sixteenth at a time, a keyframe costs 2 % of 16 KiB.
  uint64_t block = clamped(ring_bytes / 16, kBlockBytesMin, kBlockBytesMax);
  block = block / 4096 * 4096;
  return {static_cast<uint32_t>(block),
          static_cast<uint32_t>(clamped(ring_bytes / block, kBlockCountMin, 1u << 20))};
}

RingMemory make_ring_memory(const char* path, const RingSpec& spec, const Uuid& boot_id) noexcept {
  using Step = RingMemory::Step;
  const RingGeometry geometry = ring_geometry(spec.ring_bytes);
  RingMemory memory;
  memory.bytes = geometry.file_bytes();
  const SignalShield shield;
  memory.fd = ::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (memory.fd < 0) return failed_at(Step::kCreate, errno, -1, path);
  // posix_fallocate returns the error; on tmpfs it allocates the pages.
  if (int error = ::posix_fallocate(memory.fd, 0, static_cast<off_t>(memory.bytes)); error != 0)
    return failed_at(Step::kAllocate, error, memory.fd, path);
  void* start = ::mmap(nullptr, memory.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       memory.fd, 0);
  if (start == MAP_FAILED) return failed_at(Step::kMap, errno, memory.fd, path);
  auto* header = new (start) RingHeader{};
  header->version = kRingVersion;
  header->header_bytes = kRingHeaderBytes;
  header->session = spec.session;
  header->boot_id = boot_id;
  header->vcpu_index = spec.vcpu_index;
  header->vcpu_id = spec.vcpu_id;
  header->block_bytes = geometry.block_bytes;
  header->block_count = geometry.block_count;
  header->core_words = kCoreWords;
  header->overwrite = spec.overwrite ? 1 : 0;
  header->coalesce = spec.coalesce ? 1 : 0;
  set_stopped(*header, spec.stopped);
  header->writer_pid = static_cast<uint32_t>(::getpid());
  header->writer_start_time = own_start_time();
  // Last, so that a file without it is one that was never finished.
  std::atomic_ref(header->magic).store(kRingMagic, std::memory_order_release);  // pairs with mmap
  memory.header = header;
  return memory;
}

}  // namespace kvmtape
