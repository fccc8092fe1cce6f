#include "replayer/flag_bits.h"

#include <fmt/format.h>

#include "schema/abi/registry.h"

namespace kvmtape {

std::string flag_bits_text(Architecture architecture, const Field& field) {
  if (field.validity != Validity::kValid || field.value == 0 || !field.value_name.empty() ||
      !field.name.ends_with("flags"))
    return {};
  std::string text;
  uint64_t rest = field.value;
  for (const abi::ValueName& flag : abi::value_names()) {
    if (flag.field != field.name || (flag.architectures & abi::mask_of(architecture)) == 0 ||
        (rest & flag.value) == 0)
      continue;
    text += fmt::format("{}{}", text.empty() ? "" : "|", flag.name);
    rest &= ~flag.value;
  }
  if (!text.empty() && rest != 0) text += fmt::format("|{:#x}", rest);
  return text;
}

}  // namespace kvmtape
