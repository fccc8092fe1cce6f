#include "analysis/explain/reset_ports.h"

#include "analysis/explain/kept_exit.h"
#include "schema/abi/exit_numbers.h"

namespace kvmtape {
namespace {

struct Request {
  uint64_t port;
  uint8_t value;
  uint8_t mask;
  std::string_view what;
};
constexpr Request kRequests[] = {
    {0x64, 0xfe, 0xff, "pulsed the keyboard controller's reset line (0xfe to port 0x64)"},
    {0xcf9, 0x04, 0x04, "wrote the reset control register (port 0xcf9)"},
    {0x92, 0x01, 0x01, "set the fast reset bit of port 0x92"},
};

}  // namespace

std::string_view reset_request(const DecodedExit& decoded) {
  const Exit& exit = decoded.exit;
  if (exit.reason != kExitIo || valid_field(exit, "io.direction") != 1) return {};
  const auto port = valid_field(exit, "io.port");
  const auto data = valid_bytes(exit, decoded.moment, "io.data");
  if (!port || data.empty()) return {};
  for (const Request& request : kRequests)
    if (*port == request.port && (data[0] & request.mask) == request.value) return request.what;
  return {};
}

}  // namespace kvmtape
