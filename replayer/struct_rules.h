// Which fields of a struct that KVM filled in mean something; each rule in one function. Called by
// struct_decoder.cc with the fields as the tables give them, all of them valid or absent.
#pragma once

#include <span>
#include <string_view>

#include "replayer/exit.h"
#include "schema/trace_format.h"

namespace kvmtape {

// `prefix` is "events." where the struct stands inside another, else empty.
void judge_vcpu_events(std::span<Field> fields, std::string_view prefix);
void judge_guest_debug(std::span<Field> fields, Architecture architecture);
void judge_sync_regs(std::span<Field> fields, Architecture architecture, uint64_t valid_regs);

}  // namespace kvmtape
