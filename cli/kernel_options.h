// --arch, --kernel, --big-endian, --page-bytes, --cap: whose kernel wrote bytes that do not say it
// themselves. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/console.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct KernelOptions {
  std::string architecture = "x86_64";
  std::string release;
  bool big_endian = false;
  uint32_t page_bytes = 0;  // 0: not said
  std::vector<std::string> capabilities;

  void add_to(CLI::App& verb);
  // What is not known (an architecture, a release, a page size that no kernel has) stays unknown in
  // it, with a warning. Errors, kUsage: --cap.
  Result<Session> session(Console& console) const;
};

}  // namespace kvmtape
