// The synthetic part of the corpus: small recordings, each with the cause that must come first, and
// healthy ones for which nothing may be found. Of processors, devices and hours that no machine
// here has; what one can do is recorded for real (real_guests_test.cc, golden_guests_test.cc).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>
#include <optional>

#include "analysis/explain/history.h"
#include "tests/analysis/explain/guest_states.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

struct Recording {
  const char* name;
  std::string first;      // the rule that must come first; empty: no cause
  std::string competing;  // one that must come behind it; empty: none is asked for
  std::function<void(SyntheticTrace&)> make;
};

const NamedRegisters kReset = {{"rip", 0xfff0}, {"cr0", 0x60000010}, {"cs.base", 0xffff0000}};

void boot(SyntheticTrace& trace) {
  trace.memory(0, 0x8000000).in(0x3fd, {0x60}).console("Linux version 6.12.0\n");
}

const Recording kRecordings[] = {
    {"panic then keyboard reset then triple fault", "guest-panic", "reset-requested",
     [](auto& t) {
       boot(t.intel());
       t.console("Kernel panic - not syncing: Attempted to kill init!\n").out(0x64, {0xfe});
       t.shutdown().regs(with(long_mode(kText), kNoIdt));
     }},
    {"panic told to pvpanic as well", "guest-panic", "",
     [](auto& t) {
       boot(t.intel());
       t.console("Kernel panic - not syncing: Fatal exception\n").hlt(false);
     }},
    {"pvpanic with a silent console", "pvpanic", "hlt-interrupts-off",
     [](auto& t) { t.intel().out(0x80, {1}).out(0x505, {1}).hlt(false); }},
    {"oops on arm64, then an external abort", "guest-panic", "external-abort-injected",
     [](auto& t) {
       t.arm64().mmio_read(0xa000000, {0, 0, 0, 0}).set_events({0, 0, 1});
       for (const char c : std::string("Internal error: synchronous external abort\nKernel panic - "
                                       "not syncing: Oops: Fatal exception\n"))
         t.mmio_write(0x9000000, {static_cast<uint8_t>(c), 0, 0, 0});
     }},
    {"reboot through 0xcf9 that nobody handled", "reset-requested", "triple-fault",
     [](auto& t) {
       boot(t.amd());
       t.out(0xcf9, {0x02}).out(0xcf9, {0x06}).shutdown().regs(with(long_mode(kText), kNoIdt));
     }},
    {"triple fault without IDT", "triple-fault", "",
     [](auto& t) {
       boot(t.intel());
       t.shutdown().regs(with(long_mode(kText), kNoIdt));
     }},
    {"triple fault with a lost page table", "triple-fault", "",
     [](auto& t) {
       boot(t.intel());
       t.shutdown().regs(with(long_mode(kText), {{"cr3", 0x900000000}}));
     }},
    {"triple fault in real mode", "triple-fault", "",
     [](auto& t) {
       t.intel().memory(0, 0x100000).out(0x80, {1}).shutdown();
       t.regs(with(real_mode(0x7c00), {{"idt.limit", 0}}));
     }},
    {"triple fault on AMD, reset values", "triple-fault", "",
     [](auto& t) {
       boot(t.amd());
       t.shutdown().regs(kReset);
     }},
    {"called a null pointer, which ends in a triple fault", "jump-astray", "triple-fault",
     [](auto& t) {
       boot(t.intel());
       t.shutdown().regs(with(long_mode(0x8), kNoIdt));
     }},
    {"ran into zeroed memory that KVM had to emulate", "jump-astray", "emulation-failure",
     [](auto& t) {
       boot(t.amd());
       t.emulation_failure(std::vector<uint8_t>(15), 0x41, 0, 0).regs(long_mode(kText));
     }},
    {"SSE on device memory", "emulation-failure", "",
     [](auto& t) {
       boot(t.amd());
       t.emulation_failure({0x0f, 0x58, 0x03}, 0x400, 0xf, 0xfee00000).regs(long_mode(kText));
     }},
    {"emulation failure answered by entering again", "emulation-failure", "exit-storm",
     [](auto& t) {
       boot(t.amd());
       for (int i = 0; i < 21'000; ++i)
         t.emulation_failure({0x0f, 0x58, 0x03}, 0x400, 0xf, 0xfee00000);
     }},
    {"IDT in a hole during delivery", "delivery-event", "",
     [](auto& t) {
       boot(t.intel());
       t.internal_error(3, {0x80000b0e, 49, 0, 0xd0000000, 1}).regs(long_mode(kText));
     }},
    {"two exceptions at once", "simul-ex", "",
     [](auto& t) {
       boot(t.intel());
       t.internal_error(2, {0x80000b0d, 0x80000b0e, 0, 1});
     }},
    {"an exit of a newer processor", "unexpected-exit-reason", "",
     [](auto& t) {
       boot(t.intel());
       t.internal_error(4, {77, 1});
     }},
    {"CS with L and D on Intel", "vmx-entry-failure", "",
     [](auto& t) {
       boot(t.intel());
       t.fail_entry(0x80000021).regs(with(long_mode(kText), {{"cs.db", 1}}));
     }},
    {"NW without CD on AMD", "svm-invalid", "",
     [](auto& t) {
       boot(t.amd());
       t.fail_entry(~uint64_t{0}).regs(with(long_mode(kText), {{"cr0", 0xa0050033}}));
     }},
    {"no memory behind a slot", "memory-fault", "",
     [](auto& t) {
       boot(t.intel());
       t.kernel("6.1.0").failed(14);
     }},
    {"poisoned memory while the console tells of it", "guest-panic", "memory-fault",
     [](auto& t) {
       boot(t.intel());
       t.console("Kernel panic - not syncing: Fatal machine check\n");
       t.memory_fault(0, 0x5000, 0x1000, 133);
     }},
    {"out of memory in KVM_RUN", "run-failed", "",
     [](auto& t) {
       boot(t.intel());
       t.failed(12);
     }},
    {"load pair from a device on arm64", "nisv", "",
     [](auto& t) {
       t.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).nisv(0x6, 0x9000040);
     }},
    {"an access that the monitor refused with an abort", "external-abort-injected", "",
     [](auto& t) {
       t.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).nisv(0x6, 0xa000000).set_events({0, 0, 1});
       t.mmio_write(0x9000000, {'y', 0, 0, 0});
     }},
    {"memory error on arm64", "arm-sea", "",
     [](auto& t) {
       t.arm64("7.2.0").mmio_write(0x9000000, {'x', 0, 0, 0}).sea(0x92000010, 0, 0x52345000);
     }},
    {"BUG() under a debugger, then reset", "linux-brk", "",
     [](auto& t) { t.arm64().debug_arm(0xf2000800, 0, 1).system_event(2, {0}); }},
    {"SEV-ES guest gives up", "sev-termination", "",
     [](auto& t) { t.amd().system_event(6, {0x100}); }},
    {"driver waits for a device that never answers", "same-address-loop", "exit-storm",
     [](auto& t) {
       boot(t.intel());
       for (int i = 0; i < 25'000; ++i) t.in(0x1f7, {0x80});
     }},
    {"a register without a device, polled", "unhandled-access", "same-address-loop",
     [](auto& t) {
       boot(t.intel());
       for (int i = 0; i < 6'000; ++i) t.mmio_read(0xfebf0000, {0xff, 0xff, 0xff, 0xff});
     }},
    {"a disk that took half a minute, then a panic", "guest-panic", "monitor-away",
     [](auto& t) {
       boot(t.intel());
       t.answer_takes_ns(30'000'000'000).mmio_write(0xfebf0050, {1, 0, 0, 0});
       t.console("Kernel panic - not syncing: softlockup: hung tasks\n").hlt(false);
     }},
    {"a disk that took half a minute", "monitor-away", "",
     [](auto& t) {
       boot(t.intel());
       t.answer_takes_ns(30'000'000'000).mmio_write(0xfebf0050, {1, 0, 0, 0}).hlt(true);
     }},
    // Healthy.
    {"idle guest, stopped by its monitor", "", "",
     [](auto& t) {
       boot(t.intel());
       t.hlt(true).interrupted().hlt(true);
     }},
    {"guest that switched itself off", "", "",
     [](auto& t) {
       boot(t.intel());
       t.out(0x604, {0, 0x20});
     }},
    {"arm64 guest that switched itself off", "", "",
     [](auto& t) {
       t.arm64().mmio_write(0x9000000, {'x', 0, 0, 0}).system_event(1, {0});
     }},
    {"guest that probes its buses", "", "",
     [](auto& t) {
       boot(t.intel());
       t.out(0xcf8, {0, 0, 8, 0x80})
           .in(0xcfc, {0xff, 0xff, 0xff, 0xff})
           .in(0x2fd, {0xff})
           .hlt(true);
     }},
    {"confidential guest that converts pages", "", "",
     [](auto& t) {
       t.intel()
           .memory_fault(8, 0x1000, 0x1000, 14)
           .out(0x80, {1})
           .memory_fault(8, 0x2000, 0x1000, 14);
       t.out(0x80, {2}).hlt(true);
     }},
};

TEST(ExplainCorpus, EachRecordingHasItsCauseFirst) {
  size_t with_competing = 0;
  for (const Recording& recording : kRecordings) {
    SyntheticTrace trace;
    recording.make(trace);
    const Explained explained(trace);
    EXPECT_EQ(explained.first(), recording.first) << recording.name;
    if (recording.competing.empty()) continue;
    ++with_competing;
    EXPECT_THAT(explained.causes(), ::testing::Contains(recording.competing)) << recording.name;
  }
  EXPECT_GE(std::size(kRecordings), 30u);
  EXPECT_GE(with_competing, 10u);
}

TEST(ExplainCorpus, EveryFindingHasEvidenceThatIsInTheRecording) {
  for (const Recording& recording : kRecordings) {
    SyntheticTrace trace;
    recording.make(trace);
    const Explained explained(trace);
    for (const auto* list : {&explained.explanation().causes, &explained.explanation().notes})
      for (const Finding& finding : *list) {
        EXPECT_FALSE(finding.evidence.empty()) << recording.name << ": " << finding.rule;
        EXPECT_FALSE(finding.next.empty()) << recording.name << ": " << finding.rule;
        EXPECT_GT(finding.confidence, 0) << recording.name << ": " << finding.rule;
        EXPECT_LE(finding.confidence, 1) << recording.name << ": " << finding.rule;
        for (const Place& place : finding.evidence) {
          const VcpuStory* story = explained.explanation().all->story_of(place);
          ASSERT_NE(story, nullptr) << recording.name << ": " << finding.rule;
          EXPECT_LE(place.seq, story->last_place()->seq) << recording.name << ": " << finding.rule;
        }
      }
  }
}

// All that is said of it, but for times that a repeat does not know one by one.
std::string said_of(const Explanation& explanation) {
  const Case& all = *explanation.all;
  std::string text = fmt::format("{} exits\n", all.exits);
  for (const auto* list : {&explanation.causes, &explanation.notes})
    for (const Finding& finding : *list) {
      text += fmt::format("{} {}", finding.confidence, finding.title);
      for (const Place& place : finding.evidence) text += " " + to_string(place);
      text += "\n";
    }
  for (const HistoryLine& line : history_of(all, 1000))
    text += fmt::format("{} {} {}\n", line.time_ns, name_text(all, line), body_text(all, line));
  for (const auto& console : all.console.all()) text += console.where + console.tail;
  return text;
}

TEST(ExplainCorpus, FoldedIntoRepeatsEachIsExplainedAlike) {
  for (const Recording& recording : kRecordings) {
    SyntheticTrace whole, folded;
    recording.make(whole);
    folded.builder().fold_repeats();
    recording.make(folded);
    EXPECT_EQ(said_of(Explained(folded).explanation()), said_of(Explained(whole).explanation()))
        << recording.name;
  }
}

TEST(ExplainCorpus, AnUnsealedRecordingIsExplainedAlike) {
  const ScratchDirectory scratch;
  SyntheticTrace trace;
  boot(trace.intel());
  trace.shutdown().regs(with(long_mode(kText), kNoIdt));
  EXPECT_EQ(Explained(trace.write_unsealed_to(scratch.file("t"))).first(), "triple-fault");
}

TEST(ExplainCorpus, MemoryDoesNotGrowWithTheRecording) {
  SyntheticTrace trace;
  trace.intel();
  for (uint32_t i = 0; i < 20'000; ++i) trace.out(static_cast<uint16_t>(i), {1});
  const Explained explained(trace);
  EXPECT_LE(explained.explanation().all->vcpus.at(0).last.size(), 48u);
}

}  // namespace
}  // namespace kvmtape::testing
