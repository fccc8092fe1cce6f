#include "recorder/import/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

namespace kvmtape {
namespace {

constexpr uint8_t kZstdMagic[] = {0x28, 0xb5, 0x2f, 0xfd};  // RFC 8878 section 3.1.1
// A frame may ask for a window of gigabytes; those that zstd makes by default need 8 MiB.
constexpr int kWindowLogMax = 27;
constexpr size_t kBufferBytes = 128 * 1024;

}  // namespace

void ByteSource::Free::operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }

Result<ByteSource> ByteSource::open(const std::string& path) {
  ByteSource source;
  source.path_ = path;
  // Standard input is duplicated so that both are closed alike.
  source.fd_.reset(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                               : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.fd_.valid())
    return Error{ErrorCode::kIo, std::string("cannot open it: ") + std::strerror(errno), path,
                 std::nullopt};
  source.input_.resize(kBufferBytes);
  while (source.input_end_ < sizeof kZstdMagic) {
    KVMTAPE_TRY_ASSIGN(const bool more, source.fill_input());
    if (!more) break;
  }
  if (source.input_end_ >= sizeof kZstdMagic &&
      std::equal(std::begin(kZstdMagic), std::end(kZstdMagic), source.input_.begin())) {
    source.zstd_.reset(ZSTD_createDCtx());
    if (source.zstd_ == nullptr)
      return Error{ErrorCode::kIo, "no memory to decompress it", path, std::nullopt};
    ZSTD_DCtx_setParameter(source.zstd_.get(), ZSTD_d_windowLogMax, kWindowLogMax);
    source.output_.resize(kBufferBytes);
  }
  return source;
}

// Appends to the input; false at its end.
Result<bool> ByteSource::fill_input() {
  if (input_at_ == input_end_) input_at_ = input_end_ = 0;
  for (;;) {
    const ssize_t count = ::read(fd_.get(), input_.data() + input_end_, input_.size() - input_end_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return Error{ErrorCode::kIo, std::string("cannot read it: ") + std::strerror(errno), path_,
                   std::nullopt};
    input_end_ += static_cast<size_t>(count);
    return count != 0;
  }
}

// Decompresses what it can; false at the end.
Result<bool> ByteSource::fill_output() {
  output_at_ = output_end_ = 0;
  while (output_end_ == 0) {
    if (input_at_ == input_end_) {
      KVMTAPE_TRY_ASSIGN(const bool more, fill_input());
      if (!more && !frame_open_) return false;
      if (!more) return Error{ErrorCode::kTruncated, "the zstd frame is cut off", path_, position_};
    }
    ZSTD_inBuffer in{input_.data(), input_end_, input_at_};
    ZSTD_outBuffer out{output_.data(), output_.size(), 0};
    const size_t left = ZSTD_decompressStream(zstd_.get(), &out, &in);
    if (ZSTD_isError(left) != 0)
      return Error{ErrorCode::kCorrupt,
                   std::string("cannot decompress it: ") + ZSTD_getErrorName(left), path_,
                   position_};
    frame_open_ = left != 0;
    input_at_ = in.pos;
    output_end_ = out.pos;
  }
  return true;
}

Result<size_t> ByteSource::read(std::span<uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    auto& buffer = zstd_ ? output_ : input_;
    size_t& at = zstd_ ? output_at_ : input_at_;
    const size_t end = zstd_ ? output_end_ : input_end_;
    if (at == end) {
      KVMTAPE_TRY_ASSIGN(const bool more, zstd_ ? fill_output() : fill_input());
      if (!more) break;
      continue;
    }
    const size_t count = std::min(bytes.size() - done, end - at);
    std::memcpy(bytes.data() + done, buffer.data() + at, count);
    at += count;
    done += count;
    position_ += count;
  }
  return done;
}

}  // namespace kvmtape
