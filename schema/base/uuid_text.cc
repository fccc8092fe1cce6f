#include "schema/base/uuid_text.h"

#include <sys/random.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>

#include "schema/base/byte_cursor.h"

namespace kvmtape {

Uuid random_uuid() {
  Uuid uuid{};
  if (::getrandom(uuid.bytes, sizeof uuid.bytes, 0) != sizeof uuid.bytes) {
    const auto now = static_cast<uint64_t>(::time(nullptr));
    store_le<uint64_t>(uuid.bytes, now ^ static_cast<uint64_t>(::getpid()) << 40);
  }
  uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);  // version 4, RFC 4122 4.4
  uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
  return uuid;
}

std::string to_string(const Uuid& uuid) {
  std::string text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", uuid.bytes[i]);
    text += digits;
  }
  return text;
}

Uuid parse_uuid(const std::string& text) {
  Uuid id{};
  size_t digit = 0;
  for (char c : text) {
    const char* digits = "0123456789abcdef";
    const char* found = c == '\0' ? nullptr : std::strchr(digits, c);
    if (found == nullptr || digit >= 32) continue;
    const auto nibble = static_cast<uint8_t>(found - digits);
    id.bytes[digit / 2] = static_cast<uint8_t>(id.bytes[digit / 2] << 4 | nibble);
    ++digit;
  }
  return id;
}

Uuid this_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  return parse_uuid(text);
}

}  // namespace kvmtape
