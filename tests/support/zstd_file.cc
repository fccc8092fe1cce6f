#include "tests/support/zstd_file.h"

#include <zstd.h>

#include <fstream>
#include <iterator>

#include "schema/base/check.h"

namespace kvmtape::testing {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  KVMTAPE_CHECK(file.is_open());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<uint8_t> read_zstd_file(const std::filesystem::path& path) {
  const std::string packed = read_file(path);
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> piece(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    KVMTAPE_CHECK(ZSTD_isError(ZSTD_decompressStream(context, &out, &in)) == 0);
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(out.pos));
  }
  ZSTD_freeDCtx(context);
  return bytes;
}

}  // namespace kvmtape::testing
