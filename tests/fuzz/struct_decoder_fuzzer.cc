// KVM's other structs, the sync area of kvm_run and registers of KVM_GET_ONE_REG, with arbitrary
// bytes, for every architecture and kernel.
//
//   as exit_input.h; its kvm_run is the struct's bytes, and its first byte says which struct
#include "replayer/struct_decoder.h"

#include "replayer/exit_decoder.h"
#include "replayer/one_register.h"
#include "schema/abi/registry.h"
#include "schema/base/check.h"
#include "tests/fuzz/exit_input.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

void check_fields(const std::vector<Field>& fields, std::span<const uint8_t> bytes) {
  const RawMoment moment{.kvm_run = bytes};
  for (const Field& field : fields) {
    KVMTAPE_CHECK(!field.name.empty());
    KVMTAPE_CHECK(field.why.empty() == (field.validity == Validity::kValid));
    KVMTAPE_CHECK(field.validity == Validity::kValid || field.value == 0);
    touch(raw_bytes(field, moment));
  }
}

std::string_view struct_name(uint8_t number) {
  const auto rows = abi::struct_fields();
  return rows[size_t{number} * rows.size() / 256].structure;
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const ExitInput read = read_exit_input(cursor);
  const auto bytes = read.moment.kvm_run;
  const auto which = bytes.empty() ? uint8_t{0} : bytes.front();
  if (const auto fields = decode_struct(read.context, struct_name(which), bytes))
    check_fields(*fields, bytes);
  check_fields(decode_sync_regs(read.context, read.moment), bytes);
  for (ByteCursor pairs(bytes); pairs.remaining() >= 16;) {
    const auto id = pairs.read<uint64_t>();
    const OneRegisterValue value = decode_one_register(read.context, id, pairs.read<uint64_t>());
    KVMTAPE_CHECK(value.why.empty() == (value.validity == Validity::kValid));
  }
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  for (int which = 0; which < 256; which += 5) {
    Bytes bytes(400, static_cast<uint8_t>(which));
    for (size_t i = 0; i < abi::one_registers().size() && i < 8; ++i)
      store_le(&bytes[16 * (i + 1)],
               abi::one_registers()[(i * 29) % abi::one_registers().size()].id);
    inputs.push_back(exit_input("6.6.1", static_cast<uint8_t>(which % 9), bytes));
  }
  return inputs;
}

}  // namespace kvmtape::fuzz
