// Reading that is done before it is asked for: queues of batches, each of which is filled in order,
// by threads of this object or by who waits for one. Who waits never sleeps while there is
// something to fill, so that the processors are busy whichever of them is slow.
//
// One thread waits; it makes the queues and destroys them before the ReadAhead.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kvmtape {

class ReadAhead {
 public:
  // As many threads as can be had of those; none is enough.
  explicit ReadAhead(unsigned threads = threads_worth_having());
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  class Queue {
   public:
    // `fill` fills batch 0, then 1 and so on, on one thread at a time, and returns false with the
    // last one. It does not throw. Of its batches `places` are there at a time.
    Queue(ReadAhead& ahead, uint64_t places, std::function<bool(uint64_t)> fill);
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    // Until that batch is filled: 0, 1, 2 and so on, not beyond the last. The places of those
    // before it may be filled again.
    void wait_for(uint64_t number);

   private:
    friend class ReadAhead;
    bool has_room() const { return !ended_ && filled_ - passed_ < places_; }

    ReadAhead& ahead_;
    const uint64_t places_;
    const std::function<bool(uint64_t)> fill_;
    // Under the mutex: batches filled, and passed.
    uint64_t filled_ = 0, passed_ = 0;
    bool is_filling_ = false, ended_ = false;
  };

 private:
  // Two sides of a comparison are read while somebody looks at them.
  static unsigned threads_worth_having();

  void fill_until(std::unique_lock<std::mutex>& lock, const std::function<bool()>& is_enough);
  Queue* emptiest() const;  // of those that can be filled now

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Queue*> queues_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kvmtape
