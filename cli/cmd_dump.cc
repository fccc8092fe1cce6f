// `kvmtape dump`: the exits, decoded, one a line; gaps, repeats, marks and refused calls between.
#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "analysis/exit_json.h"
#include "analysis/memory_slice.h"
#include "analysis/recording_json.h"
#include "analysis/session_context.h"
#include "cli/commands.h"
#include "cli/dump_follow.h"
#include "cli/dump_text.h"
#include "cli/selected_items.h"
#include "cli/trace_options.h"

namespace kvmtape {
namespace {

struct DumpCommand {
  TraceOptions trace;
  SelectOptions select;
  bool raw = false;
  bool follow = false;
};

// JSON lines. An exit's object stays open until it is known which registers and memory were taken
// with it.
class JsonLines {
 public:
  JsonLines(const TraceReader& reader, const ExitDecoder& decoder, bool raw, Console& console)
      : reader_(reader), decoder_(decoder), raw_(raw), console_(console) {}

  bool print(const Item& item) {
    const bool is_of_exit = exit_open_ && item.vcpu_index == vcpu_ && item.seq == seq_;
    if (item.kind == Item::Kind::kMemory && is_of_exit) {  // may stand between its registers
      memory_.emplace_back(item);
      return true;
    }
    if (item.kind == Item::Kind::kRegisters && is_of_exit) {  // sets may come in several records
      if (const auto record = registers_view(*item.side))
        registers_[record->set].join(*record, decoder_.context().byte_order);
      return true;
    }
    if (!finish()) return false;
    switch (item.kind) {
      case Item::Kind::kExit:
        decode_both(decoder_, *item.exit, decoded_);
        begin_exit(json_, item, decoder_, decoded_, raw_, reader_.session().clock_name != kNoClock);
        exit_open_ = true;
        vcpu_ = item.vcpu_index;
        seq_ = item.exit->seq;
        return true;
      case Item::Kind::kGap:
        write_gap(json_, item);
        break;
      case Item::Kind::kRepeat:
        write_repeat(json_, item, reader_);
        break;
      case Item::Kind::kMark:
        write_mark(json_, item);
        break;
      case Item::Kind::kRegisters:
      case Item::Kind::kMemory:
      case Item::Kind::kOther:
        return true;
    }
    return print_line();
  }

  // Closes the exit that is open.
  bool finish() {
    if (!exit_open_) return true;
    write_registers(json_, decoder_.context(), registers_);
    registers_.clear();
    if (!memory_.empty()) {
      json_.key("memory");
      json_.begin_list();
      for (const MemorySlice& slice : memory_) write_memory_slice(json_, decoder_.context(), slice);
      json_.end_list();
      memory_.clear();
    }
    json_.end_object();
    exit_open_ = false;
    return print_line();
  }

 private:
  bool print_line() {
    json_.end_line();
    const bool go_on = console_.print(json_.text());
    json_.clear();
    return go_on;
  }

  const TraceReader& reader_;
  const ExitDecoder& decoder_;
  const bool raw_;
  Console& console_;
  JsonWriter json_;
  DecodedExit decoded_;
  bool exit_open_ = false;
  RegisterSets registers_;
  std::vector<MemorySlice> memory_;
  uint32_t vcpu_ = 0;
  uint64_t seq_ = 0;
};

// What `takes` lets through; false if nobody reads any more.
template <typename Takes>
bool print_items(TraceReader& reader, const Selection& selection, const SelectOptions& select,
                 const DumpCommand& command, Console& console, Takes takes) {
  const ExitDecoder decoder(decode_context_of(reader.session()));
  SelectedItems items(reader, select, selection, decoder);
  Item item;
  const auto next = [&] {
    while (items.next(item))
      if (takes(item)) return true;
    return false;
  };
  if (command.trace.json) {
    JsonLines lines(reader, decoder, command.raw, console);
    while (next() && lines.print(item)) continue;
    return lines.finish();
  }
  DumpText lines(reader, decoder, {command.raw, command.trace.verbose}, console);
  while (next() && lines.print(item)) continue;
  return !console.closed();
}

void print_session(const TraceReader& reader, Console& console) {
  console.print(to_line({{"kvmtape_json", 1}, {"session", session_json(reader.session())}}));
}

int run_dump(const DumpCommand& command, Console& console) {
  auto opened = command.trace.open();
  if (!opened.ok()) return console.fail(opened.error());
  TraceReader& reader = **opened;
  auto selection = command.select.selection(reader);
  if (!selection.ok()) return console.fail(selection.error());
  if (command.trace.json) print_session(reader, console);
  bool is_empty = true;
  print_items(reader, *selection, command.select, command, console, [&](const Item&) {
    is_empty = false;
    return true;
  });
  if (is_empty && reader.exits() != 0) note_nothing_selected(reader, console);
  return report_health(reader, console);
}

int run_dump_follow(const DumpCommand& command, Console& console) {
  bool is_first = true;
  return follow(
      command.trace, command.select,
      [&](TraceReader& reader, const SelectOptions& select, const Selection& selection,
          Followed& followed) {
        if (command.trace.json && std::exchange(is_first, false)) print_session(reader, console);
        return print_items(reader, selection, select, command, console,
                           [&](const Item& item) { return followed.is_new(item); });
      },
      console);
}

}  // namespace

void add_dump(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("dump", "the exits, decoded, one a line");
  auto command = std::make_shared<DumpCommand>();
  command->trace.add_to(*verb);
  command->select.add_to(*verb);
  verb->add_flag("--raw", command->raw, "the recorded bytes as well");
  verb->add_flag("--follow", command->follow,
                 "go on with what a running recording adds, until it ends or SIGINT comes");
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->trace.apply(console);
      return command->follow ? run_dump_follow(*command, console) : run_dump(*command, console);
    };
  });
}

}  // namespace kvmtape
