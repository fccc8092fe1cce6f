#include "cli/dump_text.h"

#include <fmt/format.h>

#include <string_view>

#include "analysis/exit_label.h"
#include "analysis/memory_slice.h"
#include "analysis/repeated_exits.h"
#include "cli/call_text.h"
#include "cli/human.h"
#include "schema/snapshot.h"

namespace kvmtape {
namespace {

std::string place_of(const Item& item, uint64_t seq) {
  if (item.vcpu_index == kSessionStream) return "-";
  return fmt::format("{}:{}", item.vcpu_index, seq);
}

// Exits after which a guest does not go on.
bool is_crash(std::string_view name) {
  return name == "KVM_EXIT_INTERNAL_ERROR" || name == "KVM_EXIT_FAIL_ENTRY" ||
         name == "KVM_EXIT_SHUTDOWN" || name == "KVM_EXIT_SYSTEM_EVENT" ||
         name == "KVM_EXIT_UNKNOWN" || name == "KVM_EXIT_EXCEPTION";
}

}  // namespace

DumpText::DumpText(const TraceReader& reader, const ExitDecoder& decoder, Options options,
                   Console& console)
    : reader_(reader), decoder_(decoder), options_(options), console_(console) {}

bool DumpText::print(const Item& item) {
  switch (item.kind) {
    case Item::Kind::kExit:
      return print_exit(item);
    case Item::Kind::kGap:
      return print_line(
          place_of(item, item.gap.first_seq), item.time_ns, "gap", "31",
          fmt::format("{} lost: {}", counted(item.gap.lost, "exit"), to_string(item.gap.why)));
    case Item::Kind::kRepeat:
      return print_repeat(item);
    case Item::Kind::kMark:
      return print_line("-", item.time_ns, "mark", "35", printable(std::string(item.mark)));
    case Item::Kind::kRegisters:
      return !options_.all || print_bytes("registers", item.side->payload);
    case Item::Kind::kMemory:
      return print_line(place_of(item, item.seq), item.time_ns, "memory", "",
                        printable(memory_slice_text(decoder_.context(), MemorySlice(item))));
    case Item::Kind::kOther:
      return item.side->kind != RecordKind::kControlCall || print_call(item);
  }
  return true;
}

bool DumpText::print_exit(const Item& item) {
  decode_both(decoder_, *item.exit, decoded_);
  const std::string name = name_of(decoded_);
  const bool failed = decoded_.exit.reason_validity == Validity::kStale;
  const bool go_on = print_line(place_of(item, item.exit->seq), item.time_ns, name,
                                is_crash(name) ? "31"
                                : failed       ? "33"
                                               : "36",
                                printable(text_of(decoder_, decoded_)));
  if (!options_.raw || !go_on) return go_on;
  if (!print_bytes("kvm_run", item.exit->kvm_run)) return false;
  if (!item.exit->data.empty() && !print_bytes("pio", item.exit->data)) return false;
  if (!item.exit->has_answer) return true;
  if (!print_bytes("answer kvm_run", item.exit->answer_kvm_run)) return false;
  return item.exit->answer_data.empty() || print_bytes("answer pio", item.exit->answer_data);
}

// At the time of its last exit, as exits stand at theirs: the record's is that of an answer.
bool DumpText::print_repeat(const Item& item) {
  const RepeatedExits exits = repeated_exits(item, reader_);
  return print_line(place_of(item, item.repeat.of_seq), exits.last_ns, "repeat", "33",
                    fmt::format("{} more time{} from {} on, until {}:{}", item.repeat.count,
                                item.repeat.count == 1 ? "" : "s", seconds_text(exits.first_ns),
                                item.vcpu_index, exits.last_seq));
}

bool DumpText::print_call(const Item& item) {
  const Session& session = reader_.session();
  const auto made = control_call_of(*item.side, decoder_.context().redaction);
  if (!made) return true;
  const CallText call = text_of_call(session.architecture, session.byte_order, *made);
  if (!call.refused && !options_.all) return true;
  return print_line(place_of(item, item.seq), item.time_ns, "call", call.refused ? "33" : "",
                    call.text);
}

bool DumpText::print_line(const std::string& place, int64_t time_ns, const std::string& name,
                          const std::string& color, const std::string& text) {
  const bool has_clock = reader_.session().clock_name != kNoClock;
  std::string line =
      fmt::format("{:<10}  {:>14}  {}", place, has_clock ? seconds_text(time_ns) : "-",
                  console_.painted(fmt::format("{:<24}", name), color));
  if (!text.empty()) line += "  " + text;
  line.erase(line.find_last_not_of(' ') + 1);
  line += '\n';
  return console_.print(line);
}

bool DumpText::print_bytes(std::string_view label, std::span<const uint8_t> bytes) {
  std::string line = fmt::format("    {} ", label);
  for (const uint8_t byte : bytes) fmt::format_to(std::back_inserter(line), "{:02x}", byte);
  line += '\n';
  return console_.print(line);
}

}  // namespace kvmtape
