#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzzer.h"

namespace {

constexpr std::string_view kWriteSeeds = "--write-seeds=";

void write_seeds(const std::string& directory) {
  int number = 0;
  for (const auto& seed : kvmtape::fuzz::seeds()) {
    const std::string path = directory + "/generated-" + std::to_string(number++);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
    if (!file.good()) {
      std::fprintf(stderr, "cannot write %s\n", path.c_str());
      std::exit(1);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (!argument.starts_with(kWriteSeeds)) continue;
    write_seeds(std::string(argument.substr(kWriteSeeds.size())));
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvmtape::fuzz::attack({data, size});
  return 0;
}
