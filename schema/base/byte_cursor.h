// Bounds-checked reading of bytes in either byte order, and the unchecked primitives under it.
// Every integer that reaches us from a file, a ring or a kvm_run page passes through here, so that
// no other file needs memcpy casts, byte swaps or its own overflow arithmetic.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace kvmtape {

enum class ByteOrder : uint8_t { kLittle = 0, kBig = 1 };

inline constexpr ByteOrder kHostByteOrder =
    std::endian::native == std::endian::little ? ByteOrder::kLittle : ByteOrder::kBig;

template <typename T>
constexpr T byte_swapped(T value) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

// The caller guarantees sizeof(T) readable (or writable) bytes at `from` (`to`).
template <typename T>
T load(const void* from, ByteOrder order) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return order == kHostByteOrder ? value : byte_swapped(value);
}
template <typename T>
T load_le(const void* from) {
  return load<T>(from, ByteOrder::kLittle);
}
template <typename T>
void store_le(void* to, T value) {
  if (kHostByteOrder != ByteOrder::kLittle) value = byte_swapped(value);
  std::memcpy(to, &value, sizeof value);
}

// Walks a span; a read that does not fit yields zero and leaves ok() false for good, so that a
// parser checks once at the end of a structure instead of after every field.
class ByteCursor {
 public:
  explicit ByteCursor(std::span<const uint8_t> bytes, ByteOrder order = ByteOrder::kLittle)
      : bytes_(bytes), order_(order) {}

  template <typename T>
  T read() {
    if (!has(sizeof(T))) return fail<T>();
    T value = load<T>(bytes_.data() + position_, order_);
    position_ += sizeof(T);
    return value;
  }
  std::span<const uint8_t> take(size_t count) {
    if (!has(count)) return fail<std::span<const uint8_t>>();
    auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  void skip(size_t count) { (void)take(count); }

  bool ok() const { return ok_; }
  bool at_end() const { return position_ == bytes_.size(); }
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

 private:
  bool has(size_t count) const { return ok_ && count <= bytes_.size() - position_; }
  template <typename T>
  T fail() {
    ok_ = false;
    return T{};
  }

  std::span<const uint8_t> bytes_;
  ByteOrder order_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace kvmtape
