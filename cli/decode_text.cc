#include "cli/decode_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/human.h"
#include "replayer/arch_names/esr.h"
#include "replayer/failed_instruction.h"
#include "replayer/flag_bits.h"
#include "replayer/struct_text.h"

namespace kvmtape {
namespace {

struct Row {
  std::string name, value;
  Validity validity;
  std::string_view why;
};

// What the fields are of.
struct Struct {
  Architecture architecture = Architecture::kUnknown;
  std::string_view name;  // empty: kvm_run
};

std::string hex_of(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

// What is not to be believed is shown as the bytes that lay there, in brackets.
std::string value_text(const RawMoment& moment, const Field& field) {
  const auto bytes = raw_bytes(field, moment);
  if (field.validity != Validity::kValid)
    return bytes.empty() ? std::string() : fmt::format("[{}]", hex_of(bytes));
  if (field.kind == FieldKind::kBytes) return hex_of(bytes);
  if (field.value_name.empty()) return fmt::format("{:#x}", field.value);
  return fmt::format("{:#x} {}", field.value, field.value_name);
}

// Elements of a list that nobody may believe, for one reason, take one row.
std::vector<Row> rows_of(const RawMoment& moment, std::span<const Field> fields, const Struct& of) {
  std::vector<Row> rows;
  for (size_t first = 0, end = 0; first < fields.size(); first = end) {
    const Field& field = fields[first];
    end = first + 1;
    if (field.element >= 0 && field.validity != Validity::kValid)
      while (end < fields.size() && fields[end].name == field.name &&
             fields[end].validity == field.validity && fields[end].why == field.why)
        ++end;
    Row row{std::string(field.name), {}, field.validity, field.why};
    if (end - first > 1)
      row.name += fmt::format("[{}..{}]", field.element, fields[end - 1].element);
    else if (field.element >= 0)
      row.name += fmt::format("[{}]", field.element);
    if (end - first == 1) row.value = value_text(moment, field);
    const std::string bits = of.name.empty() ? flag_bits_text(of.architecture, field)
                                             : struct_field_text(of.architecture, of.name, field);
    if (!bits.empty()) row.value += " " + bits;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string_view color_of(Validity validity) {
  switch (validity) {
    case Validity::kValid:
      return "32";
    case Validity::kStale:
    case Validity::kUnknown:
      return "33";
    case Validity::kAbsent:
      return "2";
  }
  return {};
}

void print_table(std::vector<Row> rows, Console& console) {
  constexpr size_t kWidestValue = 34;  // 16 bytes in brackets; longer ones push their row alone
  rows.insert(rows.begin(), {"field", "value", Validity::kValid, "why"});
  size_t name_width = 0, value_width = 0;
  for (const Row& row : rows) {
    name_width = std::max(name_width, row.name.size());
    value_width = std::max(value_width, std::min(row.value.size(), kWidestValue));
  }
  for (const Row& row : rows) {
    const bool is_head = &row == rows.data();
    const std::string validity = is_head ? "validity" : std::string(to_string(row.validity));
    std::string line = fmt::format(
        "  {:<{}}  {:<{}}  {}", row.name, name_width, row.value, value_width,
        console.painted(fmt::format("{:<8}", validity), is_head ? "" : color_of(row.validity)));
    if (!row.why.empty()) line += fmt::format("  {}", row.why);
    line.erase(line.find_last_not_of(' ') + 1);
    console.print(line + "\n");
  }
}

Row flags_row(const DecodedExit& decoded) {
  constexpr size_t kFlagsOffset = 14;  // offsetof(struct kvm_run, flags)
  const Exit& exit = decoded.exit;
  Row row{"flags", {}, exit.flags_validity, exit.flags_why};
  const auto run = decoded.moment.kvm_run;
  if (exit.flags_validity == Validity::kValid) {
    row.value = fmt::format("{:#x}", exit.flags);
    for (uint8_t i = 0; i < exit.flag_name_count; ++i)
      row.value += fmt::format(" {}", exit.flag_names[i]);
  } else if (run.size() >= kFlagsOffset + 2) {
    row.value = fmt::format("[{}]", hex_of(run.subspan(kFlagsOffset, 2)));
  }
  return row;
}

Row reason_row(const Exit& exit) {
  return {"exit_reason",
          !exit.reason_recorded ? std::string()
          : exit.name.empty()   ? fmt::format("{}", exit.reason)
                                : fmt::format("{} {}", exit.reason, exit.name),
          exit.reason_validity, exit.reason_why};
}

void print_esr(const Exit& exit, Console& console) {
  const Esr esr = esr_of(exit);
  console.print(fmt::format("\nESR {:#x}: {}\n", esr.value, esr_text(esr)));
  if (esr.has_class)
    console.print(fmt::format("  ec {:#x} {}, il {}, iss {:#x}", esr.ec,
                              esr.ec_name.empty() ? "reserved" : esr.ec_name, esr.il, esr.iss));
  else
    console.print(fmt::format("  iss {:#x}", esr.iss));
  if (exit.esr_has_high) console.print(fmt::format(", iss2 {:#x}", esr.iss2));
  for (const EsrField& field : esr.all_fields()) {
    console.print(fmt::format(", {} {:#x}", field.name, field.value));
    if (!field.value_name.empty()) console.print(fmt::format(" ({})", field.value_name));
  }
  console.print("\n");
}

void print_instruction(const DecodeContext& context, const DecodedExit& decoded, Console& console) {
  const auto failed = failed_instruction(context, decoded.moment, decoded.exit);
  if (!failed) return;
  console.print(fmt::format("\ninstruction, read as {}-bit code{}\n",
                            static_cast<int>(failed->mode),
                            failed->mode_known ? "" : " (what the guest ran was not recorded)"));
  for (const Instruction& instruction : failed->code)
    console.print(fmt::format("  {:#x}  {:<30}  {}\n", instruction.address,
                              hex_of(instruction.bytes), instruction.text));
  if (failed->code.empty()) console.print("  these bytes are no instruction\n");
}

}  // namespace

void print_exit(const ExitDecoder& decoder, const DecodedExit& decoded,
                std::span<const Field> registers, Console& console) {
  const Exit& exit = decoded.exit;
  const std::string text = printable(text_of(decoder, decoded));
  console.print(fmt::format("{}{}{}\n\n", console.painted(name_of(decoded), "1"),
                            text.empty() ? "" : "  ", text));
  std::vector<Row> rows = {reason_row(exit), flags_row(decoded)};
  const Architecture architecture = decoder.context().architecture;
  for (Row& row : rows_of(decoded.moment, exit.all_fields(), {architecture, {}}))
    rows.push_back(std::move(row));
  print_table(std::move(rows), console);
  if (exit.has_esr) print_esr(exit, console);
  print_instruction(decoder.context(), decoded, console);
  std::vector<Field> valid;
  for (const Field& field : registers)
    if (field.validity == Validity::kValid) valid.push_back(field);
  if (valid.empty()) return;
  console.print("\nregisters in kvm_run\n");
  print_table(rows_of(decoded.moment, valid, {architecture, "kvm_sync_regs"}), console);
}

void print_struct(Architecture architecture, std::string_view name, const RawMoment& moment,
                  std::span<const Field> fields, Console& console) {
  console.print(fmt::format("struct {}\n\n", console.painted(name, "1")));
  print_table(rows_of(moment, fields, {architecture, name}), console);
}

}  // namespace kvmtape
