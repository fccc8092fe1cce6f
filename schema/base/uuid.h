// The name of a session or of a boot: 128 bits. Text and making of it are in uuid_text.h, which
// code on the vCPU's thread does without.
#pragma once

#include <cstdint>

namespace kvmtape {

struct Uuid {
  uint8_t bytes[16];
  bool operator==(const Uuid&) const = default;
};

}  // namespace kvmtape
