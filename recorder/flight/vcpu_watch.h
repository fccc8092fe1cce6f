// Watches one vCPU's ring for what the triggers name, without consuming anything: the decisions of
// a flight recorder are made here, on the drain's side, and never on the vCPU's thread. One thread
// at a time. What the producer overwrote before it was looked at goes unseen.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "recorder/flight/crash_slices.h"
#include "recorder/flight/trigger.h"
#include "schema/ring_reader.h"

namespace kvmtape {

struct Told {
  std::string text;                    // for people: "crash: exit 0:412, reason 17"
  std::optional<uint64_t> unanswered;  // the exit that was still waiting for its answer
};

class VcpuWatch {
 public:
  // The ring and `crashes`, which sees each record once, outlive it.
  VcpuWatch(RingHeader* ring, const Triggers& triggers, uint64_t ticks_per_second,
            CrashSlices& crashes);

  // Looks at what is new. What triggered; a condition that lasts is told once. `now` is the record
  // clock's. `has_ended` is asked of a vCPU from which nothing comes: whoever has ended is waited
  // for in vain, and that says nothing.
  std::optional<Told> look(uint64_t now, const std::function<bool()>& has_ended);
  // Exit `seq` has no answer, and has not waited for longer than a monitor takes to end.
  bool may_end_unanswered(uint64_t seq, uint64_t now) const;

  // What belongs to the last exit has come, or will not: a crash's registers, which its vCPU asks
  // for one after the other, and the guest's memory with them.
  bool settled(uint64_t now) const;
  uint64_t exits() const { return next_seq_ - lost_; }  // kept, as far as it was seen
  uint64_t passed() const { return std::max(next_seq_, reader_.next_seq()); }
  // The recording was stopped, or goes on: what came last lasts no longer.
  void forget_open(uint64_t now);
  const RingReader& reader() const { return reader_; }

 private:
  void take(std::span<const uint64_t> words, RingPosition at);
  void take_exit(std::span<const uint64_t> record);
  void take_repeat(std::span<const uint64_t> record);
  void note_moment(uint64_t tsc);
  void count_same(uint64_t count, uint64_t until);
  bool is_crash(int32_t ret) const;
  uint32_t reason() const;
  void look_how_long(uint64_t now, const std::function<bool()>& has_ended);
  void tell(std::string text, std::optional<uint64_t> unanswered = std::nullopt);
  uint64_t ticks(uint64_t ns) const;

  RingReader reader_;
  CrashSlices& crashes_;
  Triggers triggers_;
  uint64_t ticks_per_second_;
  uint32_t vcpu_index_;
  std::array<uint64_t, kCoreWords> image_{};
  uint64_t next_seq_ = 0, lost_ = 0;

  uint64_t last_tsc_ = 0;    // of the last moment
  bool exit_open_ = false;   // the last moment is an exit
  bool crash_open_ = false;  // and one of a crash
  bool asks_ = false;        // and not just a signal's, which asks nothing of the monitor
  bool slow_told_ = false, silent_told_ = false, same_told_ = false;

  // A run of exits at one place: when each `same_step_`-th of them was, the last few.
  static constexpr size_t kSameTimes = 32;
  std::array<uint64_t, 2> place_{};
  uint32_t place_reason_ = 0;
  uint64_t same_step_ = 1, same_steps_ = 1;
  uint64_t same_exits_ = 0;
  uint64_t same_tsc_ = 0;
  std::array<uint64_t, kSameTimes + 1> same_times_{};

  std::optional<RingPosition> repeat_at_;  // of the last record, if it is a repeat
  uint64_t repeat_count_ = 0;
  std::optional<Told> told_;
};

}  // namespace kvmtape
