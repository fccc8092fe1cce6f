// Both moments of one recorded exit, decoded: what `dump` and everything behind it look at. An
// object is reused from exit to exit; it borrows the recorded bytes. One thread.
#pragma once

#include <string>

#include "replayer/arch_names/esr.h"
#include "replayer/exit.h"
#include "replayer/exit_decoder.h"
#include "replayer/raw_moment.h"
#include "schema/chunk_codec.h"

namespace kvmtape {

struct DecodedExit {
  RawMoment moment;
  Exit exit;
  bool has_answer = false;
  RawMoment answer_moment;
  Exit answer;
};

// What a recorded exit was, and what the monitor left (if it has_answer), for a decoder of that
// context. They borrow the recorded bytes.
RawMoment exit_moment(const RecordedExit& recorded, const DecodeContext& context);
RawMoment answer_moment(const RecordedExit& recorded, const DecodeContext& context);

void decode_both(const ExitDecoder& decoder, const RecordedExit& recorded, DecodedExit& decoded);

// "KVM_EXIT_IO", "KVM_EXIT_44"; "KVM_RUN" where it failed and reported no exit, or the
// recording ends before the reason.
std::string name_of(const DecodedExit& decoded);
bool same_name(const DecodedExit& a, const DecodedExit& b);  // without making it
// One line for people: the exit's, or the answer's where only that holds the data (of a read).
std::string text_of(const ExitDecoder& decoder, const DecodedExit& decoded);

// The syndrome of an exit that has one (has_esr), read as the kind that its reason carries.
Esr esr_of(const Exit& exit);

// Whether the field, one of `decoded.answer`, says something else than in the exit: other bytes, or
// believed only now.
bool differs_in_answer(const DecodedExit& decoded, const Field& in_answer);

}  // namespace kvmtape
