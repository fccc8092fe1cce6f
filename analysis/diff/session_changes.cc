#include "analysis/diff/session_changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "analysis/capability_names.h"
#include "analysis/session_context.h"

namespace kvmtape {
namespace {

// Of a processor they change from moment to moment.
bool is_momentary(const std::string& fact) { return fact == "cpu MHz" || fact == "bogomips"; }

// Of what every session says: there is nothing, which is not the same as not known.
std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string capability_text(uint32_t number) {
  const std::string_view name = capability_name(number);
  return name.empty() ? fmt::format("capability {}", number) : fmt::format("{} ({})", name, number);
}

std::map<std::string, std::string> facts_of(const Session& session) {
  std::map<std::string, std::string> facts;
  for (const auto& [name, value] : session.cpu_facts)
    if (!is_momentary(name)) facts["cpu " + name] = value;
  return facts;
}

std::map<uint32_t, std::string> capabilities_of(const Session& session) {
  std::map<uint32_t, std::string> capabilities;
  for (const auto& [number, value] : decode_context_of(session).capabilities)
    capabilities[number] = std::to_string(value);
  return capabilities;
}

template <typename Map, typename Name>
void compare_maps(const Map& a, const Map& b, const Name& name,
                  std::vector<SessionChange>& changes) {
  Map all = a;
  all.insert(b.begin(), b.end());
  const auto text = [](const Map& map, const auto& key) {
    const auto found = map.find(key);
    return found == map.end() ? std::string() : found->second;
  };
  for (const auto& [key, value] : all)
    if (text(a, key) != text(b, key)) changes.push_back({name(key), text(a, key), text(b, key)});
}

}  // namespace

std::vector<SessionChange> session_changes(const Session& a, const Session& b) {
  std::vector<SessionChange> changes;
  const auto compare = [&](const char* name, const std::string& in_a, const std::string& in_b) {
    if (in_a != in_b) changes.push_back({name, in_a, in_b});
  };
  compare("kernel", a.kernel_release, b.kernel_release);
  compare("kernel version", a.kernel_version, b.kernel_version);
  compare("distribution", a.distribution, b.distribution);
  compare("byte order", a.byte_order == ByteOrder::kLittle ? "little" : "big",
          b.byte_order == ByteOrder::kLittle ? "little" : "big");
  compare("page bytes", std::to_string(a.page_bytes), std::to_string(b.page_bytes));
  compare("vCPUs", std::to_string(a.vcpus.size()), std::to_string(b.vcpus.size()));
  compare("monitor", a.monitor_name, b.monitor_name);
  compare("recorder", a.recorder, b.recorder);
  compare("registers", a.register_policy, b.register_policy);
  compare("left out", or_none(fmt::format("{}", fmt::join(a.left_out, ", "))),
          or_none(fmt::format("{}", fmt::join(b.left_out, ", "))));
  compare("redaction", or_none(a.redaction), or_none(b.redaction));
  compare("ABI variant", or_none(a.abi_variant), or_none(b.abi_variant));
  compare_maps(capabilities_of(a), capabilities_of(b), capability_text, changes);
  compare_maps(
      facts_of(a), facts_of(b), [](const std::string& name) { return name; }, changes);
  return changes;
}

}  // namespace kvmtape
