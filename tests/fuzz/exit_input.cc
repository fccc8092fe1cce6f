#include "tests/fuzz/exit_input.h"

#include <algorithm>
#include <string>

#include "schema/abi/registry.h"
#include "tests/support/lab_pages.h"

namespace kvmtape::fuzz {
namespace {

constexpr uint8_t kArchitectures = 9;
constexpr uint32_t kCapSystemEventData = 215;
constexpr std::string_view kVariants[] = {"", "arm64-ext-iabt", "arm64-ext-abt-esr"};
constexpr size_t kSeedRunBytes = 320;

Bytes input_of(uint8_t architecture, uint8_t bits, int32_t ret, std::string_view release,
               std::span<const uint8_t> kvm_run) {
  InputWriter input;
  input.put(architecture).put(bits).put(static_cast<uint32_t>(ret));
  input.put(static_cast<uint8_t>(release.size()));
  input.put_bytes({reinterpret_cast<const uint8_t*>(release.data()), release.size()});
  input.put<uint8_t>(4).put<uint32_t>(0x12345678).put_bytes(kvm_run);
  return input.take();
}

}  // namespace

Bytes exit_input(std::string_view release, uint8_t architecture, std::span<const uint8_t> kvm_run) {
  return input_of(architecture, 4, 0, release, kvm_run);
}

ExitInput read_exit_input(ByteCursor& input) {
  ExitInput read;
  read.context.architecture = static_cast<Architecture>(input.read<uint8_t>() % kArchitectures);
  const auto bits = input.read<uint8_t>();
  read.context.byte_order = (bits & 1) != 0 ? ByteOrder::kBig : ByteOrder::kLittle;
  read.moment.is_answer = (bits & 2) != 0;
  read.moment.ret_known = (bits & 4) != 0;
  if ((bits & 8) != 0) read.context.capabilities[kCapSystemEventData] = bits >> 4 & 1;
  read.context.abi_variant = kVariants[(bits >> 5) % std::size(kVariants)];
  if ((bits & 128) != 0) read.context.page_bytes = 0;
  read.moment.ret = static_cast<int32_t>(input.read<uint32_t>());
  const auto release = input.take(std::min<size_t>(input.read<uint8_t>(), input.remaining()));
  const std::string_view text(reinterpret_cast<const char*>(release.data()), release.size());
  read.context.kernel = parse_kernel_release(text);
  read.context.kernel_version_text = text;
  read.moment.data = input.take(std::min<size_t>(input.read<uint8_t>(), input.remaining()));
  read.moment.kvm_run = input.take(input.remaining());
  return read;
}

std::vector<Bytes> exit_seeds() {
  std::vector<Bytes> seeds;
  for (const testing::LabRun& run : testing::lab_runs()) {
    const std::string release = run.tag.substr(run.tag.find('-') + 1);
    const bool big = run.context.byte_order == ByteOrder::kBig;
    const auto capability = run.context.capability(kCapSystemEventData);
    const int bits = 4 | (big ? 1 : 0) | (capability ? 8 | *capability << 4 : 0);
    for (const testing::LabPage& page : run.pages)
      seeds.push_back(input_of(static_cast<uint8_t>(run.context.architecture),
                               static_cast<uint8_t>(bits), page.ret, release,
                               std::span(page.bytes).first(kSeedRunBytes)));
  }
  for (uint8_t architecture = 1; architecture < kArchitectures; ++architecture)
    for (const abi::ExitReason& reason : abi::exit_reasons()) {
      Bytes page(kSeedRunBytes, 0x11);
      store_le(&page[8], reason.number);
      seeds.push_back(input_of(architecture, architecture % 2 == 1 ? 6 : 4, 0, "6.12.1", page));
    }
  return seeds;
}

}  // namespace kvmtape::fuzz
