#include "analysis/diff/read_ahead.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace kvmtape {

unsigned ReadAhead::threads_worth_having() {
  return std::min(std::max(std::thread::hardware_concurrency(), 1u) - 1, 2u);
}

ReadAhead::ReadAhead(unsigned threads) {
  try {
    threads_.reserve(threads);
    while (threads_.size() < threads)
      threads_.emplace_back([this] {
        std::unique_lock lock(mutex_);
        fill_until(lock, [this] { return stop_; });
      });
  } catch (const std::exception&) {
    // Who waits fills.
  }
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

ReadAhead::Queue* ReadAhead::emptiest() const {
  Queue* found = nullptr;
  for (Queue* queue : queues_) {
    if (queue->is_filling_ || !queue->has_room()) continue;
    if (found == nullptr || queue->filled_ - queue->passed_ < found->filled_ - found->passed_)
      found = queue;
  }
  return found;
}

void ReadAhead::fill_until(std::unique_lock<std::mutex>& lock,
                           const std::function<bool()>& is_enough) {
  while (!is_enough()) {
    Queue* const queue = emptiest();
    if (queue == nullptr) {
      changed_.wait(lock);
      continue;
    }
    const uint64_t number = queue->filled_;
    queue->is_filling_ = true;
    lock.unlock();
    const bool more = queue->fill_(number);
    lock.lock();
    queue->is_filling_ = false;
    queue->ended_ = !more;
    ++queue->filled_;
    changed_.notify_all();
  }
}

ReadAhead::Queue::Queue(ReadAhead& ahead, uint64_t places, std::function<bool(uint64_t)> fill)
    : ahead_(ahead), places_(places), fill_(std::move(fill)) {
  {
    const std::lock_guard lock(ahead_.mutex_);
    ahead_.queues_.push_back(this);
  }
  ahead_.changed_.notify_all();
}

ReadAhead::Queue::~Queue() {
  std::unique_lock lock(ahead_.mutex_);
  std::erase(ahead_.queues_, this);
  ahead_.changed_.wait(lock, [this] { return !is_filling_; });
}

void ReadAhead::Queue::wait_for(uint64_t number) {
  std::unique_lock lock(ahead_.mutex_);
  passed_ = number;
  ahead_.changed_.notify_all();
  ahead_.fill_until(lock, [&] { return filled_ > number; });
}

}  // namespace kvmtape
