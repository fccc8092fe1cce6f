// What a rule found: a cause of the guest's end or trouble, or a note that says how far the report
// may be trusted or that nothing is wrong. Plain data; text is for people and may hold bytes of the
// guest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvmtape {

// An exit, "0:412".
struct Place {
  uint32_t vcpu = 0;
  uint64_t seq = 0;
  bool operator==(const Place&) const = default;
};

struct Finding {
  std::string_view rule;  // its id, "triple-fault"
  std::string title;      // a sentence without its full stop
  double confidence = 0;  // 0 to 1; see confidence_word()
  bool is_note = false;   // no cause: --fail-on any passes over it
  std::vector<Place> evidence;
  std::vector<std::string> details;  // what it rests on, and what cannot be known
  std::string next;                  // what to check
  std::string change;                // the kernel change or document behind it; may be empty
  std::string_view kernel_change{};  // id of its row in kernel_changes.h; empty: it has none
};

// "very likely", "likely", "possible", "weak".
std::string_view confidence_word(double confidence);
std::string to_string(const Place& place);

}  // namespace kvmtape
