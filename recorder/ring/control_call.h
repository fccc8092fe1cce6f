// Writing a control call, an ioctl beside KVM_RUN, or a mark into a session ring: the bytes of
// snapshot.h's ControlCallRecord. Shared by the embedding session and the preload library; nothing
// but libc. The caller holds whatever keeps other writers out of that ring, and gives the time by
// the session's clock, which is not everywhere read_clock().
#pragma once

#include <span>
#include <string_view>

#include "recorder/ring/ring_writer.h"

namespace kvmtape {

inline constexpr size_t kControlPayloadMax = 4096;  // each way; in_bytes and out_bytes say the same

inline void store_ring_bytes(uint64_t*& out, std::span<const uint8_t> bytes) noexcept {
  for (size_t at = 0; at < bytes.size(); at += kWordBytes) {
    uint64_t word = 0;
    const size_t left = bytes.size() - at;
    std::memcpy(&word, bytes.data() + at, left < kWordBytes ? left : kWordBytes);
    store_ring_word(out++, word);
  }
}

// Room in the session's ring, or nullptr and one more record counted as lost.
inline uint64_t* reserve_or_drop(RingWriter& writer, uint64_t ticks, uint32_t words) noexcept {
  writer.set_clock_for_gaps(ticks);
  uint64_t* out = writer.reserve(words);
  if (out == nullptr) writer.drop();
  return out;
}

// `call` but for its payload sizes, which are those of `in` and `out`, cut at kControlPayloadMax.
inline bool write_control_call(RingWriter& writer, uint64_t ticks, ControlCallRecord call,
                               std::span<const uint8_t> in, std::span<const uint8_t> out) noexcept {
  if (in.size() > kControlPayloadMax) in = in.first(kControlPayloadMax);
  if (out.size() > kControlPayloadMax) out = out.first(kControlPayloadMax);
  call.in_bytes = static_cast<uint32_t>(in.size());
  call.out_bytes = static_cast<uint32_t>(out.size());
  const uint32_t words = kRecordHeaderWords + uint32_t{sizeof call / kWordBytes} +
                         data_words(call.in_bytes) + data_words(call.out_bytes);
  uint64_t* to = reserve_or_drop(writer, ticks, words);
  if (to == nullptr) return false;
  store_ring_number(to++, record_word(RecordKind::kControlCall, 0, words, 0));
  store_ring_number(to++, ticks);
  store_ring_bytes(to, {reinterpret_cast<const uint8_t*>(&call), sizeof call});
  store_ring_bytes(to, in);
  store_ring_bytes(to, out);
  writer.commit(words);
  return true;
}

inline bool write_mark(RingWriter& writer, uint64_t ticks, std::string_view text) noexcept {
  const auto bytes = static_cast<uint32_t>(text.size());
  const uint32_t words = kRecordHeaderWords + data_words(bytes);
  uint64_t* out = reserve_or_drop(writer, ticks, words);
  if (out == nullptr) return false;
  store_ring_number(out++, record_word(RecordKind::kMark, 0, words, static_cast<int32_t>(bytes)));
  store_ring_number(out++, ticks);
  store_ring_bytes(out, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  writer.commit(words);
  return true;
}

}  // namespace kvmtape
