// A raw stream of arbitrary bytes, imported. The trace that comes out must hold exactly the exits
// that a second, plainer reading of the stream finds before it stops making sense.
#include <cstring>
#include <map>

#include "recorder/import/raw_stream.h"
#include "replayer/trace_reader.h"
#include "schema/base/check.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/scratch_files.h"
#include "tests/fuzz/trace_walk.h"
#include "tests/support/trace_builder.h"
#include "tests/support/zstd_file.h"

namespace kvmtape::fuzz {
namespace {

constexpr size_t kHeadBytes = 32;
constexpr size_t kRunBytes = 288;

struct Moment {
  int32_t ret = 0;
  std::span<const uint8_t> kvm_run, data;
};
struct RawExit {
  Moment exit;
  std::optional<Moment> answer;
};
using RawExits = std::map<uint32_t, std::vector<RawExit>>;  // by vCPU

// As the comment in raw_stream.h says, record by record.
RawExits read_stream(ByteCursor stream) {
  RawExits exits;
  std::map<uint32_t, bool> answer_due;
  while (stream.remaining() >= kHeadBytes) {
    stream.skip(16);
    const auto vcpu = stream.read<uint32_t>();
    const auto data_bytes = stream.read<uint16_t>();
    const auto record_bytes = stream.read<uint16_t>();
    const auto ret = static_cast<int32_t>(stream.read<uint32_t>());
    const auto moment = stream.read<uint32_t>();  // with the three zero bytes
    if (vcpu >= kVcpusMax || data_bytes > 4096 || record_bytes % 8 != 0 || moment > 1 ||
        record_bytes < kHeadBytes + kRunBytes + data_bytes || ret < -4095 ||
        record_bytes - kHeadBytes > stream.remaining())
      break;
    Moment read{ret < 0 ? ret : 0, stream.take(kRunBytes), stream.take(data_bytes)};
    stream.skip(record_bytes - kHeadBytes - kRunBytes - data_bytes);
    if (moment == 0)
      exits[vcpu].push_back({read, {}});
    else if (answer_due[vcpu])
      exits[vcpu].back().answer = read;
    answer_due[vcpu] = moment == 0;
  }
  return exits;
}

bool same(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

void compare(const std::string& path, const RawExits& expected) {
  auto reader = TraceReader::open(path);
  KVMTAPE_CHECK(reader.ok());
  std::map<uint32_t, size_t> seen;
  for (Item item; (*reader)->next(item);) {
    if (item.kind != Item::Kind::kExit) continue;
    const auto stream = expected.find(item.vcpu_index);
    KVMTAPE_CHECK(stream != expected.end());
    const size_t number = seen[item.vcpu_index]++;
    KVMTAPE_CHECK(number < stream->second.size() && item.seq == number);
    const RawExit& exit = stream->second[number];
    KVMTAPE_CHECK(item.exit->ret == exit.exit.ret);
    KVMTAPE_CHECK(same(item.exit->kvm_run, exit.exit.kvm_run));
    KVMTAPE_CHECK(same(item.exit->data, exit.exit.data));
    KVMTAPE_CHECK(item.exit->has_answer == exit.answer.has_value());
    if (!exit.answer) continue;
    KVMTAPE_CHECK(same(item.exit->answer_kvm_run, exit.answer->kvm_run));
    KVMTAPE_CHECK(same(item.exit->answer_data, exit.answer->data));
  }
  for (const auto& [vcpu, exits] : expected) KVMTAPE_CHECK(seen[vcpu] == exits.size());
}

bool is_compressed(std::span<const uint8_t> input) {
  return input.size() >= 4 && load_le<uint32_t>(input.data()) == 0xfd2fb528;
}

void put_record(InputWriter& stream, uint64_t ns, uint32_t vcpu, uint8_t moment,
                std::span<const uint8_t> kvm_run, std::span<const uint8_t> data) {
  const size_t bytes = (kHeadBytes + kRunBytes + data.size() + 7) / 8 * 8;
  stream.put(ns).put(3 * ns).put(vcpu).put(static_cast<uint16_t>(data.size()));
  stream.put(static_cast<uint16_t>(bytes)).put<uint32_t>(0).put<uint32_t>(moment);
  stream.put_bytes(kvm_run).put_bytes(data);
  for (size_t i = kHeadBytes + kRunBytes + data.size(); i < bytes; ++i) stream.put<uint8_t>(0);
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  static MemoryFile file;
  file.put(input);
  ImportOptions options;
  options.input = file.path();
  options.output = (scratch_directory() / "imported.kvmtape").string();
  options.force = true;
  options.session.architecture = Architecture::kX86_64;
  const auto report = import_raw_stream(options);
  if (!report) {  // not one record of it can be read; later ones are in the report
    KVMTAPE_CHECK(is_compressed(input) || read_stream(ByteCursor(input)).empty());
    return;
  }
  const Walked walked = walk_everything(options.output, {});
  KVMTAPE_CHECK(walked.opened && walked.complete && walked.exits == report->exits);
  if (!is_compressed(input)) compare(options.output, read_stream(ByteCursor(input)));
}

std::vector<Bytes> seeds() {
  InputWriter stream;
  for (uint64_t seq = 0; seq < 4; ++seq) {
    const auto vcpu = static_cast<uint32_t>(seq % 2);
    const auto data = testing::exit_data(vcpu, seq);
    put_record(stream, 1000 + 10 * seq, vcpu, 0, testing::exit_image(vcpu, seq), data);
    if (seq != 2)
      put_record(stream, 1005 + 10 * seq, vcpu, 1, testing::answer_image(vcpu, seq), data);
  }
  std::vector<Bytes> inputs{stream.take()};
  const std::string streams = KVMTAPE_SOURCE_DIR "/traces/streams/";
  for (const char* name : {"linux_boot.raw.zst", "ipxe_virtio.raw.zst"}) {
    Bytes bytes = testing::read_zstd_file(streams + name);
    bytes.resize(std::min<size_t>(bytes.size(), 4096));
    inputs.push_back(std::move(bytes));
  }
  const std::string packed = testing::read_file(streams + "ipxe_virtio.raw.zst");
  inputs.emplace_back(packed.begin(), packed.begin() + 2048);
  return inputs;
}

}  // namespace kvmtape::fuzz
