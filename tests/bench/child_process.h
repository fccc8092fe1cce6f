// Running other programs, quietly: what they print goes nowhere, their errors to a file. Processes
// that were started belong to the caller, who ends or awaits them. One thread at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kvmtape::bench {

struct ProgramRun {
  int status = -1;  // exit status; 127: not installed; -1: could not be started or was killed
  double cpu_seconds = 0;   // user and system
  uint64_t peak_bytes = 0;  // most memory at once, this process's share at its fork included
  std::string error_text;   // first line of its stderr
};

// Starts `words` on `cpu` (-1: any) without waiting. -1 if that fails.
pid_t start_program(const std::vector<std::string>& words, int cpu, const std::string& error_file);
// Sends SIGTERM and waits.
void end_program(pid_t pid);
// Starts and waits.
ProgramRun run_program(const std::vector<std::string>& words, const std::string& directory,
                       int cpu = -1);

}  // namespace kvmtape::bench
