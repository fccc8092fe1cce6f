#include "analysis/explain/case.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "analysis/repeated_exits.h"
#include "replayer/arch_names/x86_registers.h"
#include "replayer/struct_decoder.h"
#include "schema/abi/exit_numbers.h"
#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr size_t kInjectionsMax = 32;
constexpr size_t kMarksMax = 4;
constexpr size_t kOtherCrashesMax = 16;

// Whose crash exit a snapshot was written for, by Session::trigger (recorder/flight/vcpu_watch.cc).
std::optional<uint32_t> crashed_vcpu(const Session& session) {
  constexpr std::string_view kCrash = "crash: exit ";
  std::string_view place = session.trigger;
  if (!place.starts_with(kCrash)) return std::nullopt;
  place.remove_prefix(kCrash.size());
  uint32_t index = 0;
  const auto [end, error] = std::from_chars(place.data(), place.data() + place.size(), index);
  return error == std::errc() && end != place.data() + place.size() && *end == ':'
             ? std::optional(index)
             : std::nullopt;
}

uint64_t field_of(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields)
    if (field.name == name && field.validity == Validity::kValid) return field.value;
  return 0;
}

std::string exception_text(uint64_t vector) {
  const std::string_view name = x86_exception_name(static_cast<uint8_t>(vector));
  return name.empty() ? fmt::format("exception {}", vector) : fmt::format("exception {}", name);
}

}  // namespace

Case::Case(const TraceReader& opened, const ExitDecoder& exit_decoder)
    : reader(opened),
      decoder(exit_decoder),
      context(exit_decoder.context()),
      vm_slots(std::make_shared<MemorySlots>(context.byte_order)) {}

const std::string* Case::cpu_fact(std::string_view name) const {
  for (const auto& [known, value] : reader.session().cpu_facts)
    if (known == name) return &value;
  return nullptr;
}

bool Case::is_x86() const {
  return context.architecture == Architecture::kX86_64 ||
         context.architecture == Architecture::kI386;
}

const VcpuStory* Case::story_of(const Place& place) const {
  auto found = vcpus.find(place.vcpu);
  return found == vcpus.end() ? nullptr : &found->second;
}

const KeptExit* Case::exit_before(uint32_t vcpu, uint64_t seq) const {
  auto found = vcpus.find(vcpu);
  if (found == vcpus.end() || found->second.exits == 0) return nullptr;
  const KeptExit& newest = found->second.newest;
  return newest.last_seq + 1 == seq ? &newest : nullptr;
}

bool Case::has_every_vcpu() const {
  return std::ranges::all_of(reader.vcpus(), [&](const VcpuTotals& vcpu) {
    return vcpu.exits == 0 || vcpus.contains(vcpu.index);
  });
}

bool Case::concerns(const Injection& injection) const {
  if (crash != nullptr) return story_of(crash->exit.place)->vm == injection.vm;
  return std::ranges::any_of(vcpus,
                             [&](const auto& entry) { return entry.second.vm == injection.vm; });
}

bool Case::crashed_by(uint32_t reason) const {
  return crash != nullptr && decoded_crash.exit.reason == reason &&
         decoded_crash.exit.reason_validity != Validity::kStale;
}

std::optional<uint64_t> Case::crash_field(std::string_view name, int element) const {
  if (crash == nullptr) return std::nullopt;
  return valid_field(decoded_crash.exit, name, element);
}

std::string Case::text_of(const OwnedExit& bytes) const {
  const DecodedExit decoded = decode_owned(decoder, bytes);
  const std::string text = kvmtape::text_of(decoder, decoded);
  return text.empty() ? name_of(decoded) : fmt::format("{} {}", name_of(decoded), text);
}

std::vector<std::string> Case::uncounted_losses() const {
  const TraceHealth& health = reader.health();
  std::vector<std::string> losses;
  if (!health.ring_problems.empty())
    losses.emplace_back("its rings cannot be read, or not to the end");
  else if (health.sealed && health.copied_end == OpenEnd::kTorn)
    losses.emplace_back("the end of the recording that it is a copy of was torn");
  else if (health.sealed && health.copied_end != OpenEnd::kNone)
    losses.emplace_back("the recording that it is a copy of was not closed");
  else if (health.open_end() == OpenEnd::kTorn)
    losses.push_back(fmt::format("its end is torn at byte {}", *health.torn_at));
  else if (health.open_end() == OpenEnd::kUnsealed)
    losses.emplace_back("it was not closed, and no rings are left");
  if (health.damaged_chunks != 0 && !lost_by.contains(GapReason::kDamaged))
    losses.push_back(health.damaged_chunks == 1
                         ? "a chunk is damaged"
                         : fmt::format("{} chunks are damaged", health.damaged_chunks));
  return losses;
}

VcpuStory& Case::story(uint32_t index) {
  auto [found, is_new] = vcpus.try_emplace(index);
  if (is_new) {
    found->second.index = found->second.id = index;
    found->second.vm = vm_;
    for (const SessionVcpu& vcpu : reader.session().vcpus)
      if (vcpu.index == index) found->second.id = vcpu.id;
  }
  return found->second;
}

void Case::take(const Item& item, const DecodedExit* decoded) {
  switch (item.kind) {
    case Item::Kind::kExit: {
      VcpuStory& of = story(item.vcpu_index);
      if (auto set = set_next_.find(of.id); set != set_next_.end()) {
        for (auto& [number, part] : set->second.parts) of.known.parts[number] = part;
        set_next_.erase(set);
      }
      ran_last_[of.id] = of.index;
      of.take_exit(item, *decoded, context, vm_slots);
      console.see({item.vcpu_index, item.exit->seq}, *decoded, 1);
      ++exits;
      break;
    }
    case Item::Kind::kRepeat: {
      const RepeatedExits repeated = repeated_exits(item, reader);
      if (decoded != nullptr) {
        story(item.vcpu_index).take_repeat(item.repeat, repeated);
        console.see({item.vcpu_index, repeated.first_seq}, *decoded, item.repeat.count);
      }
      exits += item.repeat.count;
      break;
    }
    case Item::Kind::kGap:
      if (item.vcpu_index != kSessionStream) story(item.vcpu_index).take_gap(item.gap);
      lost += item.gap.lost;
      lost_by[item.gap.why] += item.gap.lost;
      break;
    case Item::Kind::kMark:
      if (marks.size() == kMarksMax) marks.pop_front();
      marks.push_back({item.time_ns, std::string(item.mark)});
      break;
    case Item::Kind::kRegisters:
      if (item.vcpu_index != kSessionStream) story(item.vcpu_index).take_registers(item);
      break;
    case Item::Kind::kMemory:
      if (item.vcpu_index != kSessionStream) story(item.vcpu_index).take_memory(item);
      break;
    case Item::Kind::kOther:
      take_call(item);
      break;
  }
}

void Case::take_call(const Item& item) {
  const auto call = control_call_of(*item.side, context.redaction);
  if (!call) return;
  has_calls = true;
  if (call->descriptor == DescriptorKind::kVcpu) return take_vcpu_call(item, *call);
  if (call->error != 0) return;
  switch (call->number()) {
    case kCallCreateVm:
      vm_slots = std::make_shared<MemorySlots>(context.byte_order);  // crashes keep theirs
      // What comes now for a vCPU's id is for this VM's, which did not run yet.
      ++vm_;
      ran_last_.clear();
      set_next_.clear();
      in_kernel_irqchip = false;
      break;
    case kCallSetUserMemoryRegion:
    case kCallSetUserMemoryRegion2:
      vm_slots->note(*call);
      break;
    case kCallCreateIrqchip:
      in_kernel_irqchip = true;
      break;
    default:
      break;
  }
}

std::optional<uint32_t> Case::last_index_of(uint32_t vcpu_id) const {
  auto found = ran_last_.find(vcpu_id);
  if (found == ran_last_.end()) return std::nullopt;
  return found->second;
}

void Case::take_vcpu_call(const Item& item, const ControlCall& call) {
  const auto index = last_index_of(call.vcpu_id);
  const std::optional<Place> after = index ? vcpus.at(*index).last_place() : std::nullopt;
  const auto whole = [](RegisterSet set, std::span<const uint8_t> bytes) {
    return RegistersView{set, RegisterStatus::kTaken, 0, bytes};
  };
  const auto set = [&](RegisterSet number) {
    if (call.error == 0 && index && number != RegisterSet::kGuestDebug)
      vcpus.at(*index).registers_set_after = after;
    if (call.error == 0 && !call.in.empty())
      set_next_[call.vcpu_id].put(RegisterOrigin::kSetByMonitor, after, whole(number, call.in),
                                  context.byte_order);
  };
  const auto read = [&](RegisterSet number) {
    if (call.error == 0 && !call.out.empty() && index)
      vcpus.at(*index).known.put(RegisterOrigin::kReadByMonitor, after, whole(number, call.out),
                                 context.byte_order);
  };
  switch (call.number()) {
    case kCallSetRegs:
      return set(RegisterSet::kRegs);
    case kCallSetSregs:
    case kCallSetSregs2:  // begins as kvm_sregs does, up to apic_base
      return set(RegisterSet::kSregs);
    case kCallSetGuestDebug:
      return set(RegisterSet::kGuestDebug);
    case kCallGetRegs:
      return read(RegisterSet::kRegs);
    case kCallGetSregs:
    case kCallGetSregs2:
      return read(RegisterSet::kSregs);
    case kCallSetVcpuEvents:
      return take_events(item, call);
    case kCallNmi:
    case kCallInterrupt:
    case kCallSetMce: {
      Injection injection;
      injection.time_ns = item.time_ns;
      injection.vcpu_id = call.vcpu_id;
      injection.after = after;
      injection.refused = call.error != 0;
      injection.machine_check = call.number() == kCallSetMce;
      injection.what = call.number() == kCallNmi         ? "NMI"
                       : call.number() == kCallInterrupt ? "interrupt"
                                                         : "machine check";
      return inject(std::move(injection));
    }
    default:
      return;
  }
}

// QEMU writes all of a vCPU's state now and then; only what makes something happen is one.
void Case::take_events(const Item& item, const ControlCall& call) {
  const auto fields = decode_struct(context, "kvm_vcpu_events", call.in);
  if (!fields.ok()) return;
  Injection injection;
  injection.time_ns = item.time_ns;
  injection.vcpu_id = call.vcpu_id;
  if (const auto index = last_index_of(call.vcpu_id))
    injection.after = vcpus.at(*index).last_place();
  injection.refused = call.error != 0;
  const auto add = [&](const std::string& what) {
    injection.what += injection.what.empty() ? what : ", " + what;
  };
  if (is_arm64()) {
    injection.arm_external_abort = field_of(*fields, "exception.ext_dabt_pending") != 0;
    injection.arm_serror = field_of(*fields, "exception.serror_pending") != 0;
    if (injection.arm_external_abort) add("synchronous external data abort");
    if (injection.arm_serror) {
      const bool has_esr = field_of(*fields, "exception.serror_has_esr") != 0;
      add(has_esr ? fmt::format("SError with ESR {:#x}", field_of(*fields, "exception.serror_esr"))
                  : "SError");
    }
  } else {
    if (field_of(*fields, "exception.injected") != 0)
      add(exception_text(field_of(*fields, "exception.nr")));
    if (field_of(*fields, "nmi.injected") != 0 || field_of(*fields, "nmi.pending") != 0) add("NMI");
    if (field_of(*fields, "interrupt.injected") != 0)
      add(fmt::format("interrupt {:#x}", field_of(*fields, "interrupt.nr")));
    if (field_of(*fields, "triple_fault.pending") != 0) add("triple fault");
  }
  if (!injection.what.empty()) inject(std::move(injection));
}

void Case::inject(Injection injection) {
  injection.vm = vm_;
  if (injections.size() == kInjectionsMax) injections.pop_front();
  injections.push_back(std::move(injection));
}

// Of all vCPUs: an exit that ended its vCPU before one that did not, a fatal one before one that
// may have been handled, and of several the first, which the others may only have followed.
void Case::choose_crash() {
  // A snapshot is of the crash that it was written for, if others' VMs crashed before.
  const auto named = vcpus.find(crashed_vcpu(reader.session()).value_or(kSessionStream));
  const auto rank = [&](const VcpuStory& vcpu) {
    return std::tuple(named != vcpus.end() && vcpu.vm != named->second.vm,
                      vcpu.crash->exits_behind > kWentOnAfter,
                      vcpu.crash->kind != CrashKind::kFatal, vcpu.crash->exit.time_ns);
  };
  const VcpuStory* of = nullptr;
  for (const auto& [index, vcpu] : vcpus)
    if (vcpu.crash && (of == nullptr || rank(vcpu) < rank(*of))) of = &vcpu;
  slots = *vm_slots;
  if (of == nullptr) return;
  crash = &*of->crash;
  slots = *crash->slots;
  other_crashes = of->earlier_crashes;
  for (const auto& [index, vcpu] : vcpus)
    if (vcpu.crash && &vcpu != of && other_crashes.size() < kOtherCrashesMax)
      other_crashes.push_back(vcpu.crash->exit.place);
  decoded_crash = crash->exit.decoded(decoder);

  const Registers taken(context, crash->with);
  Registers with = taken;
  if (with.empty()) with = Registers(context, decoded_crash.moment, crash->exit.place);
  if (with.empty() && of->last_place() == crash->exit.place)
    if (auto part = of->known.parts.find(RegisterSet::kRegs);
        part != of->known.parts.end() && part->second.exit == crash->exit.place)
      with = Registers(context, of->known);
  before_crash =
      crash->before_in_sync.empty() ? Registers(context, crash->before) : crash->before_in_sync;
  if (is_x86() && crashed_by(kExitShutdown) && is_x86_reset_state(with)) {
    no_registers =
        "those recorded with it are reset values: KVM on AMD resets the vCPU before it reports "
        "the shutdown";
  } else if (!with.empty()) {
    at_crash = std::move(with);
  } else {
    no_registers = "none were recorded with it";
    for (const std::string& missing : taken.missing()) no_registers += "; " + missing;
  }
}

}  // namespace kvmtape
