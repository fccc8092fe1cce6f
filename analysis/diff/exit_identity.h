// The 64 bits that stand for an exit while two recordings are aligned; nothing else of it is kept.
// From the top: which exit (8), of which port, register or address (8), what it carries (24), and
// everything else that is compared (24). Exits are aligned by the first three; only if all 64 bits
// agree are two exits the same. Plain numbers, any thread.
#pragma once

#include <cstdint>

namespace kvmtape {

using ExitIdentity = uint64_t;

// The part that alignment goes by.
constexpr uint64_t aligned_part(ExitIdentity identity) { return identity >> 24; }
// Exit and port, register or address: what two exits that differ in data have in common.
constexpr uint64_t place_part(ExitIdentity identity) { return identity >> 48; }
constexpr uint64_t reason_part(ExitIdentity identity) { return identity >> 56; }

constexpr ExitIdentity make_identity(uint64_t reason, uint64_t place, uint64_t values,
                                     uint64_t rest) {
  return (reason & 0xff) << 56 | (place & 0xff) << 48 | (values & 0xffffff) << 24 |
         (rest & 0xffffff);
}

// The same exit with registers that were taken with it, by a hash of them.
constexpr ExitIdentity with_rest(ExitIdentity identity, uint64_t hash) {
  return identity ^ hash >> 40;
}

}  // namespace kvmtape
