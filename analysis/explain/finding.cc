#include "analysis/explain/finding.h"

#include <fmt/format.h>

namespace kvmtape {

std::string_view confidence_word(double confidence) {
  if (confidence >= 0.85) return "very likely";
  if (confidence >= 0.6) return "likely";
  if (confidence >= 0.35) return "possible";
  return "weak";
}

std::string to_string(const Place& place) { return fmt::format("{}:{}", place.vcpu, place.seq); }

}  // namespace kvmtape
