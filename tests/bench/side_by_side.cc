#include "tests/bench/side_by_side.h"

#include <memory>

#include "recorder/ring/clock.h"
#include "tests/bench/contender.h"
#include "tests/bench/stopwatch.h"

namespace kvmtape::bench {
namespace {

constexpr int kBursts = 61;
constexpr int kPacedBursts = 40;
constexpr size_t kPacedExits = 500;
constexpr int kColdExits = 150;
constexpr double kPaceNs = 2000;
constexpr size_t kEvictBytes = size_t{32} << 20;

struct Lane {
  explicit Lane(const Workload& workload) : page(workload) {}
  RunPage page;
  std::unique_ptr<Contender> contender;
  Standing standing;
  std::vector<double> flat_out, paced, cold;
};

double ticks_per_ns() {
  const uint64_t ns = now_ns(), ticks = read_clock();
  while (now_ns() - ns < 20'000'000) {
  }
  return static_cast<double>(read_clock() - ticks) / static_cast<double>(now_ns() - ns);
}

class Race {
 public:
  Race(const Workload& workload, size_t payload_bytes)
      : workload_(workload),
        payload_bytes_(payload_bytes),
        // What the smallest buffer of the field holds of the larger payload.
        burst_exits_(payload_bytes == kCoreBytes ? 1000 : 150),
        ticks_per_ns_(ticks_per_ns()),
        evict_(kEvictBytes / sizeof(uint64_t), 1) {}

  template <typename Make>
  void enter(const char* name, Make make, std::string reason_skipped = "") {
    auto lane = std::make_unique<Lane>(workload_);
    lane->standing.name = name;
    if (reason_skipped.empty()) {
      Entrant entrant = make(Payload{lane->page.bytes(), kRunPageBytes, payload_bytes_});
      lane->contender = std::move(entrant.contender);
      reason_skipped = std::move(entrant.reason_skipped);
    }
    lane->standing.reason_skipped = std::move(reason_skipped);
    lanes_.push_back(std::move(lane));
  }

  std::vector<Standing> run() {
    for (int i = 0; i < kBursts + 3; ++i)  // the first three warm up
      for_each_lane([&](Lane& lane) {
        const double ns = burst(lane);
        if (i >= 3) lane.flat_out.push_back(ns);
      });
    for (int i = 0; i < kPacedBursts; ++i) for_each_lane([&](Lane& lane) { paced(lane); });
    for (int i = 0; i < kColdExits; ++i) for_each_lane([&](Lane& lane) { cold(lane); });
    return conclude();
  }

 private:
  template <typename Visit>
  void for_each_lane(Visit visit) {
    for (auto& lane : lanes_)
      if (lane->contender) visit(*lane);
  }

  double burst(Lane& lane) {
    const uint64_t begin = read_clock();
    for (size_t i = 0; i < burst_exits_; ++i) {
      lane.contender->exit(lane.page.next());
      lane.page.next();
      lane.contender->answer();
    }
    const uint64_t end = read_clock();
    lane.standing.moments += 2 * burst_exits_;
    lane.contender->settle();
    return static_cast<double>(end - begin) / ticks_per_ns_ / static_cast<double>(burst_exits_);
  }

  // Both calls of one exit, each timed by itself.
  double single(Lane& lane) {
    const int32_t ret = lane.page.next();
    const uint64_t exit_begin = read_clock();
    lane.contender->exit(ret);
    const uint64_t exit_end = read_clock();
    lane.page.next();
    const uint64_t answer_begin = read_clock();
    lane.contender->answer();
    const uint64_t answer_end = read_clock();
    lane.standing.moments += 2;
    return static_cast<double>(exit_end - exit_begin + (answer_end - answer_begin)) / ticks_per_ns_;
  }

  void paced(Lane& lane) {
    const auto pace = static_cast<uint64_t>(kPaceNs * ticks_per_ns_);
    uint64_t due = read_clock();
    for (size_t i = 0; i < kPacedExits; ++i) {
      while (read_clock() < due) {
      }
      lane.paced.push_back(single(lane));
      due += pace;
    }
    lane.contender->settle();
  }

  void cold(Lane& lane) {
    for (size_t i = 0; i < evict_.size(); i += 8) ++evict_[i];
    lane.cold.push_back(single(lane));
    if (lane.cold.size() % 50 == 0) lane.contender->settle();
  }

  std::vector<Standing> conclude() {
    const Lane* nothing = nullptr;
    const Lane* own = nullptr;
    for (auto& lane : lanes_) {
      if (lane->standing.name == "nothing") nothing = lane.get();
      if (lane->standing.name == "kvmtape" && lane->contender) own = lane.get();
    }
    std::vector<Standing> standings;
    for (auto& lane : lanes_) {
      Standing& standing = lane->standing;
      if (lane.get() == nothing) continue;
      if (lane->contender) {
        std::vector<double> net, ratios;
        for (size_t i = 0; i < lane->flat_out.size(); ++i) {
          net.push_back(lane->flat_out[i] - nothing->flat_out[i]);
          if (own != nullptr) ratios.push_back((own->flat_out[i] - nothing->flat_out[i]) / net[i]);
        }
        standing.flat_out_ns = median(net);
        standing.ratio = median(ratios);
        standing.paced = quantiles(lane->paced, median(nothing->paced));
        standing.cold = quantiles(lane->cold, median(nothing->cold));
        standing.lost = lane->contender->lost();
      }
      standings.push_back(standing);
    }
    return standings;
  }

  static Quantiles quantiles(const std::vector<double>& values, double floor) {
    return {quantile(values, 0.5) - floor, quantile(values, 0.99) - floor,
            quantile(values, 0.999) - floor};
  }

  const Workload& workload_;
  size_t payload_bytes_;
  size_t burst_exits_;
  double ticks_per_ns_;
  std::vector<uint64_t> evict_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace

std::vector<Standing> compare_side_by_side(const Workload& workload, size_t payload_bytes,
                                           const std::string& directory,
                                           const std::string& reason_no_lttng) {
  pin_to(kProducerCpu);
  Race race(workload, payload_bytes);
  race.enter("nothing", [](const Payload&) { return make_nothing(); });
  race.enter("kvmtape", [&](const Payload& payload) { return make_kvmtape(payload, directory); });
  race.enter("two plain copies", make_plain_copy);
  race.enter("LTTng-UST", make_lttng, reason_no_lttng);
  race.enter("boost::lockfree::spsc_queue", make_boost_queue);
  race.enter("spdlog async",
             [&](const Payload& payload) { return make_spdlog(payload, directory); });
  return race.run();
}

const Standing* find_standing(const std::vector<Standing>& standings, const std::string& name) {
  for (const Standing& standing : standings)
    if (standing.name == name) return &standing;
  return nullptr;
}

}  // namespace kvmtape::bench
