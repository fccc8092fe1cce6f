#include "replayer/rewrite/redactor.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

// kvm_run.exit_reason and kvm_run.flags; include/uapi/linux/kvm.h, all versions.
struct KeptBytes {
  size_t offset;
  size_t bytes;
};
constexpr KeptBytes kAlwaysKept[] = {{8, 4}, {14, 2}};

constexpr std::array<uint8_t, kDataBytesMax> kZeros{};

}  // namespace

Redactor::Redactor(const DecodeContext& context, RedactionProfile profile)
    : profile_(std::max(profile, context.redaction)),
      decoder_(context),
      core_bytes_(size_t{core_words_of(context.architecture)} * kWordBytes) {}

void Redactor::edit(Session& session) {
  session.redaction = to_string(profile_);
  session.monitor_command.clear();  // a guest's kernel arguments may stand in it
  if (profile_ == RedactionProfile::kStrict) session.host_name.clear();
}

void Redactor::edit(RecordedExit& exit) {
  exit.kvm_run = redact({exit.kvm_run, exit.data, exit.ret, true, false}, exit_image_);
  if (exit.has_answer)
    exit.answer_kvm_run =
        redact({exit.answer_kvm_run, exit.answer_data, exit.ret, true, true}, answer_image_);
  exit.data = std::span(kZeros).first(std::min(exit.data.size(), kZeros.size()));
  exit.answer_data = std::span(kZeros).first(std::min(exit.answer_data.size(), kZeros.size()));
}

std::span<const uint8_t> Redactor::redact(const RawMoment& moment, Image& image) {
  decoder_.decode(moment, exit_);
  image.fill(0);
  const size_t core = std::min(core_bytes_, moment.kvm_run.size());
  const auto copy = [&](size_t offset, size_t bytes) {
    if (offset + bytes <= core)
      std::copy_n(moment.kvm_run.begin() + static_cast<ptrdiff_t>(offset), bytes,
                  image.begin() + static_cast<ptrdiff_t>(offset));
  };
  for (const auto [offset, bytes] : kAlwaysKept) copy(offset, bytes);
  for (const Field& field : exit_.all_fields())
    if (!field.in_data && field.validity == Validity::kValid && keeps(profile_, field.sensitivity))
      copy(field.offset, field.bytes);
  // Fields may share bytes: what is removed goes, whoever else has it.
  for (const Field& field : exit_.all_fields())
    if (!field.in_data && !keeps(profile_, field.sensitivity) && field.offset + field.bytes <= core)
      std::fill_n(image.begin() + field.offset, field.bytes, uint8_t{0});
  size_t size = core;
  if (keeps_registers()) {  // the sync area
    std::copy(moment.kvm_run.begin() + static_cast<ptrdiff_t>(core), moment.kvm_run.end(),
              image.begin() + static_cast<ptrdiff_t>(core));
    size = moment.kvm_run.size();
  }
  return std::span(image).first(size);
}

bool Redactor::edit(SideRecord& side) {
  switch (side.kind) {
    case RecordKind::kGap:
    case RecordKind::kRepeat:
    case RecordKind::kClockPair:
      return true;
    case RecordKind::kMark:
      if (profile_ != RedactionProfile::kStrict) return true;
      side.ret = 0;
      side.payload = {};
      return true;
    case RecordKind::kEntry: {  // the mask, then kvm_run as no exit explains it
      uint8_t* image = take_payload(side, side.payload.size());
      std::fill(image + std::min(side.payload.size(), kWordBytes), image + side.payload.size(),
                uint8_t{0});
      return true;
    }
    case RecordKind::kRegisters:
      return redact_registers(side);
    case RecordKind::kMemorySlice:
      return redact_memory(side);
    case RecordKind::kControlCall:
      return redact_call(side);
    default:  // nobody knows what is in it
      return false;
  }
}

bool Redactor::redact_registers(SideRecord& side) {
  if (side.payload.size() < sizeof(RegistersRecord)) return false;
  const auto set = static_cast<RegisterSet>(load_le<uint16_t>(side.payload.data()));
  const bool known = set >= RegisterSet::kDebugRegs && set <= RegisterSet::kXcrs;
  if (keeps_registers() && known) return true;  // kMsrs and later ones hold data values
  uint8_t* record = take_payload(side, sizeof(RegistersRecord));
  store_le(record + offsetof(RegistersRecord, status),
           static_cast<uint16_t>(RegisterStatus::kRedacted));
  store_le(record + offsetof(RegistersRecord, bytes), uint32_t{0});
  return true;
}

bool Redactor::redact_memory(SideRecord& side) {
  if (side.payload.size() < sizeof(MemorySliceRecord)) return false;
  uint8_t* record = take_payload(side, sizeof(MemorySliceRecord));
  store_le(record + offsetof(MemorySliceRecord, bytes), uint32_t{0});
  if (!keeps_registers()) {  // the pointers themselves, and where on a page they point
    store_le(record + offsetof(MemorySliceRecord, guest_virtual), uint64_t{0});
    store_le(record + offsetof(MemorySliceRecord, guest_physical), uint64_t{0});
  }
  return true;
}

// Payloads are what the monitor gave KVM or got: register sets, MSRs, routing tables.
bool Redactor::redact_call(SideRecord& side) {
  if (side.payload.size() < sizeof(ControlCallRecord)) return false;
  uint8_t* record = take_payload(side, sizeof(ControlCallRecord));
  store_le(record + offsetof(ControlCallRecord, in_bytes), uint32_t{0});
  store_le(record + offsetof(ControlCallRecord, out_bytes), uint32_t{0});
  const auto request = load_le<uint32_t>(record + offsetof(ControlCallRecord, request));
  if (!keeps(profile_, sensitivity_of_argument(request)))
    store_le(record + offsetof(ControlCallRecord, argument), uint64_t{0});
  return true;
}

uint8_t* Redactor::take_payload(SideRecord& side, size_t bytes) {
  payload_.assign(side.payload.begin(), side.payload.begin() + static_cast<ptrdiff_t>(bytes));
  side.payload = payload_;
  return payload_.data();
}

}  // namespace kvmtape
