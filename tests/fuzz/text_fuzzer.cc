// Text that users and other systems write: kernel releases, names of exits, UUIDs.
#include <string>

#include "replayer/exit_decoder.h"
#include "schema/base/check.h"
#include "schema/base/uuid_text.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

void kernel_release(std::string_view text) {
  const auto version = parse_kernel_release(text);
  if (!version) return;
  std::string written = std::to_string(version->major) + "." + std::to_string(version->minor) +
                        "." + std::to_string(version->patch);
  if (version->release_candidate != 0)
    written += "-rc" + std::to_string(version->release_candidate);
  if (version->rebased) written += ".el9";
  KVMTAPE_CHECK(parse_kernel_release(written) == version);
  KVMTAPE_CHECK(version->at_least(0, 0) || version->release_candidate != 0);
}

void exit_name(std::string_view text) {
  const int64_t number = exit_reason_number(text);
  KVMTAPE_CHECK(number >= -1 && number <= int64_t{UINT32_MAX});
  if (number < 0) return;
  const std::string_view name = exit_reason_name(static_cast<uint32_t>(number));
  KVMTAPE_CHECK(exit_reason_number(std::to_string(number)) == number);
  KVMTAPE_CHECK(name.empty() || exit_reason_number(name) == number);
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  const std::string text(input.begin(), input.end());
  kernel_release(text);
  exit_name(text);
  const Uuid uuid = parse_uuid(text);
  KVMTAPE_CHECK(parse_uuid(to_string(uuid)) == uuid);
  DecodeContext context;
  context.architecture = Architecture::kAarch64;
  context.kernel = parse_kernel_release(text);
  context.kernel_version_text = text;
  const ExitDecoder decoder(context);  // looks for the patch level in uname -v
  KVMTAPE_CHECK(decoder.context().kernel == context.kernel);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  for (const std::string text :
       {"6.1.0-49-amd64", "5.18.0-rc3", "7.3~rc1", "#1 SMP Debian 6.1.140-1 (2025-05-22)", "5.4",
        "6.6.20+rpt-rpi-v8", "5.14.0-427.13.1.el9_4.x86_64", "KVM_EXIT_IO", "mmio", "44", "0x2c",
        "01234567-89ab-cdef-0123-456789abcdef"})
    inputs.emplace_back(text.begin(), text.end());
  return inputs;
}

}  // namespace kvmtape::fuzz
