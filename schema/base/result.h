// How everything outside the vCPU's run loop reports that the world did not do what was asked of
// it: a value, or an Error that says what went wrong, where, and what the user can do next. Result
// is [[nodiscard]]; KVMTAPE_TRY hands an error upward. Bugs of ours are check.h's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace kvmtape {

enum class ErrorCode : uint8_t {
  kUsage,        // the caller asked for something that does not exist or does not fit together
  kIo,           // the operating system refused; the message carries strerror
  kNotATrace,    // these bytes were never a trace
  kUnsupported,  // a trace (or ring) of a newer major version, or a thing this build cannot do
  kTruncated,    // the writer died here: everything before is good, nothing after was ever written
  kCorrupt,      // bytes are wrong; reading can resume at the next chunk
  kRefused,      // the kernel said no to a KVM call
};

struct Error {
  ErrorCode code = ErrorCode::kIo;
  std::string message;                  // what, why, and what to do next
  std::string path;                     // file concerned; empty when none
  std::optional<uint64_t> byte_offset;  // position in that file, when one is known

  // "path: message (at byte N)", the form in which a tool prints it.
  std::string to_string() const {
    std::string text = path.empty() ? message : path + ": " + message;
    if (byte_offset) text += " (at byte " + std::to_string(*byte_offset) + ")";
    return text;
  }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T&& value() && { return std::get<T>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() { return std::get<Error>(state_); }
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace kvmtape

#define KVMTAPE_CONCAT_INNER(a, b) a##b
#define KVMTAPE_CONCAT(a, b) KVMTAPE_CONCAT_INNER(a, b)

// Evaluates a Result<void>; returns its error from the enclosing function.
#define KVMTAPE_TRY(expression)                                 \
  do {                                                          \
    auto KVMTAPE_CONCAT(try_, __LINE__) = (expression);         \
    if (!KVMTAPE_CONCAT(try_, __LINE__).ok())                   \
      return std::move(KVMTAPE_CONCAT(try_, __LINE__).error()); \
  } while (false)

// Declares `target` from a Result<T>; returns its error from the enclosing function.
#define KVMTAPE_TRY_ASSIGN(target, expression)                \
  auto KVMTAPE_CONCAT(try_, __LINE__) = (expression);         \
  if (!KVMTAPE_CONCAT(try_, __LINE__).ok())                   \
    return std::move(KVMTAPE_CONCAT(try_, __LINE__).error()); \
  target = std::move(KVMTAPE_CONCAT(try_, __LINE__)).value()
