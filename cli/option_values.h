// What the values of options may be; what is wrong with one is said with what to write instead.
// Each is a validator for CLI::Option::check(), or transform() where it says so. Any thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace kvmtape {

CLI::Validator one_of(const std::vector<std::string>& names);
CLI::Validator positive_number();
CLI::Validator any_number();  // 0 as well
// transform(): 65536, 512K, 1M or 2G into bytes, from `least` to `most`.
CLI::Validator size_in_bytes(uint64_t least, uint64_t most = UINT64_MAX);

// Of -o: a recording is a file, for its writer seeks in it.
CLI::Validator recording_file();

}  // namespace kvmtape
