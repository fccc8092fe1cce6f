#include "recorder/preload/rings.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "recorder/preload/interpose.h"
#include "recorder/preload/shared_session.h"
#include "schema/trace_format.h"

namespace kvmtape::preload {
namespace {

// Guarded by the set-up lock.
RingMemory g_spares[kSpareRingsMax];
uint32_t g_spare_count = 0;

// As `spec` says, or smaller where a flight recorder makes do with less.
RingMemory make_within_cap(const char* name, RingSpec spec, RecordControl& control) noexcept {
  char path[PATH_MAX];
  RingMemory memory;
  if (!path_in_session(name, path, sizeof path)) return memory;
  for (;; spec.ring_bytes /= 2) {
    const uint64_t bytes = ring_geometry(spec.ring_bytes).file_bytes();
    // relaxed: a sum that nothing else hangs on
    if (control.ring_bytes_used.fetch_add(bytes, std::memory_order_relaxed) + bytes <=
        control.ring_bytes_total)
      memory = make_ring_memory(path, spec, control.boot_id);
    if (memory.header != nullptr) {
      interpose::next::close(memory.fd);
      return memory;
    }
    control.ring_bytes_used.fetch_sub(bytes, std::memory_order_relaxed);  // relaxed: as above
    if (control.flight == 0 || spec.ring_bytes <= kRingBytesMin) return memory;
  }
}

RingSpec spec_of(const RecordControl& control) noexcept {
  RingSpec spec;
  spec.ring_bytes = control.ring_bytes;
  spec.overwrite = control.overwrite != 0;
  spec.coalesce = control.flight != 0;
  // relaxed: `record` says it once more of every ring that it takes
  spec.stopped = control.stopped.load(std::memory_order_relaxed) != 0;
  return spec;
}

uint32_t next_index(RecordControl& control) noexcept {
  return control.next_index.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
}

// Where it is still the last: a recording holds no more than kVcpusMax.
void give_back_index(uint32_t index, RecordControl& control) noexcept {
  uint32_t next = index + 1;
  // relaxed: a count
  control.next_index.compare_exchange_strong(next, index, std::memory_order_relaxed);
}

}  // namespace

RingMemory make_ring(uint32_t vcpu_id, RecordControl& control) noexcept {
  RingSpec spec = spec_of(control);
  spec.session = control.session;
  spec.vcpu_index = next_index(control);
  spec.vcpu_id = vcpu_id;
  if (!control.filter.has_vcpu(vcpu_id)) spec.ring_bytes = kRingBytesMin;  // stays empty
  char name[32];
  snprintf(name, sizeof name, "vcpu-%u.ring", spec.vcpu_index);
  RingMemory memory;
  // Those that are only counted get numbers, too.
  if (spec.vcpu_index < kVcpusWithRingMax) memory = make_within_cap(name, spec, control);
  if (memory.header == nullptr) give_back_index(spec.vcpu_index, control);
  return memory;
}

RingMemory take_spare_ring(uint32_t vcpu_id, RecordControl& control) noexcept {
  if (g_spare_count == 0) return {};
  const RingMemory memory = g_spares[--g_spare_count];
  memory.header->vcpu_index = next_index(control);
  memory.header->vcpu_id = vcpu_id;
  // relaxed: as in spec_of(); it was made some time ago
  set_stopped(*memory.header, control.stopped.load(std::memory_order_relaxed) != 0);
  memory.header->session = control.session;  // now it is one of the recording's
  return memory;
}

void make_spare_rings(uint32_t count, RecordControl& control) noexcept {
  if (count > kSpareRingsMax) count = kSpareRingsMax;
  for (uint32_t i = 0; i < count; ++i) {
    char name[48];
    snprintf(name, sizeof name, "spare-%d-%u.ring", ::getpid(), i);
    g_spares[g_spare_count] = make_within_cap(name, spec_of(control), control);
    if (g_spares[g_spare_count].header == nullptr) return;
    ++g_spare_count;
  }
}

void forget_spare_rings() noexcept { g_spare_count = 0; }

}  // namespace kvmtape::preload
