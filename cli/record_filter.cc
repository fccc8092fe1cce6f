#include "cli/record_filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/selection.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

Result<uint64_t> parse_address(std::string_view text) {
  const auto value = hex_or_decimal(text);
  if (!value)
    return usage_error(
        fmt::format("--address: '{}' is no address; write 0xfee00000-0xfee00fff", text));
  return *value;
}

}  // namespace

Result<void> keep_exits(const std::vector<std::string>& names, CaptureFilter& filter) {
  if (!names.empty()) filter.reasons = 0;
  for (const std::string& name : names) {
    KVMTAPE_TRY_ASSIGN(const uint32_t reason, parse_exit_name(name));
    filter.reasons |= uint64_t{1} << std::min<uint64_t>(reason, kReasonBitsMax);
  }
  return {};
}

Result<void> keep_vcpus(const std::vector<std::string>& ids, CaptureFilter& filter) {
  for (const std::string& text : ids) {
    KVMTAPE_TRY_ASSIGN(const uint64_t id, parse_number("--vcpu", text));
    if (id >= kFilterVcpusMax)
      return usage_error(fmt::format("--vcpu {}: ids go up to {}; without --vcpu all are recorded",
                                     text, kFilterVcpusMax - 1));
    filter.some_vcpus = 1;
    filter.vcpus[id / 64] |= uint64_t{1} << id % 64;
  }
  return {};
}

Result<void> keep_addresses(const std::vector<std::string>& ranges, CaptureFilter& filter) {
  for (const std::string& text : ranges) {
    if (filter.address_count == kFilterAddressesMax)
      return usage_error(
          fmt::format("--address: at most {} ranges; join some", kFilterAddressesMax));
    const size_t dash = text.find('-');
    KVMTAPE_TRY_ASSIGN(const uint64_t first, parse_address(text.substr(0, dash)));
    uint64_t last = first;
    if (dash != std::string::npos) {
      KVMTAPE_TRY_ASSIGN(last, parse_address(text.substr(dash + 1)));
    }
    if (last < first)
      return usage_error(fmt::format("--address {}: ends before it begins; write A-B", text));
    filter.addresses[filter.address_count++] = {first, last};
  }
  return {};
}

}  // namespace kvmtape
