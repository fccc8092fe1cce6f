// One moment of an exit, of any architecture, byte order and kernel, with arbitrary kvm_run bytes.
#include "replayer/exit_decoder.h"

#include <memory>

#include "schema/base/check.h"
#include "tests/fuzz/exit_input.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

constexpr size_t kTextMax = 8192;

void check_field(const Field& field, const RawMoment& moment) {
  KVMTAPE_CHECK(!field.name.empty());
  KVMTAPE_CHECK(field.why.empty() == (field.validity == Validity::kValid));  // else why not
  const auto bytes = raw_bytes(field, moment);
  touch(bytes);
  KVMTAPE_CHECK(bytes.size() == field.bytes);
  KVMTAPE_CHECK(field.validity == Validity::kValid || field.value == 0);
  const bool is_integer = field.kind != FieldKind::kBytes;
  if (field.validity == Validity::kValid && is_integer) {
    KVMTAPE_CHECK(bytes.size() == field.bytes && !bytes.empty());
    KVMTAPE_CHECK(bytes.size() >= 8 || field.value >> 8 * bytes.size() == 0);
  }
  KVMTAPE_CHECK(field.value_name.empty() || field.kind == FieldKind::kEnumerated);
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const ExitInput read = read_exit_input(cursor);
  const ExitDecoder decoder(read.context);
  static Exit exit;
  static Exit again;
  decoder.decode(read.moment, exit);
  KVMTAPE_CHECK(exit.field_count <= kExitFieldsMax && exit.flag_name_count <= kFlagNamesMax);
  for (const Field& field : exit.all_fields()) check_field(field, read.moment);
  const std::string text = exit_text(decoder.context(), read.moment, exit);
  KVMTAPE_CHECK(text.size() < kTextMax && text.find('\n') == std::string::npos);
  KVMTAPE_CHECK(exit.name.empty() || exit.name == exit_reason_name(exit.reason));
  decoder.decode(read.moment, again);  // into a used Exit: nothing of before may stay
  KVMTAPE_CHECK(exit_text(decoder.context(), read.moment, again) == text);
  KVMTAPE_CHECK(again.field_count == exit.field_count);
}

std::vector<Bytes> seeds() { return exit_seeds(); }

}  // namespace kvmtape::fuzz
