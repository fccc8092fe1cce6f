#include "tests/bench/recordings.h"

#include <time.h>
#include <filesystem>

#include <memory>
#include <thread>
#include <vector>

#include "recorder/kvmtape.h"
#include "tests/bench/stopwatch.h"

namespace kvmtape::bench {
namespace {

constexpr uint64_t kTickNs = 1'000'000;

void sleep_until(uint64_t ns) {
  const timespec due{static_cast<time_t>(ns / 1'000'000'000),
                     static_cast<long>(ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
}

void produce(kvmtape_vcpu* vcpu, RunPage& page, uint64_t exits, uint64_t exits_per_tick) {
  uint64_t due = now_ns();
  for (uint64_t done = 0; done < exits;) {
    const uint64_t upto = std::min(exits, done + exits_per_tick);
    for (; done < upto; ++done) {
      const int32_t ret = page.next();
      kvmtape_exit(vcpu, ret < 0 ? -1 : 0, -ret);
      page.next();
      kvmtape_enter(vcpu);
    }
    due += kTickNs;
    if (due > now_ns()) sleep_until(due);
  }
}

}  // namespace

Recording record_at_rate(const Workload& workload, const std::string& directory,
                         const std::string& trace_name, unsigned threads, double rate,
                         uint64_t exits) {
  Recording recording;
  const std::string path = directory + "/" + trace_name;
  const std::string rings = directory + "/rings";
  std::filesystem::create_directory(rings);
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  options.force = 1;
  options.ring_directory = rings.c_str();
  options.ring_bytes = size_t{16} << 20;
  kvmtape_error error;
  kvmtape_session* session = kvmtape_open(&options, &error);
  if (session == nullptr) {
    recording.error = error.text;
    return recording;
  }
  std::vector<std::unique_ptr<RunPage>> pages;
  std::vector<kvmtape_vcpu*> vcpus;
  for (unsigned i = 0; i < threads; ++i) {
    pages.push_back(std::make_unique<RunPage>(workload));
    vcpus.push_back(
        kvmtape_attach_vcpu(session, i, -1, pages.back()->memory(), kRunPageBytes, &error));
    if (error.code != 0) recording.error = error.text;
  }
  const Stopwatch watch;
  std::vector<std::thread> producers;
  const auto exits_per_tick = static_cast<uint64_t>(rate * kTickNs / 1e9 / threads);
  for (unsigned i = 0; i < threads; ++i)
    producers.emplace_back(
        [&, i] { produce(vcpus[i], *pages[i], exits / threads, exits_per_tick); });
  for (std::thread& producer : producers) producer.join();
  kvmtape_totals totals;
  if (kvmtape_close(session, &totals, &error) != 0) recording.error = error.text;
  recording.seconds = watch.seconds();
  recording.exits = totals.exits;
  recording.lost = totals.lost;
  recording.bytes = totals.bytes;
  return recording;
}

}  // namespace kvmtape::bench
