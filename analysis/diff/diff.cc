#include "analysis/diff/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <future>
#include <set>
#include <utility>

#include "analysis/diff/identity_cache.h"
#include "analysis/diff/register_changes.h"
#include "analysis/diff/vcpu_changes.h"
#include "analysis/repeated_exits.h"
#include "analysis/session_context.h"

namespace kvmtape {
namespace {

// Its head was torn off, and with it what says whose exits these were; there are none.
bool is_headless(const TraceReader& reader) {
  return reader.session().architecture == Architecture::kUnknown && reader.exits() == 0;
}

// Nothing is decoded by a headless recording's, so that its may be the other's.
DecodeContext context_beside(const TraceReader& of, const TraceReader& other) {
  return decode_context_of(is_headless(of) ? other.session() : of.session());
}

class Comparison {
 public:
  Comparison(TraceReader& a, TraceReader& b, const DiffOptions& options)
      : options_(options),
        a_{a, ExitDecoder(context_beside(a, b)),
           options.rules.addresses ? nullptr : options.symbols_a},
        b_{b, ExitDecoder(context_beside(b, a)),
           options.rules.addresses ? nullptr : options.symbols_b},
        kernels_(a_.decoder.context(), b_.decoder.context()),
        normaliser_(a_.decoder.context(), b_.decoder.context(), options.rules),
        log_(options, diff_) {}

  Result<Diff> run() {
    for (const uint32_t vcpu : vcpus()) {
      // Both at once; where no second thread can be had, one after the other.
      a_.by_slot = b_.by_slot = true;
      wait_for_beside();
      auto in_b = std::async([&] { return identify_first(b_, vcpu); });
      const Result<void> in_a = identify_first(a_, vcpu);
      KVMTAPE_TRY(in_b.get());
      KVMTAPE_TRY(in_a);
      // The calls that set them may have stood in a part that is damaged.
      if (a_.knew_slots != b_.knew_slots) {
        a_.by_slot = b_.by_slot = false;
        wait_for_beside();
        KVMTAPE_TRY(identify(a_.knew_slots ? a_ : b_, vcpu));
      }
      diff_.totals.compared_a += a_.exits.size();
      diff_.totals.compared_b += b_.exits.size();
      diff_.totals.left_out_a += a_.left_out;
      diff_.totals.left_out_b += b_.left_out;
      if (a_.exits == b_.exits) {
        diff_.totals.same += a_.exits.size();
        continue;
      }
      Alignment alignment = align(a_.exits, b_.exits, options_.limits);
      settle_at_losses(alignment, a_.exits, b_.exits, a_.lost, b_.lost);
      diff_.totals.unaligned += alignment.unaligned;
      wait_for_beside();
      VcpuChanges(a_, b_, vcpu, alignment, options_, normaliser_, kernels_, log_, diff_.totals)
          .walk();
      list_losses(a_, vcpu, false);
      list_losses(b_, vcpu, true);
    }
    begin_beside(a_);
    begin_beside(b_);
    wait_for_beside();
    add_context(diff_.first);
    add_context(diff_.first_unexplained);
    log_.finish(kernels_);
    return std::move(diff_);
  }

 private:
  // Of either recording.
  std::set<uint32_t> vcpus() const {
    const std::vector<uint32_t>& wanted = options_.selection.vcpus;
    std::set<uint32_t> all;
    for (const DiffSide* side : {&a_, &b_})
      for (const VcpuTotals& vcpu : side->reader.vcpus())
        if (wanted.empty() || std::ranges::find(wanted, vcpu.index) != wanted.end())
          all.insert(vcpu.index);
    return all;
  }

  // Where threads can be had, on one of its own; else it is done when it is waited for.
  void begin_beside(DiffSide& side) {
    const bool in_b = &side == &b_;
    if (options_.beside && !std::exchange(has_begun_beside_[in_b], true))
      beside_[in_b] = std::async([this, in_b] { options_.beside(in_b); });
  }
  // Nobody walks a reader before.
  void wait_for_beside() {
    for (std::future<void>& each : beside_)
      if (each.valid()) each.get();
  }

  // The side that has been read first leaves a processor to what is beside.
  Result<void> identify_first(DiffSide& side, uint32_t vcpu) {
    KVMTAPE_TRY(identify(side, vcpu));
    begin_beside(side);
    return {};
  }

  // Touches nothing but what it is given and what is constant: the other side's may run meanwhile.
  Result<void> identify(DiffSide& side, uint32_t vcpu) const {
    Normaliser normaliser(a_.decoder.context(), b_.decoder.context(), options_.rules);
    side.exits.clear();
    for (const VcpuTotals& totals : side.reader.vcpus())
      if (totals.index == vcpu) side.exits.reserve(std::min(totals.exits, kReservedMax));
    IdentityCache cache(side.reader.session().architecture);
    ExitWalk walk(side.reader, side.decoder, normaliser, options_.selection, vcpu);
    ExitIdentity of_exit = 0;  // without registers
    while (walk.next()) {
      if (side.exits.size() == UINT32_MAX)
        return Error{ErrorCode::kUnsupported,
                     fmt::format("vCPU {} has more exits than can be compared", vcpu),
                     side.reader.path(),
                     {}};
      if (!walk.is_repeat())
        of_exit = cache.of(walk.recorded(), walk.slots().version(), [&] {
          return normaliser.identity(walk.decoded(), side.addresses(walk.slots()));
        });
      ExitIdentity identity = of_exit;
      if (!walk.taken().empty())
        identity =
            with_rest(identity, hash_registers({side.decoder.context(), walk.taken(), side.symbols},
                                               options_.rules, kernels_.all().empty()));
      side.exits.push_back(identity);
    }
    side.lost = walk.take_lost();
    side.left_out = walk.left_out();
    side.knew_slots = walk.knew_slots();
    keep_tail(side);
    return {};
  }

  void keep_tail(DiffSide& side) const {
    side.skipped = 0;
    if (options_.tail == 0 || side.exits.size() <= options_.tail) return;
    side.skipped = side.exits.size() - options_.tail;
    side.exits.erase(side.exits.begin(),
                     side.exits.begin() + static_cast<std::ptrdiff_t>(side.skipped));
    std::erase_if(side.lost, [&](const LostExits& loss) { return loss.at < side.skipped; });
    for (LostExits& loss : side.lost) loss.at -= static_cast<uint32_t>(side.skipped);
  }

  void list_losses(const DiffSide& side, uint32_t vcpu, bool in_b) {
    for (const LostExits& loss : side.lost)
      if (loss.accounted != 0 && diff_.losses.size() < options_.changes_max)
        diff_.losses.push_back({vcpu, in_b, loss});
  }

  void add_context(std::optional<Divergence>& divergence) {
    if (!divergence) return;
    const ExitChange& change = divergence->change;
    divergence->context_a = context_of(a_, change.vcpu, change.a.seq);
    divergence->context_b = context_of(b_, change.vcpu, change.b.seq);
  }

  std::vector<ExitSide> context_of(DiffSide& side, uint32_t vcpu, uint64_t seq) const {
    Selection selection;
    selection.vcpus = {vcpu};
    selection.seq = {seq - std::min(seq, options_.context), seq + options_.context};
    std::vector<ExitSide> lines;
    DecodedExit decoded;
    side.reader.rewind(selection);
    for (Item item; side.reader.next(item);) {
      if (item.kind != Item::Kind::kExit && item.kind != Item::Kind::kRepeat) continue;
      if (item.exit == nullptr) continue;
      decode_both(side.decoder, *item.exit, decoded);
      uint64_t first = item.seq, last = item.seq;
      if (item.kind == Item::Kind::kRepeat) {
        const RepeatedExits exits = repeated_exits(item, side.reader);
        first = std::max(exits.first_seq, selection.seq->first);
        last = std::min(exits.last_seq, selection.seq->second);
      }
      for (; first <= last; ++first) lines.push_back(exit_side(side.decoder, first, decoded));
    }
    return lines;
  }

  // What a header says of a damaged recording's exits is not to be trusted with memory.
  static constexpr uint64_t kReservedMax = 1 << 24;

  const DiffOptions& options_;
  DiffSide a_, b_;
  KernelDifferences kernels_;
  Normaliser normaliser_;
  Diff diff_;
  ChangeLog log_;
  std::array<bool, 2> has_begun_beside_{};     // of a and b
  std::array<std::future<void>, 2> beside_{};  // likewise; last: they end before the rest does
};

}  // namespace

std::string_view to_string(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kChanged:
      return "changed";
    case ChangeKind::kMissing:
      return "missing";
    case ChangeKind::kExtra:
      return "extra";
  }
  return "";
}

Result<Diff> compare(TraceReader& a, TraceReader& b, const DiffOptions& options) {
  if ((options.symbols_a == nullptr) != (options.symbols_b == nullptr))
    return Error{ErrorCode::kUsage,
                 "symbols of one guest alone: addresses can be compared with those of both",
                 options.symbols_a == nullptr ? a.path() : b.path(),
                 {}};
  const Architecture in_a = a.session().architecture, in_b = b.session().architecture;
  if (in_a != in_b && !is_headless(a) && !is_headless(b))
    return Error{ErrorCode::kUsage,
                 fmt::format("recordings of two architectures, {} and {}, cannot be compared",
                             architecture_name(in_a), architecture_name(in_b)),
                 b.path(),
                 {}};
  return Comparison(a, b, options).run();
}

}  // namespace kvmtape
