#include "tests/bench/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

pid_t start_program(const std::vector<std::string>& words, int cpu, const std::string& error_file) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (cpu >= 0) pin_to(cpu);
  const int null = ::open("/dev/null", O_RDWR);
  const int errors = ::open(error_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(null, 0);
  ::dup2(null, 1);
  ::dup2(errors, 2);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

void end_program(pid_t pid) {
  if (pid <= 0) return;
  ::kill(pid, SIGTERM);
  ::waitpid(pid, nullptr, 0);
}

ProgramRun run_program(const std::vector<std::string>& words, const std::string& directory,
                       int cpu) {
  ProgramRun run;
  const std::string error_file = directory + "/stderr";
  const pid_t pid = start_program(words, cpu, error_file);
  int status = 0;
  rusage usage{};
  if (pid > 0 && ::wait4(pid, &status, 0, &usage) == pid && WIFEXITED(status))
    run.status = WEXITSTATUS(status);
  run.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  run.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  std::ifstream errors(error_file);
  std::getline(errors, run.error_text);
  if (run.status == 127) run.error_text = words[0] + " is not installed";
  return run;
}

}  // namespace kvmtape::bench
