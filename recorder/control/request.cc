#include "recorder/control/request.h"

#include <algorithm>

namespace kvmtape {
namespace {

struct Verb {
  std::string_view name;
  Request::Kind kind;
  bool takes_text, needs_text;
};
constexpr Verb kVerbs[] = {{"status", Request::Kind::kStatus, false, false},
                           {"start", Request::Kind::kStart, false, false},
                           {"stop", Request::Kind::kStop, false, false},
                           {"snapshot", Request::Kind::kSnapshot, true, false},
                           {"mark", Request::Kind::kMark, true, true}};

Error refused(std::string why) {
  return Error{ErrorCode::kUsage, std::move(why), {}, std::nullopt};
}

bool is_control_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < ' ' || byte == 0x7f;
}

}  // namespace

Result<Request> parse_request(std::string_view line) {
  if (line.size() > kRequestBytesMax) return refused("the request is too long");
  if (std::ranges::any_of(line, is_control_character))
    return refused("the request holds control characters");
  const size_t space = line.find(' ');
  const std::string_view name = line.substr(0, space);
  const std::string_view text =
      space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  for (const Verb& verb : kVerbs) {
    if (verb.name != name) continue;
    if (!verb.takes_text && space != std::string_view::npos)
      return refused(std::string(name) + " takes no text");
    if (verb.needs_text && text.empty())
      return refused(std::string(name) + " needs a text: " + std::string(name) + " TEXT");
    return Request{verb.kind, std::string(text)};
  }
  return refused("there is no such request; write status, start, stop, snapshot or mark");
}

}  // namespace kvmtape
