#include "analysis/json_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace kvmtape {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

bool stands_for_itself(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

}  // namespace

void JsonWriter::key(std::string_view name) {
  separate();
  buffer_.push_back('"');
  append(name);
  append("\":");
  comma_ = false;
}

void JsonWriter::string(std::string_view text) {
  separate();
  if (std::all_of(text.begin(), text.end(), stands_for_itself)) {
    buffer_.push_back('"');
    append(text);
    buffer_.push_back('"');
    return;
  }
  // Rare: the library escapes, and replaces what is not UTF-8 by U+FFFD.
  append(nlohmann::json(std::string(text))
             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void JsonWriter::hex(uint64_t value) {
  separate();
  char digits[16];
  size_t count = 0;
  do {
    digits[count++] = kDigits[value & 0xf];
    value >>= 4;
  } while (value != 0);
  append("\"0x");
  while (count > 0) buffer_.push_back(digits[--count]);
  buffer_.push_back('"');
}

void JsonWriter::bytes(std::span<const uint8_t> in_order) {
  separate();
  buffer_.push_back('"');
  const size_t start = buffer_.size();
  buffer_.resize(start + 2 * in_order.size());
  char* to = buffer_.data() + start;
  for (uint8_t byte : in_order) {
    *to++ = kDigits[byte >> 4];
    *to++ = kDigits[byte & 0xf];
  }
  buffer_.push_back('"');
}

void JsonWriter::boolean(bool value) {
  separate();
  append(value ? "true" : "false");
}

void JsonWriter::null() {
  separate();
  append("null");
}

}  // namespace kvmtape
