// The lines of `dump`: `vcpu:seq  time  NAME  text`, times in seconds from the start. What is not
// an exit has a word in lower case for its name: gap, repeat, mark, call, registers,
// memory. One thread.
#pragma once

#include <string>

#include "analysis/decoded_exit.h"
#include "cli/console.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

class DumpText {
 public:
  struct Options {
    bool raw = false;  // bytes in hex on lines of their own below
    bool all = false;  // registers, and calls that were not refused
  };
  DumpText(const TraceReader& reader, const ExitDecoder& decoder, Options options,
           Console& console);

  // False: nobody reads any more.
  bool print(const Item& item);

 private:
  bool print_exit(const Item& item);
  bool print_repeat(const Item& item);
  bool print_call(const Item& item);
  bool print_line(const std::string& place, int64_t time_ns, const std::string& name,
                  const std::string& color, const std::string& text);
  bool print_bytes(std::string_view label, std::span<const uint8_t> bytes);

  const TraceReader& reader_;
  const ExitDecoder& decoder_;
  const Options options_;
  Console& console_;
  DecodedExit decoded_;
};

}  // namespace kvmtape
