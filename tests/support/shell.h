// Runs a line by the shell, for tests of whole programs. Blocks until it has ended and whoever
// holds its standard output too; what it says on standard error stays on the test's.
#pragma once

#include <string>

namespace kvmtape::testing {

struct ShellRun {
  int status = -1;  // exit status; 128 + n for a signal
  std::string out;  // read to its end, which a daemon too holds open
};
ShellRun shell(const std::string& line);

}  // namespace kvmtape::testing
