#include "analysis/diff/normaliser.h"

#include <algorithm>
#include <array>

#include "analysis/hash.h"
#include "schema/abi/exit_numbers.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

constexpr uint64_t kNoReason = 0xff;

constexpr std::string_view kInterruptFields[] = {"request_interrupt_window", "immediate_exit",
                                                 "ready_for_interrupt_injection", "if_flag"};
constexpr std::string_view kPlaceFields[] = {
    "io.port",   "io.direction",      "mmio.phys_addr",    "mmio.is_write",  "hypercall.nr",
    "msr.index", "system_event.type", "internal.suberror", "papr_hcall.nr",  "hyperv.type",
    "dcr.dcrn",  "eoi.vector",        "debug.arch.pc",     "debug.arch.hsr", "arm_nisv.fault_ipa"};
constexpr std::string_view kAddressFields[] = {"mmio.phys_addr", "arm_nisv.fault_ipa",
                                               "memory_fault.gpa", "arm_sea.gpa"};

constexpr std::string_view kVirtualFields[] = {
    "debug.arch.pc",  "debug.arch.far", "debug.arch.addr", "debug.arch.address",
    "debug.arch.epc", "arm_sea.gva",    "tpr_access.rip",  "psw_addr"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_stale(const Exit& exit) {
  return exit.reason_validity != Validity::kValid || !exit.reason_recorded;
}

}  // namespace

bool is_virtual_address(std::string_view field) { return is_one_of(field, kVirtualFields); }

Normaliser::Normaliser(const DecodeContext& a, const DecodeContext& b, DiffRules rules)
    : rules_(std::move(rules)), differences_(a, b), decoder_a_(a), decoder_b_(b) {}

bool Normaliser::leaves_out(const RecordedExit& exit) const {
  if (!rules_.eintr && errno_of(exit.ret) == kErrorIntr) return true;
  if (exit.ret < 0) return false;  // its reason may be an earlier exit's
  if (!rules_.interrupts && (exit.reason == kExitIrqWindowOpen || exit.reason == kExitIntr))
    return true;
  return std::ranges::find(rules_.ignored_exits, exit.reason) != rules_.ignored_exits.end();
}

bool Normaliser::compares_field(std::string_view name) const {
  if (!rules_.interrupts && is_one_of(name, kInterruptFields)) return false;
  return std::ranges::find(rules_.ignored_fields, name) == rules_.ignored_fields.end();
}

// By what is known of the two kernels, and by what each makes of an exit of which all is zero.
bool Normaliser::kernels_differ(uint32_t reason, std::string_view name) const {
  if (!differences_.explaining(ChangePlace::at_field(reason, name)).empty()) return true;
  std::array<uint8_t, 304> page{};
  const auto validity_in = [&](const ExitDecoder& decoder) {
    const bool big = decoder.context().byte_order == ByteOrder::kBig;
    constexpr size_t kReasonOffset = 8;  // offsetof(struct kvm_run, exit_reason)
    page.fill(0);
    page[kReasonOffset + (big ? 3 : 0)] = static_cast<uint8_t>(reason);
    Exit exit;
    RawMoment moment;
    moment.kvm_run = page;
    decoder.decode(moment, exit);
    if (name == "flags") return exit.flags_validity;
    const Field* field = exit.find(name);
    if (field == nullptr) field = exit.find(name, 0);
    return field == nullptr ? Validity::kAbsent : field->validity;
  };
  return validity_in(decoder_a_) != validity_in(decoder_b_);
}

Normaliser::NamedRole Normaliser::judge(uint32_t reason, std::string_view name) const {
  NamedRole named{reason,
                  name,
                  hash_text(name),
                  FieldRole::kAligned,
                  is_one_of(name, kAddressFields),
                  is_virtual_address(name)};
  if (!compares_field(name))
    named.role = FieldRole::kIgnored;
  else if (kernels_differ(reason, name))
    named.role = FieldRole::kRest;
  else if (is_one_of(name, kPlaceFields))
    named.role = FieldRole::kPlace;
  return named;
}

// Names are static text: a field is found by where its name lies.
const Normaliser::NamedRole& Normaliser::role_of(uint32_t reason, std::string_view name) {
  const auto is_it = [&](const NamedRole& role) {
    return role.reason == reason && role.name.data() == name.data() &&
           role.name.size() == name.size();
  };
  const auto where = reinterpret_cast<uintptr_t>(name.data());
  const NamedRole*& recent = recent_roles_[mix(where, reason) % recent_roles_.size()];
  if (recent != nullptr && is_it(*recent)) return *recent;
  const auto known = std::ranges::find_if(roles_, is_it);
  recent = known != roles_.end() ? &*known : &roles_.emplace_back(judge(reason, name));
  return *recent;
}

uint64_t Normaliser::value_of(const Field& field, const RawMoment& moment, const NamedRole& named,
                              const GuestAddresses& addresses) const {
  if (field.kind == FieldKind::kBytes) return hash_bytes(raw_bytes(field, moment));
  if (rules_.addresses) return field.value;
  if (named.is_virtual)
    if (const auto place = hash_place(addresses.symbols, field.value)) return *place;
  if (!named.is_physical) return field.value;
  const MemorySlots::Slot* slot = addresses.slots.find(field.value);
  if (slot == nullptr) return field.value;
  return mix(uint64_t{slot->number} + 1, field.value - slot->guest_physical);
}

std::span<const ComparedField> Normaliser::compared_fields(const DecodedExit& decoded,
                                                           const GuestAddresses& addresses,
                                                           size_t list) {
  std::vector<ComparedField>& fields = fields_[list];
  fields.clear();
  const auto take = [&](const Field& field, const RawMoment& moment, bool in_answer) {
    const NamedRole& named = role_of(decoded.exit.reason, field.name);
    if (named.role == FieldRole::kIgnored) return;
    const uint64_t name = mix(named.hash, static_cast<uint64_t>(field.element) << 1 | in_answer);
    fields.push_back({&field, in_answer, name, value_of(field, moment, named, addresses),
                      in_answer ? FieldRole::kRest : named.role});
  };
  for (const Field& field : decoded.exit.all_fields())
    if (field.validity == Validity::kValid) take(field, decoded.moment, false);
  if (!rules_.answers || !decoded.has_answer) return fields;
  for (const Field& field : decoded.answer.all_fields())
    if (field.validity == Validity::kValid && differs_in_answer(decoded, field))
      take(field, decoded.answer_moment, true);
  return fields;
}

ExitIdentity Normaliser::identity(const DecodedExit& decoded, const GuestAddresses& addresses) {
  const Exit& exit = decoded.exit;
  const uint64_t reason = is_stale(exit) ? kNoReason : exit.reason;
  uint64_t place = 0, values = mix(reason, static_cast<uint32_t>(decoded.moment.ret)), rest = 0;
  const auto add = [&](FieldRole role, uint64_t name, uint64_t value) {
    const uint64_t both = mix(name, value);
    if (role == FieldRole::kPlace) place += both * kHashFactor;
    if (role == FieldRole::kRest) {
      rest += both * kHashFactor;
    } else {
      values += both * kHashFactor;  // in whatever order the kernels' tables have them
    }
  };
  for (const ComparedField& compared : compared_fields(decoded, addresses, 0))
    add(compared.role, compared.name_hash, compared.value);
  if (exit.flags_validity == Validity::kValid)
    if (const NamedRole& flags = role_of(exit.reason, "flags"); flags.role != FieldRole::kIgnored)
      add(flags.role, flags.hash, exit.flags);
  // The high halves of products are the well mixed ones. Values are in the rest as well: it tells
  // apart what fewer bits do not.
  rest = mix(rest, values);
  return make_identity(reason, place >> 40, values >> 40, rest >> 40);
}

}  // namespace kvmtape
