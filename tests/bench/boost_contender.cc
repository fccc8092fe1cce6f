// boost::lockfree::spsc_queue of the ring's size: the queue alone, with a consumer that sleeps 200
// us and drains in batches, and throws away what it got.
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstring>
#include <thread>

#include "recorder/ring/clock.h"
#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

template <size_t kBytes>
class BoostQueue final : public Contender {
 public:
  explicit BoostQueue(const uint8_t* page) : page_(page), queue_(kRingBytes / sizeof(Row)) {
    pin_to(kConsumerCpu);
    consumer_ = std::thread([this] { consume(); });
    pin_to(kProducerCpu);
  }
  ~BoostQueue() override {
    stop_ = true;
    consumer_.join();
  }
  const char* name() const override { return "boost::lockfree::spsc_queue"; }
  void exit(int32_t) override { push(); }
  void answer() override { push(); }
  void settle() override { ::usleep(1000); }
  std::optional<uint64_t> lost() override { return lost_; }

 private:
  struct Row {
    uint64_t tsc;
    std::array<uint8_t, kBytes> bytes;
  };

  void push() {
    Row row;
    row.tsc = read_clock();
    std::memcpy(row.bytes.data(), page_, kBytes);
    if (!queue_.push(row)) ++lost_;
  }
  void consume() {
    uint64_t sum = 0;
    while (!stop_) {
      queue_.consume_all([&](const Row& row) { sum += row.tsc; });
      ::usleep(200);
    }
    asm volatile("" : : "r"(sum));
  }

  // Producer.
  const uint8_t* page_;
  uint64_t lost_ = 0;
  // Both ends.
  boost::lockfree::spsc_queue<Row> queue_;
  std::atomic<bool> stop_{false};
  std::thread consumer_;
};

}  // namespace

Entrant make_boost_queue(const Payload& payload) {
  if (payload.bytes == kCoreBytes)
    return {std::make_unique<BoostQueue<kCoreBytes>>(payload.page), ""};
  return {std::make_unique<BoostQueue<kSyncBytes>>(payload.page), ""};
}

}  // namespace kvmtape::bench
