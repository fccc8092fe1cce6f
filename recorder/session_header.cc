#include "recorder/session_header.h"

#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "recorder/ring/clock.h"
#include "recorder/ring/signal_shield.h"
#include "schema/base/shell_word.h"
#include "schema/ring_file.h"
#include "schema/trace_file.h"

namespace kvmtape {

void start_clocks(Session& session, ClockReader clock) {
  session.start = clock();
  if (clock == read_monotonic_clocks) {
    session.clock_name = kMonotonicClockName;
    session.ticks_per_second = 1'000'000'000;
    return;
  }
  session.ticks_per_second = clock_frequency();
  if (session.ticks_per_second == 0) {
    ::usleep(2000);
    session.ticks_per_second = ticks_per_second(session.start, read_clocks()).value_or(0);
  }
}

std::string recorder_text(std::string_view which) {
  return std::string("kvmtape ").append(KVMTAPE_VERSION).append(" ").append(which);
}

std::vector<std::string> left_out_by(const CaptureFilter& filter) {
  std::vector<std::string> texts;
  auto name = [&](const std::string& what, const std::string& kept) {
    texts.push_back(what + (kept.empty() ? "" : " but " + kept));
  };
  auto list = [](auto has, uint32_t end) {
    std::string kept;
    for (uint32_t i = 0; i < end; ++i)
      if (has(i)) kept += (kept.empty() ? "" : ", ") + std::to_string(i);
    return kept;
  };
  if (filter.reasons != ~uint64_t{0})
    name("exits of all reasons",
         list([&](uint32_t i) { return filter.has_reason(i); }, kReasonBitsMax + 1));
  if (filter.some_vcpus != 0)
    name("all vCPUs", list([&](uint32_t i) { return filter.has_vcpu(i); }, kFilterVcpusMax));
  std::ostringstream ranges;
  for (uint32_t i = 0; i < filter.address_count; ++i)
    ranges << (i == 0 ? "0x" : ", 0x") << std::hex << filter.addresses[i].first << "-0x"
           << filter.addresses[i].last;
  if (filter.address_count != 0) name("all MMIO addresses and ports", ranges.str());
  return texts;
}

std::string register_policy_text(RegisterPolicy policy, uint32_t every) {
  switch (policy) {
    case RegisterPolicy::kNever:
      return "never";
    case RegisterPolicy::kSync:
      return "sync";
    case RegisterPolicy::kEvery:
      return "every=" + std::to_string(every);
    case RegisterPolicy::kDebugExits:
      return "debug-exits";
  }
  return {};
}

void leave_header_copy(Session& session, ClockReader clock) {
  const std::string path = session.ring_directory + "/" + kHeaderCopyName, fresh = path + ".new";
  const SignalShield shield;
  ::unlink(fresh.c_str());  // of a try that failed
  auto file = TraceFile::create(fresh, false, session.uuid);
  if (!file.ok()) return;
  session.now = clock();
  std::vector<uint8_t> chunk;
  encode_session(session, chunk);
  if (!file->append(chunk).ok() || !file->rename(path).ok()) ::unlink(fresh.c_str());
}

std::string stopped_text(const std::string& ring_directory, const std::string& trace) {
  return "; recording has ended, the rings stay in " + ring_directory +
         (::access(trace.c_str(), F_OK) == 0
              ? ": every read verb takes trace and rings together; free space and run kvmtape "
                "recover"
              : ": with the trace gone, kvmtape recover " + shell_path(ring_directory) +
                    " -o FILE saves what they hold");
}

void remove_ring_directory(const std::string& directory, bool parent_is_ours) {
  if (directory.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  // Empty unless another session uses it.
  if (parent_is_ours)
    std::filesystem::remove(std::filesystem::path(directory).parent_path(), ignored);
}

}  // namespace kvmtape
