// The rows of data/*.csv: constants of kernel headers, to hold our tables against. Read anew by
// each call, by one thread; a file that is missing or empty fails the calling test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace kvmtape {

struct HeaderConstant {
  uint64_t value;
  std::string name;
};

inline std::vector<HeaderConstant> header_constants(const std::string& file) {
  std::ifstream in(KVMTAPE_SOURCE_DIR "/tests/replayer/arch_names/data/" + file);
  std::vector<HeaderConstant> rows;
  std::string line;
  std::getline(in, line);  // dec,hex,name
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string decimal, hex, name;
    std::getline(fields, decimal, ',');
    std::getline(fields, hex, ',');
    std::getline(fields, name);
    rows.push_back({std::stoull(decimal), name});
  }
  EXPECT_FALSE(rows.empty()) << file;
  return rows;
}

}  // namespace kvmtape
