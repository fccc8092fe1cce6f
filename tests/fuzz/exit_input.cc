#include "tests/fuzz/exit_input.h"

#include <algorithm>
#include <string>

#include "schema/abi/registry.h"
#include "tests/support/lab_pages.h"

namespace kvmtape::fuzz {
namespace {

constexpr uint8_t kArchitectures = 9;
constexpr uint32_t kCapSystemEventData = 215;
constexpr size_t kSeedRunBytes = 320;

void put_seed(uint8_t architecture, uint8_t bits, int32_t ret, const std::string& release,
              std::span<const uint8_t> kvm_run, std::vector<Bytes>& seeds) {
  InputWriter input;
  input.put(architecture).put(bits).put(static_cast<uint32_t>(ret));
  input.put(static_cast<uint8_t>(release.size()));
  input.put_bytes({reinterpret_cast<const uint8_t*>(release.data()), release.size()});
  input.put<uint8_t>(4).put<uint32_t>(0x12345678).put_bytes(kvm_run);
  seeds.push_back(input.take());
}

}  // namespace

ExitInput read_exit_input(ByteCursor& input) {
  ExitInput read;
  read.context.architecture = static_cast<Architecture>(input.read<uint8_t>() % kArchitectures);
  const auto bits = input.read<uint8_t>();
  read.context.byte_order = (bits & 1) != 0 ? ByteOrder::kBig : ByteOrder::kLittle;
  read.moment.is_answer = (bits & 2) != 0;
  read.moment.ret_known = (bits & 4) != 0;
  if ((bits & 8) != 0) read.context.capabilities[kCapSystemEventData] = bits >> 4 & 1;
  if ((bits & 32) != 0) read.context.abi_variant = "kvm_vcpu_events-ext";
  if ((bits & 64) != 0) read.context.page_bytes = 65536;
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
      put_seed(static_cast<uint8_t>(run.context.architecture), static_cast<uint8_t>(bits), page.ret,
               release, std::span(page.bytes).first(kSeedRunBytes), seeds);
  }
  for (uint8_t architecture = 1; architecture < kArchitectures; ++architecture)
    for (const abi::ExitReason& reason : abi::exit_reasons()) {
      Bytes page(kSeedRunBytes, 0x11);
      store_le(&page[8], reason.number);
      put_seed(architecture, architecture & 1 ? 6 : 4, 0, "6.12.1", page, seeds);
    }
  return seeds;
}

}  // namespace kvmtape::fuzz
