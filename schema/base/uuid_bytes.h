// The bytes of a name for a session or a boot, as they stand in rings and traces. Apart from uuid.h
// because the vCPU's thread includes the ring's layout, and is to see no <string>.
#pragma once

#include <cstdint>

namespace kvmtape {

struct Uuid {
  uint8_t bytes[16];
  bool operator==(const Uuid&) const = default;
};

}  // namespace kvmtape
