#include "tests/support/kvm_run_page.h"

#include <fmt/format.h>

namespace kvmtape::testing {

KvmRunPage::KvmRunPage(DecodeContext context) : context_(std::move(context)), bytes_(4096, 0xaa) {
  bytes_[1] = 0;  // immediate_exit
}

RawMoment KvmRunPage::moment() const {
  RawMoment moment = moment_;
  moment.kvm_run = bytes_;
  moment.data = data_;
  return moment;
}

Exit KvmRunPage::decoded() const {
  Exit exit;
  ExitDecoder(context_).decode(moment(), exit);
  return exit;
}

DecodeContext context_of(Architecture architecture, std::string_view kernel, ByteOrder order) {
  DecodeContext context;
  context.architecture = architecture;
  context.byte_order = order;
  context.kernel = parse_kernel_release(kernel);
  return context;
}

std::string shown(const Exit& exit, std::string_view name, int element) {
  const Field* field = exit.find(name, element);
  if (field == nullptr) return "missing";
  if (field->validity != Validity::kValid) return std::string(to_string(field->validity));
  if (field->kind == FieldKind::kBytes) return fmt::format("valid, {} bytes", field->bytes);
  return fmt::format("valid {:#x}", field->value);
}

}  // namespace kvmtape::testing
