// Any bytes as a kvm_run page, and as each of the other structs, of any architecture and kernel.
// The first ten bytes say whose; what may be relied on of an Exit is checked, not only that nothing
// crashes.
#include <array>
#include <string_view>

#include "replayer/exit_decoder.h"
#include "replayer/struct_decoder.h"
#include "schema/base/byte_cursor.h"
#include "schema/base/check.h"

namespace {

using namespace kvmtape;

constexpr std::array<std::string_view, 8> kKernels = {"4.6",   "5.10",     "5.18-rc3", "6.1.32",
                                                      "6.3.7", "6.12.117", "7.3",      "unknown"};
constexpr std::array<std::string_view, 4> kVariants = {"", "", "arm64-ext-iabt",
                                                       "arm64-ext-abt-esr"};
constexpr std::array<std::string_view, 5> kStructs = {"kvm_vcpu_events", "kvm_debugregs",
                                                      "kvm_guest_debug", "kvm_regs", "kvm_sregs"};

template <size_t count>
std::string_view pick(const std::array<std::string_view, count>& from, uint8_t by) {
  return from[by % count];
}

DecodeContext take_context(ByteCursor& input) {
  DecodeContext context;
  context.architecture = static_cast<Architecture>(input.read<uint8_t>() % 9);
  context.byte_order = static_cast<ByteOrder>(input.read<uint8_t>() & 1);
  context.kernel = parse_kernel_release(pick(kKernels, input.read<uint8_t>()));
  context.abi_variant = pick(kVariants, input.read<uint8_t>());
  const auto capabilities = input.read<uint8_t>();
  if ((capabilities & 1) != 0) context.capabilities[215] = capabilities >> 1 & 1;
  if ((capabilities & 4) != 0) context.capabilities[232] = capabilities >> 3 & 1;
  context.page_bytes = (capabilities & 16) != 0 ? 0 : 4096;
  return context;
}

void check_field(const Field& field, const RawMoment& moment) {
  KVMTAPE_CHECK(!field.name.empty());
  KVMTAPE_CHECK(raw_bytes(field, moment).size() == field.bytes);
  KVMTAPE_CHECK(field.validity == Validity::kValid || (field.value == 0 && !field.why.empty()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  ByteCursor input({bytes, size});
  const DecodeContext context = take_context(input);
  RawMoment moment;
  moment.ret = -static_cast<int32_t>(input.read<uint8_t>());
  const auto how = input.read<uint8_t>();
  moment.ret_known = (how & 1) != 0;
  moment.is_answer = (how & 2) != 0;
  moment.data = input.take(input.read<uint16_t>() % 64);
  moment.kvm_run = input.take(input.remaining());

  Exit exit;
  ExitDecoder(context).decode(moment, exit);
  KVMTAPE_CHECK(exit.field_count <= kExitFieldsMax);
  for (const Field& field : exit.all_fields()) check_field(field, moment);
  KVMTAPE_CHECK(exit_text(context, moment, exit).size() < 8192);
  for (const Field& field : decode_sync_regs(context, moment)) check_field(field, moment);
  for (std::string_view name : kStructs) {
    auto fields = decode_struct(context, name, moment.kvm_run);
    if (!fields.ok()) continue;
    for (const Field& field : *fields) check_field(field, moment);
  }
  return 0;
}
