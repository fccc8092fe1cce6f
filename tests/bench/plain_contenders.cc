// The floor: nothing at all, and a copy with a timestamp into a ring that nobody reads.
#include <sched.h>

#include <cstring>
#include <vector>

#include "recorder/ring/clock.h"
#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

class Nothing final : public Contender {
 public:
  const char* name() const override { return "nothing"; }
  void exit(int32_t) override {}
  void answer() override {}
};

template <size_t kBytes>
class PlainCopy final : public Contender {
 public:
  explicit PlainCopy(const uint8_t* page) : page_(page), ring_(kRingBytes) {}
  const char* name() const override { return "two plain copies"; }
  void exit(int32_t) override { copy(); }
  void answer() override { copy(); }

 private:
  void copy() {
    uint8_t* to = ring_.data() + at_;
    const uint64_t tsc = read_clock();
    std::memcpy(to, &tsc, sizeof tsc);
    std::memcpy(to + sizeof tsc, page_, kBytes);
    asm volatile("" : : "r"(to) : "memory");
    at_ += sizeof tsc + kBytes;
    if (at_ + sizeof tsc + kBytes > ring_.size()) at_ = 0;
  }

  const uint8_t* page_;
  std::vector<uint8_t> ring_;
  size_t at_ = 0;
};

}  // namespace

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

Entrant make_nothing() { return {std::make_unique<Nothing>(), ""}; }

Entrant make_plain_copy(const Payload& payload) {
  if (payload.bytes == kCoreBytes)
    return {std::make_unique<PlainCopy<kCoreBytes>>(payload.page), ""};
  return {std::make_unique<PlainCopy<kSyncBytes>>(payload.page), ""};
}

}  // namespace kvmtape::bench
