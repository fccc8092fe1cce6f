// The JSON lines of `dump --json`: an exit with all that is known of it, a gap, a repeat, a mark, a
// call. The shapes are what scripts rely on: docs/kvmtape.1, section JSON. One thread; nothing is
// built in memory but the line itself.
#pragma once

#include <span>

#include "analysis/decoded_exit.h"
#include "analysis/json_writer.h"
#include "analysis/register_set.h"
#include "replayer/trace_reader.h"

namespace kvmtape {

// All members of an exit but "registers"; the object stays open, so that registers and memory that
// were taken with the exit can follow (write_registers, memory_slice.h). Without a clock its times
// are null.
void begin_exit(JsonWriter& json, const Item& item, const ExitDecoder& decoder,
                const DecodedExit& decoded, bool with_raw, bool has_clock);
// Of those, the ones that its bytes and KVM_RUN's return say, from "ret" to "text".
void write_exit_meaning(JsonWriter& json, const ExitDecoder& decoder, const DecodedExit& decoded);
// "raw".
void write_raw(JsonWriter& json, const RawMoment& moment);
// "registers", if there are any: each set by the name of its kernel struct, with fields and bytes.
void write_registers(JsonWriter& json, const DecodeContext& context, const RegisterSets& sets);

// Whole objects.
void write_gap(JsonWriter& json, const Item& item);
void write_repeat(JsonWriter& json, const Item& item, const TraceReader& reader);
void write_mark(JsonWriter& json, const Item& item);

// "fields" of a moment or of a struct; with `only_new_in` those that this answer changed.
void write_fields(JsonWriter& json, Architecture architecture, const RawMoment& moment,
                  std::span<const Field> fields, const DecodedExit* only_new_in = nullptr);
// The same of a struct of KVM's interface, whose flags and registers have their bits in "text".
void write_struct_fields(JsonWriter& json, Architecture architecture, std::string_view structure,
                         const RawMoment& moment, std::span<const Field> fields);

}  // namespace kvmtape
