// Commands that a user is told to run, made of names that anybody may have chosen: each name is one
// word of a POSIX shell, whatever is in it. A name that needs no quotes stands as it is. Pure
// functions; any thread.
//
// Quotes keep control characters as they are, and who prints shows those by their bytes, "\x1b": a
// command with such a name finds no file, rather than another, and steers no terminal.
#pragma once

#include <string>
#include <string_view>

namespace kvmtape {

std::string shell_word(std::string_view word);
// Of a file: one that begins with '-' is no option.
std::string shell_path(std::string_view path);

}  // namespace kvmtape
