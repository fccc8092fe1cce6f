// Which way a program can be recorded, told from its file: is it dynamically linked, against which
// libc, does it make its system calls through that. Any thread; reads files.
#pragma once

#include <string>

#include "schema/base/result.h"

namespace kvmtape {

struct Way {
  enum class Kind { kPreload, kBpf, kPtrace, kNone };
  Kind kind = Kind::kNone;
  std::string program;    // the file that would be run
  std::string why;        // "it is dynamically linked against glibc"
  std::string next_step;  // what to do where there is no way; else empty
  std::string to_string() const;
};

// Looked up as execvp does. kUsage with errno's text if it cannot be run at all.
Result<std::string> find_program(const std::string& name);

// A script is judged by its interpreter, which passes the library on to what it runs.
Result<Way> choose_way(const std::string& name);

// The preload library: beside the running program, in its ../lib*/kvmtape, or `wanted`.
Result<std::string> find_preload_library(const std::string& wanted);

}  // namespace kvmtape
