#include "schema/chunk_message.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <schema/trace.capnp.h>

#include <string>

namespace kvmtape {

void append_exits_chunk(const ChunkHeader& header, const ChunkMessage& message,
                        std::vector<uint8_t>& out) {
  capnp::MallocMessageBuilder builder(64 * 1024 / sizeof(capnp::word));
  auto exits = builder.initRoot<wire::Exits>();
  exits.setArchitecture(static_cast<uint16_t>(message.stream.architecture));
  exits.setBigEndian(message.stream.byte_order == ByteOrder::kBig);
  exits.setCoreWords(static_cast<uint16_t>(message.core_words));
  exits.setVcpuId(message.stream.vcpu_id);
  auto clock = exits.initClock();
  clock.setTicks(message.clock.ticks);
  clock.setMonotonicNs(message.clock.monotonic_ns);
  clock.setRealtimeNs(message.clock.realtime_ns);
  exits.setTicksPerSecond(message.ticks_per_second);
  exits.setLost(message.lost);
  exits.setLostTotal(message.lost_total);
  exits.setPreviousTicks(message.previous_tsc);
  // Id 0 is nobody's.
  auto columns = exits.initColumns(static_cast<uint32_t>(message.columns.size() - 1));
  for (size_t id = 1; id < message.columns.size(); ++id) {
    const StoredColumn& from = message.columns[id];
    auto column = columns[static_cast<uint32_t>(id - 1)];
    column.setId(static_cast<uint16_t>(id));
    column.setRequired(true);
    column.setRawBytes(from.raw_bytes);
    column.setZstd(from.zstd);
    column.setBytes(kj::arrayPtr(from.bytes.data(), from.bytes.size()));
  }
  const auto words = capnp::messageToFlatArray(builder);
  append_chunk(header, {reinterpret_cast<const uint8_t*>(words.begin()), words.size() * 8}, out);
}

Result<void> read_exits_message(std::span<const uint8_t> body, ChunkMessage& message) try {
  const kj::ArrayPtr<const capnp::word> words(reinterpret_cast<const capnp::word*>(body.data()),
                                              body.size() / sizeof(capnp::word));
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words.size() + 1024;
  options.nestingLimit = 8;
  capnp::FlatArrayMessageReader reader(words, options);
  auto exits = reader.getRoot<wire::Exits>();
  message.stream.vcpu_id = exits.getVcpuId();
  message.stream.architecture = static_cast<Architecture>(exits.getArchitecture());
  message.stream.byte_order = exits.getBigEndian() ? ByteOrder::kBig : ByteOrder::kLittle;
  message.core_words = exits.getCoreWords();
  if (message.core_words != kCoreWords && message.core_words != kCoreWordsS390)
    return corrupt_chunk("the chunk names an impossible size of kvm_run");
  message.clock = {exits.getClock().getTicks(), exits.getClock().getMonotonicNs(),
                   exits.getClock().getRealtimeNs()};
  message.ticks_per_second = exits.getTicksPerSecond();
  message.lost = exits.getLost();
  message.lost_total = exits.getLostTotal();
  message.previous_tsc = exits.getPreviousTicks();
  message.columns.fill({});
  uint64_t raw_total = 0;
  for (auto column : exits.getColumns()) {
    if (column.getId() == 0 || column.getId() >= message.columns.size()) {
      if (column.getRequired())
        return Error{
            ErrorCode::kUnsupported,
            "the chunk has a column (" + std::to_string(column.getId()) +
                ") that this kvmtape does not know and that decoding needs: use a newer one",
            {},
            std::nullopt};
      continue;
    }
    raw_total += column.getRawBytes();
    if (raw_total > kChunkRawBytesMax)
      return corrupt_chunk("the chunk would be too large uncompressed");
    const auto bytes = column.getBytes();
    message.columns[column.getId()] = {
        column.getRawBytes(), column.getZstd(), {bytes.begin(), bytes.size()}};
  }
  return {};
} catch (const kj::Exception& exception) {
  return Error{
      ErrorCode::kCorrupt,
      std::string("the chunk is not a Cap'n Proto message: ") + exception.getDescription().cStr(),
      {},
      std::nullopt};
}

}  // namespace kvmtape
