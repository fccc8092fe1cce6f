// Every rule three times: on a recording where it comes first, on a near miss where it must not
// fire, and where the guest's own panic on the console competes with it. All synthetic.
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "analysis/explain/rules.h"
#include "analysis/kernel_changes.h"
#include "tests/analysis/explain/guest_states.h"
#include "tests/support/arm64_registers.h"
#include "tests/support/explained.h"

namespace kvmtape::testing {
namespace {

using Act = std::function<void(SyntheticTrace&)>;

void intel(SyntheticTrace& trace) { trace.intel().memory(0, 0x8000000).out(0x80, {1}); }
void amd(SyntheticTrace& trace) { trace.amd().memory(0, 0x8000000).out(0x80, {1}); }
void arm64(SyntheticTrace& trace) { trace.arm64("7.2.0").mmio_write(0x9000000, {'x', 0, 0, 0}); }
void old_arm64(SyntheticTrace& trace) {
  trace.arm64("6.1.0").mmio_write(0x9000000, {'x', 0, 0, 0});
}

void panic(SyntheticTrace& trace) {
  const std::string text = "\nKernel panic - not syncing: Fatal exception\n";
  if (trace.builder().edit_session().architecture == Architecture::kX86_64) {
    trace.console(text);
    return;
  }
  for (const char c : text) trace.mmio_write(0x9000000, {static_cast<uint8_t>(c), 0, 0, 0});
}

struct Row {
  const char* rule;
  Act machine, act, near_miss;
};

std::vector<uint64_t> last_words() {
  std::vector<uint64_t> data(16);
  data[1] = uint64_t{1} << 14;  // rcx: r14 holds text
  data[14] = 0x0000000063696e61;
  return data;
}

const Row kRows[] = {
    {"pvpanic", intel, [](auto& t) { t.out(0x505, {1}); },
     [](auto& t) { t.in(0x505, {3}).hlt(true); }},
    {"guest-crash-event", intel, [](auto& t) { t.system_event(3); },
     [](auto& t) { t.system_event(1); }},
    {"tdx-fatal", [](auto& t) { t.intel().kernel("6.16.0").out(0x80, {1}); },
     [](auto& t) { t.system_event(7, last_words()); }, [](auto& t) { t.system_event(3); }},
    {"sev-termination", amd, [](auto& t) { t.system_event(6, {0x10100}); },
     [](auto& t) { t.system_event(3); }},
    {"reset-requested", intel,
     [](auto& t) { t.out(0x64, {0xfe}).shutdown().regs(with(long_mode(kText), kNoIdt)); },
     [](auto& t) { t.out(0x64, {0xad}).shutdown().regs(with(long_mode(kText), kNoIdt)); }},
    {"watchdog", intel,
     [](auto& t) {  // ib700: 10 s
       t.out(0x443, {0xa}).wait_ns(9 * kSecond).out(0x443, {0xa}).wait_ns(11 * kSecond).hlt(true);
     },
     [](auto& t) {  // fed, stopped, or reset in time
       t.out(0x443, {0xa}).wait_ns(9 * kSecond).out(0x443, {0xa}).wait_ns(9 * kSecond);
       t.out(0x441, {0}).wait_ns(30 * kSecond).hlt(true);
       t.out(0x672, {10, 0}).out(0x668, {0, 0}).wait_ns(11 * kSecond).out(0x660, {1, 0});
       t.wait_ns(11 * kSecond).out(0xcf9, {6}).wait_ns(60 * kSecond).hlt(true);
     }},
    {"msr-refused", intel,
     [](auto& t) { t.rdmsr_refused(0x8b).shutdown().regs(with(long_mode(kText), kNoIdt)); },
     [](auto& t) {
       t.rdmsr_refused(0x8b).out(0x80, {1}).shutdown().regs(with(long_mode(kText), kNoIdt));
     }},
    {"jump-astray", intel, [](auto& t) { t.shutdown().regs(long_mode(0)); },
     [](auto& t) { t.shutdown().regs(long_mode(kText)); }},
    {"triple-fault", intel, [](auto& t) { t.shutdown().regs(with(long_mode(kText), kNoIdt)); },
     [](auto& t) { t.hlt(true); }},
    {"emulation-failure", amd,
     [](auto& t) { t.emulation_failure(kAddps, 0x400, 0xf, 0xfee00000).regs(long_mode(kText)); },
     [](auto& t) {
       t.internal_error(2, {0x80000b0d, 0x80000b0e, 0, 1});
     }},
    {"delivery-event", intel,
     [](auto& t) {
       t.internal_error(3, {0x80000b0e, 49, 0, 0xd0000000, 1}).regs(long_mode(kText));
     },
     [](auto& t) {
       t.internal_error(4, {77, 1});
     }},
    {"simul-ex", intel,
     [](auto& t) {
       t.internal_error(2, {0x80000b0d, 0x80000b0e, 0, 1});
     },
     [](auto& t) {
       t.internal_error(3, {0x80000b0e, 49, 0, 0, 1});
     }},
    {"unexpected-exit-reason", intel,
     [](auto& t) {
       t.internal_error(4, {77, 1});
     },
     [](auto& t) {
       t.internal_error(2, {0x80000b0d, 0x80000b0e, 0, 1});
     }},
    {"vmx-entry-failure", intel,
     [](auto& t) {
       t.fail_entry(0x80000021).regs(with(long_mode(kText), {{"cs.db", 1}}));
     },
     [](auto& t) { t.hlt(true); }},
    {"svm-invalid", amd,
     [](auto& t) {
       t.fail_entry(~uint64_t{0}).regs(with(long_mode(kText), {{"cr0", 0xa0050033}}));
     },
     [](auto& t) { t.shutdown().registers_not_taken(); }},
    {"cpu-unsupported", arm64, [](auto& t) { t.fail_entry(1); },
     [](auto& t) { t.fail_entry(0x100); }},
    {"memory-fault", intel, [](auto& t) { t.memory_fault(8, 0x123000, 0x1000, 14); },
     [](auto& t) { t.memory_fault(8, 0x123000, 0x1000, 14).out(0x80, {1}).hlt(true); }},
    {"arm-sea", arm64, [](auto& t) { t.sea(0x92000010, 0, 0x52345000); },
     [](auto& t) { t.nisv(0x6, 0x52345000); }},
    {"external-abort-injected", arm64,
     [](auto& t) {
       t.nisv(0x6, 0xa000000).set_events(kAbort).mmio_write(0x9000000, {'y', 0, 0, 0});
     },
     [](auto& t) {
       t.nisv(0x6, 0xa000000).set_events(kNothing).mmio_write(0x9000000, {'y', 0, 0, 0});
     }},
    {"serror", arm64,
     [](auto& t) {
       t.set_events(kSerror).mmio_write(0x9000000, {'y', 0, 0, 0});
     },
     [](auto& t) {
       t.set_events(kAbort).mmio_write(0x9000000, {'y', 0, 0, 0});
     }},
    {"nisv", arm64, [](auto& t) { t.nisv(0x46, 0x9000040); },
     [](auto& t) {
       t.nisv(0x46, 0x9000040).mmio_write(0x9000000, {'x', 0, 0, 0});
     }},
    {"linux-brk", arm64, [](auto& t) { t.debug_arm(0xf2000800, 0, 1); },
     [](auto& t) { t.debug_arm(0xf2001234, 0, 1); }},
    {"run-failed", intel, [](auto& t) { t.failed(12); }, [](auto& t) { t.interrupted(); }},
    {"os-lock", arm64,
     [](auto& t) {
       t.one_regs({{kOslsr, 0xa}, {kMdscr, 0x8000}});
     },
     [](auto& t) {
       t.one_regs({{kOslsr, 0x8}, {kMdscr, 0x8000}});
     }},
    {"notify-window", intel, [](auto& t) { t.exit(37); }, [](auto& t) { t.exit(7); }},
    {"unhandled-access", intel,
     [](auto& t) {
       for (int i = 0; i < 1'200; ++i) t.mmio_read(0xfebf0000, {0xff, 0xff, 0xff, 0xff});
     },
     [](auto& t) {
       for (int i = 0; i < 1'200; ++i) t.mmio_read(0xfebf0000, {0xff, 0xff, 0xff, 0x7f});
     }},
    {"same-address-loop", intel,
     [](auto& t) {
       for (int i = 0; i < 6'000; ++i) t.in(0x1f7, {0x80});
     },
     [](auto& t) {
       for (int i = 0; i < 6'000; ++i) t.in(0x1f7, {static_cast<uint8_t>(i % 2)});
     }},
    {"exit-storm", intel,
     [](auto& t) {
       for (int i = 0; i < 25'000; ++i) t.out(0xe000, {static_cast<uint8_t>(i), 1, 2, 3});
     },
     [](auto& t) {
       for (int i = 0; i < 25'000; ++i) t.wait_ns(1'000'000).out(0xe000, {1});
     }},
    {"monitor-away", intel,
     [](auto& t) {
       t.answer_takes_ns(30'000'000'000).mmio_write(0xfebf0050, {1, 0, 0, 0}).hlt(true);
     },
     [](auto& t) {
       t.answer_takes_ns(300'000'000).mmio_write(0xfebf0050, {1, 0, 0, 0}).hlt(true);
     }},
    {"monitor-killed", intel,
     [](auto& t) { t.builder().add_mark("the monitor was killed by SIGSEGV"); },
     [](auto& t) { t.builder().add_mark("the monitor was killed"); }},
    {"hlt-interrupts-off", intel, [](auto& t) { t.hlt(false); }, [](auto& t) { t.hlt(true); }},
    {"silent-guest", intel, [](auto& t) { t.wait_ns(50'000'000'000).interrupted(); },
     [](auto& t) { t.wait_ns(50'000'000'000).interrupted().out(0x80, {2}); }},
    {"guest-asked", arm64, [](auto& t) { t.system_event(1, {0}); },
     [](auto& t) { t.system_event(3, {0}); }},
    {"clean-shutdown", intel,
     [](auto& t) {
       t.out(0x604, {0, 0x20});
     },
     [](auto& t) {
       t.out(0x604, {1, 0});
     }},
    {"lost-exits", intel, [](auto& t) { t.lost(7).hlt(true); }, [](auto& t) { t.hlt(true); }},
    {"stale-hsr-high",
     [](auto& t) {
       t.arm64("5.10.0").mmio_write(0x9000000, {'x', 0, 0, 0});
     },
     [](auto& t) { t.debug_arm(0xf2001234, 0xaaaaaaaa, 0); },
     [](auto& t) { t.debug_arm(0xf2001234, 0, 0); }},
    {"esr-sign-extension", old_arm64,
     [](auto& t) {
       t.one_regs({{kEsrEl1, 0xffffffff96000010}});
     },
     [](auto& t) {
       t.one_regs({{kEsrEl1, 0x96000010}});
     }},
};

bool is_note(const Explained& explained, std::string_view rule) {
  const auto notes = explained.notes();
  return std::ranges::find(notes, rule) != notes.end();
}

TEST(EveryRule, ComesFirstWhereItIsTheCause) {
  for (const Row& row : kRows) {
    SyntheticTrace trace;
    row.machine(trace);
    row.act(trace);
    const Explained explained(trace);
    if (is_note(explained, row.rule)) {
      EXPECT_THAT(explained.causes(), ::testing::IsEmpty()) << row.rule;
    } else {
      EXPECT_EQ(explained.first(), row.rule);
    }
  }
}

TEST(EveryRule, DoesNotFireOnANearMiss) {
  for (const Row& row : kRows) {
    SyntheticTrace trace;
    row.machine(trace);
    row.near_miss(trace);
    EXPECT_FALSE(Explained(trace).found(row.rule)) << row.rule;
  }
}

// What the guest said of itself names the cause more exactly than how its machine ended.
TEST(EveryRule, StandsBehindAPanicOnTheConsole) {
  for (const Row& row : kRows) {
    SyntheticTrace trace;
    row.machine(trace);
    panic(trace);
    row.act(trace);
    const Explained explained(trace);
    EXPECT_EQ(explained.first(), "guest-panic") << row.rule;
    EXPECT_TRUE(explained.found(row.rule)) << row.rule;
  }
}

// guest-panic, which the others compete with here, has first_rules_test.cc.
TEST(EveryRule, IsInThisTable) {
  std::set<std::string_view> here{"guest-panic"}, all;
  for (const Row& row : kRows) here.insert(row.rule);
  for (const auto& rule : all_rules()) all.insert(rule->id());
  EXPECT_EQ(here, all);
}

TEST(EveryRule, CitesOnlyRowsOfTheKernelChanges) {
  std::set<std::string_view> rows;
  for (const KernelChange& change : kernel_changes()) rows.insert(change.id);
  size_t cited = 0;
  for (const Row& row : kRows) {
    SyntheticTrace trace;
    row.machine(trace);
    row.act(trace);
    const Explained explained(trace);
    const std::string_view id = explained.of(row.rule).kernel_change;
    if (id.empty()) continue;
    EXPECT_TRUE(rows.contains(id)) << row.rule << " cites " << id;
    ++cited;
  }
  EXPECT_GE(cited, 8u);
}

}  // namespace
}  // namespace kvmtape::testing
