// --arch, --kernel, --big-endian, --page-bytes, --cap: whose kernel wrote bytes that do not say it
// themselves. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "schema/session_codec.h"

namespace kvmtape {

struct KernelOptions {
  std::string architecture;
  std::string release;
  bool big_endian = false;
  uint32_t page_bytes = 0;  // 0: not said
  std::vector<std::string> capabilities;
  std::string cpu_vendor;  // of x86: empty: not said

  void add_to(CLI::App& verb);
  // What is not known (an architecture, a release, a page size that no kernel has) stays unknown in
  // it, with a warning. Errors, kUsage: --cap; --big-endian where no
  // such machine is; no --arch where the default is empty.
  Result<Session> session(std::string_view default_architecture, Console& console) const;
};

}  // namespace kvmtape
