// The guest's vmlinux: the names in it, the code as it was built, and, where it holds DWARF, which
// line of the source an address comes from. By libelf and libdw (elfutils); in a build without them
// (a cross build) open() says so. All addresses are as linked. Reading lines fills libdw's caches:
// one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"

namespace kvmtape {

class KernelImage {
 public:
  // Errors: kIo, kUsage (no ELF file, no symbols).
  static Result<std::unique_ptr<KernelImage>> open(const std::string& path);
  KernelImage(const KernelImage&) = delete;
  KernelImage& operator=(const KernelImage&) = delete;
  ~KernelImage();

  // Address and name of every function and object; may be taken once.
  std::vector<std::pair<uint64_t, std::string>> take_symbols();

  struct Code {
    uint64_t address = 0;
    std::span<const uint8_t> bytes;
  };
  // The sections that hold instructions.
  std::span<const Code> code() const;
  // "kernel/panic.c:432"; empty: there is no DWARF, or it does not say.
  std::string source_line(uint64_t address) const;

 private:
  struct State;
  explicit KernelImage(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvmtape
