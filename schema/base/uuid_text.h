// Making, writing and reading a Uuid: 8-4-4-4-12 hex digits (RFC 4122). Any thread; random_uuid and
// this_boot_id make system calls.
#pragma once

#include <string>

#include "schema/base/uuid.h"

namespace kvmtape {

Uuid random_uuid();
std::string to_string(const Uuid& uuid);
// The other way; anything but hex digits is passed over, missing digits are zero.
Uuid parse_uuid(const std::string& text);
// /proc/sys/kernel/random/boot_id; zero where there is none.
Uuid this_boot_id();

}  // namespace kvmtape
