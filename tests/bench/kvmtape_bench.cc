#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include "tests/bench/contender.h"
#include "tests/bench/lttng_session.h"
#include "tests/bench/side_by_side.h"
using namespace kvmtape::bench;
int main() {
  char templ[] = "/dev/shm/kvmtape-bench-XXXXXX";
  std::string dir = mkdtemp(templ);
  auto tracks = load_tracks();
  for (auto& t : tracks) std::printf("%s %zu\n", t.name.c_str(), t.moments.size()/2);
  {
  LttngSession lttng(dir);
  for (bool sync : {false, true}) {
    Workload w(tracks, sync);
    for (auto& s : compare_side_by_side(w, sync ? kSyncBytes : kCoreBytes, dir, lttng.reason_skipped()))
      std::printf("%-30s %s %7.1f ratio %5.3f paced %6.1f %6.1f %6.1f cold %6.1f %6.1f lost %lu of %lu\n", s.name.c_str(), s.reason_skipped.c_str(), s.flat_out_ns, s.ratio, s.paced.p50, s.paced.p99, s.paced.p999, s.cold.p50, s.cold.p99, s.lost, s.moments);
  }
  lttng.stop();
  std::system(("du -sh " + lttng.trace_directory()).c_str());
  std::system(("time babeltrace2 -c sink.utils.dummy " + lttng.trace_directory()).c_str());
  }
  std::filesystem::remove_all(dir);
}
