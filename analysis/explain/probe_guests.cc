#include "analysis/explain/probe_guests.h"

#include <algorithm>
#include <string_view>

namespace kvmtape {
namespace {

constexpr std::string_view kRecorder = " probe", kMark = "probe ";
// The battery has some tens of guests with a few hundred exits each.
constexpr size_t kGuestsMax = 256;
constexpr uint64_t kExitsMax = 200'000;

// "probe shutdown: UD2 without an IDT" begins a guest, "probe shutdown: as expected" ends it.
void take_mark(std::string_view mark, std::vector<ProbeGuest>& guests) {
  const size_t colon = mark.find(": ");
  if (!mark.starts_with(kMark) || colon == std::string_view::npos) return;
  const std::string_view name = mark.substr(kMark.size(), colon - kMark.size());
  if (guests.empty() || guests.back().name != name) guests.push_back({std::string(name), {}, {}});
}

// Empty: there are more than the probe makes.
std::vector<ProbeGuest> guests_in(TraceReader& reader) {
  std::vector<ProbeGuest> guests;
  uint64_t exits = 0;
  Item item;
  for (reader.rewind(); reader.next(item);) {
    if (item.kind == Item::Kind::kMark) take_mark(item.mark, guests);
    if (guests.size() > kGuestsMax) return {};
    if (item.kind != Item::Kind::kExit || guests.empty()) continue;
    if (++exits > kExitsMax) return {};
    std::vector<uint32_t>& vcpus = guests.back().vcpus;
    if (std::ranges::find(vcpus, item.vcpu_index) == vcpus.end()) vcpus.push_back(item.vcpu_index);
  }
  std::erase_if(guests, [](const ProbeGuest& guest) { return guest.vcpus.empty(); });
  return guests;
}

}  // namespace

std::vector<ProbeGuest> explain_probe_guests(TraceReader& reader) {
  if (!reader.session().recorder.ends_with(kRecorder)) return {};
  std::vector<ProbeGuest> guests = guests_in(reader);
  for (ProbeGuest& guest : guests) {
    Selection selection;
    selection.vcpus = guest.vcpus;
    guest.causes = explain(reader, selection).causes;
  }
  return guests;
}

}  // namespace kvmtape
