// Columns: every encoding undone gives what went in, and no bytes make a decoder write elsewhere.
//
//   u8 plane | u16 size that a frame is said to have | the rest: numbers, words, bytes or a frame
#include <cstring>

#include "schema/base/check.h"
#include "schema/column_codec.h"
#include "tests/fuzz/fuzzer.h"

namespace kvmtape::fuzz {
namespace {

template <typename T>
std::vector<T> numbers_of(std::span<const uint8_t> bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

void narrow(const std::vector<uint32_t>& numbers) {
  Bytes bytes;
  encode_narrow(numbers, bytes);
  std::vector<uint32_t> back;
  KVMTAPE_CHECK(decode_narrow(bytes, numbers.size(), back) && back == numbers);
}

void planes(const std::vector<uint32_t>& numbers) {
  std::vector<uint32_t> back(numbers.size());
  for (uint32_t plane = 0; plane < 4; ++plane) {
    Bytes bytes;
    encode_plane(numbers, plane, bytes);
    KVMTAPE_CHECK(decode_plane(bytes, plane, back));
  }
  KVMTAPE_CHECK(back == numbers);
}

void transposed(const std::vector<uint64_t>& words) {
  Bytes bytes;
  encode_transposed(words, bytes);
  std::vector<uint64_t> back(words.size());
  decode_transposed(bytes, back);
  KVMTAPE_CHECK(back == words);
}

void frames(std::span<const uint8_t> raw, size_t said) {
  static Compressor compressor;
  static Decompressor decompressor;
  Bytes frame, back(raw.size());
  compressor.encode_frame(raw, frame);
  if (!frame.empty()) {
    KVMTAPE_CHECK(decompressor.decode_frame(frame, back));
    KVMTAPE_CHECK(std::memcmp(back.data(), raw.data(), raw.size()) == 0);
    back.push_back(0);
    KVMTAPE_CHECK(!decompressor.decode_frame(frame, back));  // a byte more than it holds
  }
  back.assign(said, 0);
  (void)decompressor.decode_frame(raw, back);
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  ByteCursor cursor(input);
  const auto plane = static_cast<uint32_t>(cursor.read<uint8_t>() % 4);
  const auto said = cursor.read<uint16_t>();
  const auto rest = cursor.take(cursor.remaining());
  narrow(numbers_of<uint32_t>(rest));
  planes(numbers_of<uint32_t>(rest));
  transposed(numbers_of<uint64_t>(rest));
  frames(rest, said);
  std::vector<uint32_t> numbers;
  if (decode_narrow(rest, said, numbers)) KVMTAPE_CHECK(numbers.size() == said);
  numbers.assign(said, 0);
  (void)decode_plane(rest, plane, numbers);
  std::vector<uint64_t> words(rest.size() / 8);
  decode_transposed(rest, words);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> inputs;
  Bytes raw(300);
  for (size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<uint8_t>(i / 16);
  Bytes frame;
  Compressor().encode_frame(raw, frame);
  inputs.push_back(InputWriter().put<uint8_t>(1).put<uint16_t>(300).put_bytes(raw).take());
  inputs.push_back(InputWriter().put<uint8_t>(2).put<uint16_t>(300).put_bytes(frame).take());
  return inputs;
}

}  // namespace kvmtape::fuzz
