// The pages of traces/raw, each with what the program that ran beside the kernel printed of it.
// Loaded once, on first use, and kept for the life of the test binary; a missing file aborts it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "replayer/decode_context.h"

namespace kvmtape::testing {

struct LabPage {
  int number = 0;
  bool poisoned = true;  // 0xAA wherever the kernel did not write
  std::string test;
  int32_t ret = 0;
  uint32_t reason = 0;
  std::map<std::string, std::string> printed;  // "hsr" to "f2001234"
  std::vector<uint8_t> bytes;
};

struct LabRun {
  std::string tag;
  DecodeContext context;
  std::vector<LabPage> pages;
};

// Every run that we have; tags are those of traces/raw/README.md.
const std::vector<LabRun>& lab_runs();
const LabRun& lab_run(std::string_view tag);
const LabPage& lab_page(const LabRun& run, std::string_view test);

}  // namespace kvmtape::testing
