// One decoded exit or struct as a screen for people: name, line, and a table of field, value,
// validity and why; below it the syndrome and the instruction bytes in words, where there are any.
// One thread.
#pragma once

#include <span>
#include <string_view>

#include "analysis/decoded_exit.h"
#include "cli/console.h"

namespace kvmtape {

// `registers`: those that travelled inside kvm_run.
void print_exit(const ExitDecoder& decoder, const DecodedExit& decoded,
                std::span<const Field> registers, Console& console);
void print_struct(Architecture architecture, std::string_view name, const RawMoment& moment,
                  std::span<const Field> fields, Console& console);

}  // namespace kvmtape
