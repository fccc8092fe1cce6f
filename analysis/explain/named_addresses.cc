#include "analysis/explain/named_addresses.h"

#include <fmt/format.h>

#include <string_view>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr size_t kStackNamesMax = 16;

}  // namespace

std::vector<NamedAddress> named_addresses(const Case& all, const Symbols& symbols) {
  std::vector<NamedAddress> found;
  // A return address is that of the instruction behind the call, which another line may have made.
  const auto add = [&](std::string what, uint64_t address, bool is_return) {
    std::string name = symbols.at(address);
    if (!name.empty())
      found.push_back({std::move(what), address, std::move(name),
                       symbols.source_line(is_return ? address - 1 : address)});
  };
  if (all.crash == nullptr) return found;
  for (const char* name : {"rip", "PC", "ELR_EL1", "X30"})
    if (const auto value = all.at_crash.get(name))
      add(name, *value, std::string_view(name) == "X30");
  for (const MemorySlice& slice : all.crash->memory) {
    if (static_cast<MemorySliceOf>(slice.record.of) != MemorySliceOf::kStack) continue;
    ByteCursor cursor(slice.bytes, all.context.byte_order);
    for (size_t at = 0; cursor.remaining() >= sizeof(uint64_t); at += sizeof(uint64_t)) {
      if (found.size() >= kStackNamesMax) break;
      add(fmt::format("stack+{:#x}", at), cursor.read<uint64_t>(), true);
    }
  }
  return found;
}

}  // namespace kvmtape
