// What is compared side by side: each contender takes the two moments of an exit from the same kind
// of page and hands them to its own consumer. Set-up and settling are not timed.
//
// exit() and answer() are called by one thread, pinned to kProducerCpu; whatever consumes runs on
// kConsumerCpu.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace kvmtape::bench {

inline constexpr int kProducerCpu = 0;
inline constexpr int kConsumerCpu = 1;
inline constexpr size_t kCoreBytes = 288;   // header and exit union of kvm_run
inline constexpr size_t kSyncBytes = 2352;  // with the sync area
inline constexpr size_t kRingBytes = 1 << 20;

class Contender {
 public:
  virtual ~Contender() = default;
  virtual const char* name() const = 0;
  virtual void exit(int32_t ret) = 0;
  virtual void answer() = 0;
  // Until the consumer has caught up, so that the next burst finds room.
  virtual void settle() {}
  // Moments that were produced and not kept; nothing where the contender cannot tell.
  virtual std::optional<uint64_t> lost() { return 0; }
};

// A contender, or why there is none.
struct Entrant {
  std::unique_ptr<Contender> contender;
  std::string reason_skipped;
};

struct Payload {
  const uint8_t* page;  // kvm_run
  size_t page_bytes;    // of the mapping
  size_t bytes;         // of it that a peer copies: kCoreBytes or kSyncBytes
};

// `directory` is a place for files, in memory, removed by the caller.
Entrant make_nothing();  // what laying the moments down costs, and the two calls
Entrant make_plain_copy(const Payload& payload);
Entrant make_boost_queue(const Payload& payload);
Entrant make_spdlog(const Payload& payload, const std::string& directory);
Entrant make_kvmtape(const Payload& payload, const std::string& directory);
Entrant make_lttng(const Payload& payload);  // a session must run (lttng_session.h)

// The calling thread, and the threads that it starts from now on.
void pin_to(int cpu);

}  // namespace kvmtape::bench
