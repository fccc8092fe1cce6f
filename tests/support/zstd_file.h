// Whole files of test data, packed or not. Returns what it read by value; a file that is missing or
// damaged aborts the test binary, because it is part of the repository.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvmtape::testing {

std::string read_file(const std::filesystem::path& path);
std::vector<uint8_t> read_zstd_file(const std::filesystem::path& path);

}  // namespace kvmtape::testing
