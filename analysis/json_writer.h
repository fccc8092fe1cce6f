// Writes one JSON text into a buffer, value by value, without building a document first: for
// `dump`, which prints hundreds of thousands of objects a second. Commas are put in here; that
// objects and lists close is the caller's business. Whatever bytes a string holds, the text is
// valid UTF-8. One thread; the buffer keeps its memory from line to line.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace kvmtape {

class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_list() { open('['); }
  void end_list() { close(']'); }

  void key(std::string_view name);  // of this program: needs no escape
  void string(std::string_view text);
  void hex(uint64_t value);                       // "0x1f"
  void bytes(std::span<const uint8_t> in_order);  // "1f00", memory order
  void boolean(bool value);
  void null();
  template <typename Integer>
  void number(Integer value) {
    separate();
    const fmt::format_int digits(value);
    buffer_.append(digits.data(), digits.data() + digits.size());
  }
  // null where there is none.
  template <typename Optional>
  void number_or_null(const Optional& value) {
    if (value)
      number(*value);
    else
      null();
  }

  void end_line() {
    buffer_.push_back('\n');
    comma_ = false;
  }
  std::string_view text() const { return {buffer_.data(), buffer_.size()}; }
  void clear() {
    buffer_.clear();
    comma_ = false;
  }

 private:
  void separate() {
    if (comma_) buffer_.push_back(',');
    comma_ = true;
  }
  void open(char bracket) {
    separate();
    buffer_.push_back(bracket);
    comma_ = false;
  }
  void close(char bracket) {
    buffer_.push_back(bracket);
    comma_ = true;
  }
  void append(std::string_view text) { buffer_.append(text.data(), text.data() + text.size()); }

  fmt::memory_buffer buffer_;
  bool comma_ = false;  // something stands before the next value
};

}  // namespace kvmtape
