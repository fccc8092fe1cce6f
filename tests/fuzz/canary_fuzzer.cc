// A fuzzer with a bug that must be found: it tests that coverage guides mutations, that the
// sanitizers are on, and that a finding ends the run with an error and a named file. Which bug is
// chosen by the environment's KVMTAPE_CANARY: "address", "undefined" or "check".
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "schema/base/check.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

void misbehave(std::string_view how, uint8_t byte) {
  if (how == "address") {
    const auto bytes = std::make_unique<uint8_t[]>(4);
    touch({bytes.get(), size_t{4} + byte % 2 + 1});
  } else if (how == "undefined") {
    const int shift = 32 + byte % 2;
    touch(std::array{static_cast<uint8_t>(1 << shift)});
  } else {
    KVMTAPE_CHECK(how != "check");
  }
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  if (input.size() < 5 || input[0] != 't') return;
  if (input[1] != 'a') return;
  if (input[2] != 'p') return;
  if (input[3] != 'e') return;
  const char* how = std::getenv("KVMTAPE_CANARY");
  misbehave(how == nullptr ? "" : how, input[4]);
}

std::vector<Bytes> seeds() { return {Bytes{'t', 'o', 'p', 's', 0, 0}}; }

}  // namespace kvmtape::fuzz
