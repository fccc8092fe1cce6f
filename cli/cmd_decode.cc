// `kvmtape decode`: one raw kvm_run image, or another struct of KVM's interface, in words.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include "analysis/decoded_exit.h"
#include "analysis/exit_json.h"
#include "analysis/exit_label.h"
#include "analysis/session_context.h"
#include "cli/commands.h"
#include "cli/decode_text.h"
#include "cli/kernel_options.h"
#include "cli/selection.h"
#include "cli/trace_options.h"
#include "recorder/import/byte_source.h"
#include "replayer/load_integer.h"
#include "replayer/struct_decoder.h"
#include "replayer/struct_text.h"
#include "schema/abi/exit_numbers.h"
#include "schema/snapshot.h"
#include "schema/trace_format.h"

namespace kvmtape {
namespace {

constexpr size_t kImageBytesMax = 1 << 20;  // kvm_run, PIO and coalesced pages of 256 KiB fit
constexpr int32_t kErrnoMax = 4095;         // MAX_ERRNO of include/linux/err.h

struct DecodeCommand {
  OutputOptions output;
  KernelOptions kernel;
  std::optional<int32_t> ret;
  std::string error;
  std::string structure;
  std::string abi_variant;
  std::string file;
};

Result<int32_t> errno_number(const std::string& text) {
  int32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc{} && stop == end && number >= 1 && number <= kErrnoMax) return number;
  for (number = 1; number <= kErrnoMax; ++number)
    if (errno_name(number) == text) return number;
  return usage_error(
      fmt::format("--errno: no error is called '{}'; write EINTR or its number, from 1 to {}", text,
                  kErrnoMax));
}

// 0 or the negated errno; nullopt: nobody knows. `--ret -4` is how the kernel says EINTR itself.
Result<std::optional<int32_t>> return_of(const DecodeCommand& command) {
  const int32_t ret = command.ret.value_or(command.error.empty() ? 0 : -1);
  if (!command.error.empty() && ret >= 0)
    return usage_error(
        fmt::format("--ret {} does not go with --errno: it says that KVM_RUN succeeded; "
                    "write --ret -1",
                    ret));
  if (!command.error.empty()) {
    KVMTAPE_TRY_ASSIGN(const int32_t number, errno_number(command.error));
    return std::optional(-number);
  }
  if (ret == -1)
    return usage_error("--ret -1 says that KVM_RUN failed, but not how; write --errno EINTR, say");
  if (ret < -kErrnoMax) return usage_error(fmt::format("--ret {}: no errno is that large", ret));
  return command.ret ? std::optional(std::min(ret, 0)) : std::nullopt;
}

Result<std::vector<uint8_t>> image_of(const std::string& file, Console& console) {
  KVMTAPE_TRY_ASSIGN(ByteSource source, ByteSource::open(file));
  std::vector<uint8_t> bytes(kImageBytesMax + 1);
  KVMTAPE_TRY_ASSIGN(const size_t count, source.read(bytes));
  bytes.resize(std::min(count, kImageBytesMax));
  if (count == 0) return Error{ErrorCode::kTruncated, "it is empty", file, {}};
  if (count > kImageBytesMax)
    console.warn(
        fmt::format("{}: no kvm_run mapping is larger than {} bytes; what follows is not "
                    "looked at. Many pages: kvmtape import --format raw-pages",
                    file, kImageBytesMax));
  return bytes;
}

bool is_trace(std::span<const uint8_t> bytes) {
  return bytes.size() >= sizeof kFileMagic &&
         std::ranges::equal(bytes.first(sizeof kFileMagic), kFileMagic);
}

// What a mapping holds at io.data_offset, as far as it goes.
std::span<const uint8_t> port_data(const DecodeContext& context, std::span<const uint8_t> image) {
  constexpr size_t kReasonOffset = 8;
  const size_t io = abi::union_offset(context.architecture);
  if (image.size() < io + 16) return {};
  if (load<uint32_t>(&image[kReasonOffset], context.byte_order) != kExitIo) return {};
  const uint64_t wanted =
      uint64_t{image[io + 1]} * load<uint32_t>(&image[io + 4], context.byte_order);
  const auto offset = load<uint64_t>(&image[io + 8], context.byte_order);
  if (offset >= image.size()) return {};
  const auto rest = image.subspan(static_cast<size_t>(offset));
  return rest.first(std::min<uint64_t>({wanted, rest.size(), kDataBytesMax}));
}

// sizeof(struct kvm_run)
size_t whole_struct_bytes(const DecodeContext& context) {
  return abi::sync_offset(context.architecture) + kSyncWords * kWordBytes;
}

void warn_of_size(const DecodeContext& context, const DecodeCommand& command, size_t bytes,
                  Console& console) {
  if (bytes == whole_struct_bytes(context)) return;
  const size_t core = abi::sync_offset(context.architecture);
  const uint32_t page = context.page_bytes == 0 ? kDataBytesMax : context.page_bytes;
  if (bytes < core)
    console.warn(
        fmt::format("{}: only {} bytes of a kvm_run, whose exits take {}: what lies "
                    "behind them is unknown",
                    command.file, bytes, core));
  else if (bytes > core && bytes % page != 0)
    console.warn(
        fmt::format("{}: {} bytes are not whole pages of {} bytes: it may be cut off, or "
                    "--page-bytes is not the kernel's",
                    command.file, bytes, page));
  else if (bytes > page && bytes < kImageBytesMax)
    console.warn(
        fmt::format("{}: {} bytes more, taken for the rest of this vCPU's mapping; kvmtape import "
                    "--format raw-pages takes several pages",
                    command.file, bytes - page));
}

void begin_document(JsonWriter& json) {
  json.begin_object();
  json.key("kvmtape_json");
  json.number(1);
}

int end_document(JsonWriter& json, Console& console) {
  json.end_object();
  json.end_line();
  console.print(json.text());
  return kDone;
}

int decode_one_struct(const DecodeCommand& command, const DecodeContext& context,
                      std::span<const uint8_t> bytes, Console& console) {
  auto fields = decode_struct(context, command.structure, bytes);
  if (!fields.ok()) return console.fail(fields.error());
  const size_t expected = struct_bytes(context.architecture, command.structure).value_or(0);
  if (bytes.size() != expected)
    console.warn(fmt::format("{}: {} bytes, and a struct {} has {}: {}", command.file, bytes.size(),
                             command.structure, expected,
                             bytes.size() < expected ? "what lies behind them is unknown"
                                                     : "the rest is not looked at"));
  const RawMoment moment{.kvm_run = bytes, .data = {}};
  if (!command.output.json) {
    print_struct(context.architecture, command.structure, moment, *fields, console);
    return kDone;
  }
  JsonWriter json;
  begin_document(json);
  json.key("struct");
  json.string(command.structure);
  write_struct_fields(json, context.architecture, command.structure, moment, *fields);
  return end_document(json, console);
}

int decode_exit(const DecodeCommand& command, const DecodeContext& context,
                std::span<const uint8_t> image, std::optional<int32_t> ret, Console& console) {
  warn_of_size(context, command, image.size(), console);
  DecodedExit decoded;
  decoded.moment.kvm_run = image.first(std::min(image.size(), whole_struct_bytes(context)));
  decoded.moment.data = port_data(context, image);
  decoded.moment.ret = ret.value_or(0);
  decoded.moment.ret_known = ret.has_value();
  const ExitDecoder decoder(context);
  decoder.decode(decoded.moment, decoded.exit);
  std::vector<Field> registers = decode_sync_regs(context, decoded.moment);
  const bool any = std::ranges::any_of(
      registers, [](const Field& field) { return field.validity == Validity::kValid; });
  if (!any) registers.clear();
  if (!command.output.json) {
    print_exit(decoder, decoded, registers, console);
    return kDone;
  }
  JsonWriter json;
  begin_document(json);
  for (const std::string_view member : {"vcpu", "seq", "time_ns", "guest_ns", "monitor_ns"}) {
    json.key(member);
    json.null();
  }
  write_exit_meaning(json, decoder, decoded);
  json.key("answer");
  json.null();
  if (any) {
    json.key("registers");
    json.begin_object();
    json.key("kvm_sync_regs");
    json.begin_object();
    write_struct_fields(json, context.architecture, "kvm_sync_regs", decoded.moment, registers);
    json.end_object();
    json.end_object();
  }
  write_raw(json, decoded.moment);
  return end_document(json, console);
}

int run_decode(const DecodeCommand& command, Console& console) {
  auto ret = return_of(command);
  if (!ret.ok()) return console.fail(ret.error());
  auto image = image_of(command.file, console);
  if (!image.ok()) return console.fail(image.error());
  if (is_trace(*image))
    return console.fail(fmt::format("{}: this is a trace, no kvm_run: kvmtape dump", command.file));
  auto session = command.kernel.session("", console);
  if (!session.ok()) return console.fail(session.error());
  if (!command.abi_variant.empty() && command.structure.empty())
    return console.fail("--abi-variant names a layout of a struct; write --struct as well");
  session->abi_variant = command.abi_variant;
  const DecodeContext context = decode_context_of(*session);
  return command.structure.empty() ? decode_exit(command, context, *image, *ret, console)
                                   : decode_one_struct(command, context, *image, console);
}

}  // namespace

void add_decode(CLI::App& app, Action& chosen) {
  CLI::App* verb = app.add_subcommand("decode", "one raw kvm_run image, or another struct of KVM");
  auto command = std::make_shared<DecodeCommand>();
  command->output.add_to(*verb);
  command->kernel.add_to(*verb);
  verb->add_option("--ret", command->ret, "what KVM_RUN returned; without it, nobody knows");
  verb->add_option("--errno", command->error, "how it failed: EINTR, or 4");
  verb->add_option("--struct", command->structure,
                   "the bytes are not kvm_run but this: kvm_vcpu_events, kvm_debugregs, "
                   "kvm_guest_debug, kvm_regs, kvm_sregs");
  verb->add_option("--abi-variant", command->abi_variant,
                   "a layout that no release has: arm64-ext-iabt or arm64-ext-abt-esr");
  verb->add_option("file", command->file, "the bytes, plain or zstd; - is standard input")
      ->required();
  verb->callback([command, &chosen] {
    chosen = [command](Console& console) {
      command->output.apply(console);
      return run_decode(*command, console);
    };
  });
}

}  // namespace kvmtape
