// What the commands print through: data on standard output, in large writes; everything for people
// on standard error. A reader that closed the pipe ends a command quietly. One thread.
#pragma once

#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace kvmtape {

// docs/kvmtape.1, EXIT STATUS; in this order of precedence.
enum ExitStatus : int {
  kFailed = 2,      // usage, unreadable input, cannot write
  kAnswerIsNo = 1,  // verify: damaged
  kIncomplete = 3,  // done, but exits may be missing
  kDone = 0,
};

// A line on standard error. Where nobody can be told, nobody is: a monitor is recorded, and its
// status returned, all the same. Does not throw but for memory.
void say(std::string_view line);

// Of several, the one that takes precedence.
int worse_of(int a, int b);

class Console {
 public:
  enum class Color { kAuto, kAlways, kNever };

  ~Console();

  void set_quiet(bool quiet) { quiet_ = quiet; }
  void set_color(Color color);  // kAuto: a terminal, and NO_COLOR is not set

  // False when nobody reads any more, or it cannot be written: stop working.
  bool print(std::string_view text);
  bool closed() const { return pipe_closed_ || write_error_ != 0; }
  // `text` in an SGR colour, "31", where colours are wanted.
  std::string painted(std::string_view text, std::string_view sgr) const;

  // A line on standard error; whatever names and messages of others are in it, as printable().
  void warn(std::string_view text);  // "kvmtape: text"; not with -q
  void note(std::string_view text);  // without that, if it is any; not with -q
  int fail(const Error& error);      // prints it, returns kFailed
  int fail(std::string_view message);

  // Writes what is left. kFailed if standard output could not be written (not: closed pipe).
  int finish(int status);

 private:
  bool flush();

  std::string buffer_;
  bool quiet_ = false;
  bool colored_ = false;
  bool pipe_closed_ = false;
  int write_error_ = 0;
};

}  // namespace kvmtape
