#include "recorder/probe/guests/aarch64/battery.h"

#include <array>

namespace kvmtape {

std::span<const Guest* const> battery() {
  static constexpr std::array kBattery = {
      &arm64::kMmioWrite,
      &arm64::kMmioRead,
      &arm64::kPsciOff,
  };
  return kBattery;
}

}  // namespace kvmtape
