// Whole files of test data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvmtape::testing {

// Aborts the test binary when the file is not there: it is part of the repository.
std::string read_file(const std::filesystem::path& path);
std::vector<uint8_t> read_zstd_file(const std::filesystem::path& path);

}  // namespace kvmtape::testing
