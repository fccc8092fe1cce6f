// What anybody may say on a recording's control socket.
#include <algorithm>
#include <string>

#include "recorder/control/request.h"
#include "schema/base/check.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {

void attack(std::span<const uint8_t> input) {
  const std::string line(input.begin(), input.end());
  const auto request = parse_request(line);
  if (!request.ok()) {
    KVMTAPE_CHECK(!request.error().message.empty());
    return;
  }
  KVMTAPE_CHECK(line.size() <= kRequestBytesMax);
  KVMTAPE_CHECK(line.ends_with(request->text));
  KVMTAPE_CHECK(std::ranges::all_of(
      request->text, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; }));
  KVMTAPE_CHECK(request->kind != Request::Kind::kMark || !request->text.empty());
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  for (const std::string text : {"status", "start", "stop", "snapshot", "snapshot a reason",
                                 "mark here", "mark \xc3\xa4", "mark ", "status now"})
    inputs.emplace_back(text.begin(), text.end());
  inputs.emplace_back(kRequestBytesMax + 1, 'm');
  return inputs;
}

}  // namespace kvmtape::fuzz
