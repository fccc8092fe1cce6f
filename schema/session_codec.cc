#include "schema/session_codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <schema/trace.capnp.h>

#include <cstring>

#include "schema/base/crc32c.h"
#include "schema/file_order.h"

namespace kvmtape {
namespace {

capnp::Data::Reader data_of(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}
std::string text_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

// Numbers of trace.capnp. What a newer writer may say: that there may have been more, somehow.
uint16_t number_of(OpenEnd end) {
  return end == OpenEnd::kNone ? 0 : end == OpenEnd::kTorn ? 1 : 2;
}
OpenEnd open_end_of(uint16_t number) {
  return number == 0 ? OpenEnd::kNone : number == 1 ? OpenEnd::kTorn : OpenEnd::kUnsealed;
}

void put_clock(const ClockReading& clock, wire::ClockPair::Builder pair) {
  pair.setTicks(clock.ticks);
  pair.setMonotonicNs(clock.monotonic_ns);
  pair.setRealtimeNs(clock.realtime_ns);
}
ClockReading clock_of(wire::ClockPair::Reader pair) {
  return {pair.getTicks(), pair.getMonotonicNs(), pair.getRealtimeNs()};
}

void append_message(capnp::MessageBuilder& message, ChunkType type, const Uuid& session,
                    uint64_t cut, std::vector<uint8_t>& out) {
  ChunkHeader header{};
  header.type = static_cast<uint16_t>(type);
  header.session = session;
  header.vcpu_index = kSessionStream;
  header.cut = cut;
  const auto words = capnp::messageToFlatArray(message);
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, out);
}

// Calls `read` with the root of the chunk's message; turns what Cap'n Proto throws into an error.
template <typename Root, typename Read>
auto with_message(std::span<const uint8_t> chunk, Read read)
    -> decltype(read(std::declval<typename Root::Reader>(),
                     std::declval<const ChunkHeader&>())) try {
  if (chunk.size() < sizeof(ChunkHeader))
    return Error{ErrorCode::kTruncated, "the chunk is shorter than its header", {}, std::nullopt};
  const auto header = load_file_struct<ChunkHeader>(chunk.data());
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      uint64_t{header.header_bytes} + header.body_bytes > chunk.size())
    return Error{ErrorCode::kTruncated, "the chunk is longer than its bytes", {}, std::nullopt};
  const auto body = chunk.subspan(header.header_bytes, header.body_bytes);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * body.size() / sizeof(capnp::word) + 1024;
  options.nestingLimit = 8;
  capnp::FlatArrayMessageReader message(
      kj::ArrayPtr<const capnp::word>(reinterpret_cast<const capnp::word*>(body.data()),
                                      body.size() / sizeof(capnp::word)),
      options);
  return read(message.getRoot<Root>(), header);
} catch (const kj::Exception& exception) {
  return Error{
      ErrorCode::kCorrupt,
      std::string("the chunk is not a Cap'n Proto message: ") + exception.getDescription().cStr(),
      {},
      std::nullopt};
}

template <typename Struct>
uint32_t crc_without_crc(Struct value) {
  value.crc32c = 0;
  return crc32c(file_bytes_of(value));
}

}  // namespace

void encode_session(const Session& session, std::vector<uint8_t>& chunk_out) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::Session>();
  root.setArchitecture(static_cast<uint16_t>(session.architecture));
  root.setBigEndian(session.byte_order == ByteOrder::kBig);
  root.setKernelRelease(data_of(session.kernel_release));
  root.setKernelVersion(data_of(session.kernel_version));
  root.setPageBytes(session.page_bytes);
  auto vcpus = root.initVcpus(static_cast<uint32_t>(session.vcpus.size()));
  for (uint32_t i = 0; i < vcpus.size(); ++i) {
    vcpus[i].setIndex(session.vcpus[i].index);
    vcpus[i].setId(session.vcpus[i].id);
    vcpus[i].setRunBytes(session.vcpus[i].run_bytes);
  }
  auto capabilities = root.initCapabilities(static_cast<uint32_t>(session.capabilities.size()));
  for (uint32_t i = 0; i < capabilities.size(); ++i) {
    capabilities[i].setNumber(session.capabilities[i].number);
    capabilities[i].setValue(session.capabilities[i].value);
    capabilities[i].setSystemWide(session.capabilities[i].system_wide);
  }
  auto facts = root.initCpuFacts(static_cast<uint32_t>(session.cpu_facts.size()));
  for (uint32_t i = 0; i < facts.size(); ++i) {
    facts[i].setName(session.cpu_facts[i].first);
    facts[i].setValue(data_of(session.cpu_facts[i].second));
  }
  root.setClockName(session.clock_name);
  root.setTicksPerSecond(session.ticks_per_second);
  put_clock(session.start, root.initStart());
  put_clock(session.now, root.initNow());
  root.setMonitorName(data_of(session.monitor_name));
  root.setMonitorPid(session.monitor_pid);
  root.setMonitorCommand(data_of(session.monitor_command));
  root.setRecorder(session.recorder);
  root.setHostName(data_of(session.host_name));
  root.setRingDirectory(data_of(session.ring_directory));
  root.setRegisterPolicy(session.register_policy);
  root.setRingFull(session.ring_full);
  auto left_out = root.initLeftOut(static_cast<uint32_t>(session.left_out.size()));
  for (uint32_t i = 0; i < left_out.size(); ++i) left_out.set(i, session.left_out[i]);
  root.setRedaction(session.redaction);
  root.setTrigger(session.trigger);
  root.setAbiVariant(session.abi_variant);
  root.setDistribution(data_of(session.distribution));
  auto history = root.initHistory(static_cast<uint32_t>(session.history.size()));
  for (uint32_t i = 0; i < history.size(); ++i) history.set(i, session.history[i]);
  root.setCopiedEnd(number_of(session.copied_end));
  append_message(message, ChunkType::kSession, session.uuid, 0, chunk_out);
}

Result<Session> decode_session(std::span<const uint8_t> chunk) {
  return with_message<wire::Session>(
      chunk, [](wire::Session::Reader root, const ChunkHeader& header) -> Result<Session> {
        Session session;
        session.uuid = header.session;
        session.architecture = static_cast<Architecture>(root.getArchitecture());
        session.byte_order = root.getBigEndian() ? ByteOrder::kBig : ByteOrder::kLittle;
        session.kernel_release = text_of(root.getKernelRelease());
        session.kernel_version = text_of(root.getKernelVersion());
        session.page_bytes = root.getPageBytes();
        for (auto vcpu : root.getVcpus())
          session.vcpus.push_back({vcpu.getIndex(), vcpu.getId(), vcpu.getRunBytes()});
        for (auto capability : root.getCapabilities())
          session.capabilities.push_back(
              {capability.getNumber(), capability.getValue(), capability.getSystemWide()});
        for (auto fact : root.getCpuFacts())
          session.cpu_facts.emplace_back(fact.getName().cStr(), text_of(fact.getValue()));
        session.clock_name = root.getClockName().cStr();
        session.ticks_per_second = root.getTicksPerSecond();
        session.start = clock_of(root.getStart());
        session.now = clock_of(root.getNow());
        session.monitor_name = text_of(root.getMonitorName());
        session.monitor_pid = root.getMonitorPid();
        session.monitor_command = text_of(root.getMonitorCommand());
        session.recorder = root.getRecorder().cStr();
        session.host_name = text_of(root.getHostName());
        session.ring_directory = text_of(root.getRingDirectory());
        session.register_policy = root.getRegisterPolicy().cStr();
        session.ring_full = root.getRingFull().cStr();
        for (auto text : root.getLeftOut()) session.left_out.emplace_back(text.cStr());
        session.redaction = root.getRedaction().cStr();
        session.trigger = root.getTrigger().cStr();
        session.abi_variant = root.getAbiVariant().cStr();
        session.distribution = text_of(root.getDistribution());
        for (auto text : root.getHistory()) session.history.emplace_back(text.cStr());
        session.copied_end = open_end_of(root.getCopiedEnd());
        return session;
      });
}

void encode_cut(const Cut& cut, const Uuid& session, std::vector<uint8_t>& chunk_out) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::Cut>();
  root.setNumber(cut.number);
  put_clock(cut.clock, root.initClock());
  append_message(message, ChunkType::kCut, session, cut.number, chunk_out);
}

Result<Cut> decode_cut(std::span<const uint8_t> chunk) {
  return with_message<wire::Cut>(chunk,
                                 [](wire::Cut::Reader root, const ChunkHeader&) -> Result<Cut> {
                                   return Cut{root.getNumber(), clock_of(root.getClock())};
                                 });
}

IndexEntry index_entry_of(uint64_t offset, const ChunkHeader& header) {
  IndexEntry entry;
  entry.offset = offset;
  entry.type = static_cast<ChunkType>(header.type);
  entry.vcpu_index = header.vcpu_index;
  entry.exits = header.exits;
  entry.first_seq = header.first_seq;
  entry.end_seq = header.end_seq;
  entry.first_tsc = header.first_tsc;
  entry.last_tsc = header.last_tsc;
  entry.cut = header.cut;
  return entry;
}

void encode_index(const TraceIndex& index, const Uuid& session, std::vector<uint8_t>& chunk_out) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<wire::Index>();
  auto entries = root.initEntries(static_cast<uint32_t>(index.entries.size()));
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const IndexEntry& from = index.entries[i];
    auto entry = entries[i];
    entry.setOffset(from.offset);
    entry.setType(static_cast<uint16_t>(from.type));
    entry.setVcpuIndex(from.vcpu_index);
    entry.setExits(from.exits);
    entry.setFirstSeq(from.first_seq);
    entry.setEndSeq(from.end_seq);
    entry.setFirstTicks(from.first_tsc);
    entry.setLastTicks(from.last_tsc);
    entry.setCut(from.cut);
    entry.setLost(from.lost);
    auto reasons = entry.initReasons(static_cast<uint32_t>(from.reasons.size()));
    for (uint32_t r = 0; r < reasons.size(); ++r) {
      reasons[r].setReason(from.reasons[r].first);
      reasons[r].setCount(from.reasons[r].second);
    }
  }
  root.setExits(index.exits);
  root.setLost(index.lost);
  root.setPreviousOffset(index.previous_offset);
  append_message(message, ChunkType::kIndex, session, 0, chunk_out);
}

Result<TraceIndex> decode_index(std::span<const uint8_t> chunk) {
  return with_message<wire::Index>(
      chunk, [](wire::Index::Reader root, const ChunkHeader&) -> Result<TraceIndex> {
        TraceIndex index;
        for (auto entry : root.getEntries()) {
          IndexEntry to{entry.getOffset(),
                        static_cast<ChunkType>(entry.getType()),
                        entry.getVcpuIndex(),
                        entry.getExits(),
                        entry.getFirstSeq(),
                        entry.getEndSeq(),
                        entry.getFirstTicks(),
                        entry.getLastTicks(),
                        entry.getCut(),
                        entry.getLost(),
                        {}};
          for (auto reason : entry.getReasons())
            to.reasons.emplace_back(reason.getReason(), reason.getCount());
          index.entries.push_back(std::move(to));
        }
        index.exits = root.getExits();
        index.lost = root.getLost();
        index.previous_offset = root.getPreviousOffset();
        return index;
      });
}

FileHeader make_file_header(const Uuid& session) {
  FileHeader header{};
  std::memcpy(header.magic, kFileMagic, sizeof kFileMagic);
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  header.header_bytes = sizeof header;
  header.session = session;
  header.crc32c = crc_without_crc(header);
  return header;
}

Result<FileHeader> check_file_header(std::span<const uint8_t> file) {
  if (file.empty())
    return Error{
        ErrorCode::kNotATrace, "the file is empty: nothing was recorded", {}, std::nullopt};
  if (file.size() < sizeof kFileMagic ||
      std::memcmp(file.data(), kFileMagic, sizeof kFileMagic) != 0)
    return Error{ErrorCode::kNotATrace, "not a kvmtape trace", {}, uint64_t{0}};
  if (file.size() < sizeof(FileHeader))
    return Error{ErrorCode::kTruncated,
                 "the file ends inside its header: no exit was written",
                 {},
                 file.size()};
  const auto header = load_file_struct<FileHeader>(file.data());
  if (header.crc32c != crc_without_crc(header))
    return Error{ErrorCode::kCorrupt, "the file header is damaged", {}, uint64_t{0}};
  if (header.major > kFormatMajor)
    return Error{ErrorCode::kUnsupported,
                 "format version " + std::to_string(header.major) + "." +
                     std::to_string(header.minor) + "; this kvmtape reads up to " +
                     std::to_string(kFormatMajor) + ".x: use a newer kvmtape",
                 {},
                 uint64_t{8}};
  if (header.header_bytes < sizeof header || header.header_bytes % 8 != 0 ||
      header.header_bytes > file.size())
    return Error{ErrorCode::kCorrupt, "the file header does not hold together", {}, uint64_t{12}};
  return header;
}

FileTrailer make_file_trailer(uint64_t index_offset) {
  FileTrailer trailer{};
  trailer.magic = kTrailerMagic;
  trailer.index_offset = index_offset;
  trailer.crc32c = crc_without_crc(trailer);
  return trailer;
}

Result<FileTrailer> check_file_trailer(std::span<const uint8_t> file) {
  const Error none{ErrorCode::kTruncated, "the trace has no footer", {}, file.size()};
  if (file.size() < sizeof(FileTrailer)) return none;
  const auto trailer =
      load_file_struct<FileTrailer>(file.data() + file.size() - sizeof(FileTrailer));
  if (trailer.magic != kTrailerMagic) return none;
  if (trailer.crc32c != crc_without_crc(trailer) ||
      trailer.index_offset > file.size() - sizeof trailer || trailer.index_offset % 8 != 0)
    return Error{ErrorCode::kCorrupt, "the footer is damaged", {}, file.size() - sizeof trailer};
  return trailer;
}

}  // namespace kvmtape
