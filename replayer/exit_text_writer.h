// The parts of exit_text(), one for each kind of exit that says more than its fields' values. Each
// writes what may be believed, and "?" for what may not. Not for use outside exit_text*.cc.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "replayer/exit_decoder.h"

namespace kvmtape {

struct FailedInstruction;

struct ExitText {
  const DecodeContext& context;
  const RawMoment& moment;
  const Exit& exit;
  fmt::memory_buffer& to;

  // exit_text.cc
  void io() const;
  void access(std::string_view address, std::string_view len, std::string_view data_name,
              std::string_view is_write) const;
  void fields_of(std::string_view member) const;

  // exit_text_events.cc: the guest stopped, or cannot go on
  void no_reason() const;
  void debug_arm64() const;
  void debug_x86() const;
  void arm_abort() const;
  void internal_error() const;
  void instruction(const FailedInstruction& failed) const;
  void fail_entry() const;
  void system_event() const;

  // exit_text_calls.cc: the guest asks for something
  void hypercall() const;
  void sbi() const;
  void papr_hcall() const;
  void msr(bool is_write) const;

  template <typename... Arguments>
  void print(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fmt::format_to(std::back_inserter(to), format, std::forward<Arguments>(arguments)...);
  }
  const Field* valid(std::string_view name, int element = -1) const {
    const Field* field = exit.find(name, element);
    return field != nullptr && field->validity == Validity::kValid ? field : nullptr;
  }
  std::string hex(std::string_view name, int element = -1) const {
    const Field* field = valid(name, element);
    return field == nullptr ? "?" : fmt::format("{:#x}", field->value);
  }
  // A number where the guest can only be little-endian, otherwise the bytes as they lie in memory.
  void print_data(std::span<const uint8_t> bytes) const;
};

}  // namespace kvmtape
