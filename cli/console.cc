#include "cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/human.h"

namespace kvmtape {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;

}  // namespace

void say(std::string_view line) {
  const std::string text = fmt::format("{}\n", line);
  for (size_t written = 0; written < text.size();) {
    const ssize_t count = write(STDERR_FILENO, text.data() + written, text.size() - written);
    if (count > 0)
      written += static_cast<size_t>(count);
    else if (count == 0 || errno != EINTR)
      return;
  }
}

int worse_of(int a, int b) {
  for (int status : {kFailed, kAnswerIsNo, kIncomplete})
    if (a == status || b == status) return status;
  return kDone;
}

Console::~Console() { flush(); }

void Console::set_color(Color color) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool unwanted = no_color != nullptr && *no_color != '\0';
  colored_ =
      color == Color::kAlways || (color == Color::kAuto && !unwanted && isatty(STDOUT_FILENO) != 0);
}

bool Console::print(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? !pipe_closed_ && write_error_ == 0 : flush();
}

bool Console::flush() {
  size_t written = 0;
  while (written < buffer_.size() && !pipe_closed_ && write_error_ == 0) {
    const ssize_t count = write(STDOUT_FILENO, buffer_.data() + written, buffer_.size() - written);
    if (count >= 0)
      written += static_cast<size_t>(count);
    else if (errno == EPIPE)
      pipe_closed_ = true;
    else if (errno != EINTR)
      write_error_ = errno;
  }
  buffer_.clear();
  return !pipe_closed_ && write_error_ == 0;
}

std::string Console::painted(std::string_view text, std::string_view sgr) const {
  if (!colored_ || sgr.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", sgr, text);
}

void Console::warn(std::string_view text) {
  if (!quiet_) say(fmt::format("kvmtape: {}", printable(text)));
}

void Console::note(std::string_view text) {
  if (!quiet_ && !text.empty()) say(printable(text));
}

int Console::fail(const Error& error) { return fail(error.to_string()); }

int Console::fail(std::string_view message) {
  flush();  // what was found before stands first
  say(fmt::format("kvmtape: {}", printable(message)));
  return kFailed;
}

int Console::finish(int status) {
  flush();
  if (write_error_ == 0) return status;
  return fail(fmt::format("standard output cannot be written: {}; what was printed is cut off",
                          std::strerror(write_error_)));
}

}  // namespace kvmtape
