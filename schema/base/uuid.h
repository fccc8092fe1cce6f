// Names for sessions and boots: 128 bits, written 8-4-4-4-12 in hex (RFC 4122).
// For set-up and for readers: these allocate. Rings and traces hold the bytes, see uuid_bytes.h.
#pragma once

#include <string>

#include "schema/base/uuid_bytes.h"

namespace kvmtape {

Uuid random_uuid();
std::string to_string(const Uuid& uuid);
// The other way; anything but hex digits is passed over, missing digits are zero.
Uuid parse_uuid(const std::string& text);
// /proc/sys/kernel/random/boot_id; zero where there is none.
Uuid this_boot_id();

}  // namespace kvmtape
