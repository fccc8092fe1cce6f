// What is different between two recordings: exit by exit, in their sessions, and in how long things
// took; and which of it the two kernels explain. Works on whatever can be read of either.
//
// Memory: 8 bytes an exit of one vCPU at a time on each side (of exits that were folded into
// repeats, at most ExitWalk::kRepeatsMax a vCPU), 56 a gap, what alignment takes, some
// thousand exits of either side that are read ahead (walk_ahead.h), and a list of at most
// `changes_max` differences; the exits are read again for what is said of them. The caller's
// thread, and others that read A and B for it: nobody else uses either reader meanwhile. Text of
// the recordings may hold any bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/diff/alignment.h"
#include "analysis/diff/lost_exits.h"
#include "analysis/diff/normaliser.h"
#include "analysis/symbols/symbols.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

enum class ChangeKind : uint8_t {
  kChanged,  // the same exit with something else in it
  kMissing,  // only in A
  kExtra,    // only in B
};
std::string_view to_string(ChangeKind kind);  // "changed"

// One side of a field. Not valid: `text` is empty and `why` says why, if anything does.
struct FieldSide {
  bool present = false;  // this exit has such a field
  Validity validity = Validity::kAbsent;
  std::string text;  // "0x1f" or, of bytes, "1f00"
  // Of a set of flags "KVM_RUN_X86_SMM|KVM_RUN_X86_BUS_LOCK", of an address its symbol.
  std::string value_name;
  std::string why;
};

struct FieldChange {
  // "debug.arch.far", "system_event.data[0]", "answer.mmio.data", "errno", "kvm_one_reg.OSLSR_EL1"
  std::string name;
  FieldSide a, b;
  std::vector<KernelDifferences::Difference> explained_by;  // the likeliest first
};

struct ExitSide {
  uint64_t seq = 0;  // where there is none: of the exit in front of which it is missing
  std::string name;  // "KVM_EXIT_IO"; empty: there is none
  std::string key;   // exit_key_text(): "port 0x3f8"; empty: it has none
  std::string text;
};

struct ExitChange {
  uint32_t vcpu = 0;
  std::string guest;  // of `kvmtape probe`; empty: no mark says so
  ChangeKind kind = ChangeKind::kChanged;
  ExitSide a, b;
  std::vector<FieldChange> fields;  // kChanged
  // kChanged: of its fields, if each has one.
  std::vector<KernelDifferences::Difference> explained_by;

  bool explained() const { return !explained_by.empty(); }
};

// Differences that say the same, told once.
struct ChangeGroup {
  ExitChange first;
  uint64_t count = 0;
  uint64_t guests = 1;  // of `kvmtape probe`, one after the other, that it was seen in
};

// Exits of a vCPU that one recording lost and the other has.
struct DiffLoss {
  uint32_t vcpu = 0;
  bool in_b = false;  // that lost them
  LostExits exits;
};

struct DiffTotals {
  uint64_t compared_a = 0, compared_b = 0;  // exits that no rule leaves out
  uint64_t left_out_a = 0, left_out_b = 0;
  uint64_t same = 0, changed = 0, missing = 0, extra = 0;
  uint64_t explained = 0;                 // of the last three
  uint64_t ignored = 0;                   // differences that a rule takes out of the last three
  uint64_t lost_in_a = 0, lost_in_b = 0;  // that only the other has; no differences
  uint64_t unaligned = 0;                 // exits of both sides in ranges too different to align

  uint64_t differences() const { return changed + missing + extra; }
  uint64_t unexplained() const { return differences() - explained; }
};

// Of the first difference, what stands around it on both sides: `vcpu:seq` and the exit.
struct Divergence {
  ExitChange change;
  std::vector<ExitSide> context_a, context_b;
};

struct Diff {
  DiffTotals totals;
  std::optional<Divergence> first;              // by time, then by vCPU
  std::optional<Divergence> first_unexplained;  // likewise
  std::vector<ExitChange> changes;              // by vCPU and sequence, the first changes_max
  std::vector<DiffLoss> losses;                 // by vCPU, the first changes_max
  uint64_t listed = 0;                          // that would stand there without that bound
  std::vector<ChangeGroup> groups;              // unexplained ones first, then the most frequent
  std::vector<KernelDifferences::Difference> kernel_differences;  // that explain any of it
  // What the two kernels show a guest otherwise: what it does or writes may come of that.
  std::vector<KernelDifferences::Difference> seen_by_guest;
};

struct DiffOptions {
  DiffRules rules;
  // Of the guest in each recording, where addresses are to be compared by symbol: both or neither,
  // or one table for both. They outlive the call.
  const Symbols* symbols_a = nullptr;
  const Symbols* symbols_b = nullptr;
  AlignmentLimits limits;
  Selection selection;            // of either recording: only these exits
  uint64_t tail = 0;              // and of a vCPU's the last ones; 0: all
  bool only_unexplained = false;  // of `changes` and `groups`
  size_t changes_max = 10000;
  uint64_t context = 3;  // exits on either side
  // Called once for either recording, before compare() returns unless that fails: what else is to
  // be made of it, which it may walk. Where threads can be had on one of its own, from when the
  // recording has been read until differences are sought: both may run at once.
  std::function<void(bool in_b)> beside;
};

// An error: recordings of two architectures, symbols of one of the guests only, or more than 2^32 -
// 1 exits on one vCPU.
Result<Diff> compare(TraceReader& a, TraceReader& b, const DiffOptions& options);

}  // namespace kvmtape
