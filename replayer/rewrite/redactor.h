// The editor behind `redact`: leaves of each moment what its profile keeps and makes the rest zero,
// byte by byte, whatever it may have been. What a field is, the decoder says. One rewrite, one
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "replayer/decode_context.h"
#include "replayer/exit_decoder.h"
#include "replayer/redaction.h"
#include "replayer/rewrite/trace_rewriter.h"

namespace kvmtape {

class Redactor : public RecordEditor {
 public:
  // `context`: of the recording that is read, with what was removed from it already.
  Redactor(const DecodeContext& context, RedactionProfile profile);

  void edit(Session& session) override;
  void edit(RecordedExit& exit) override;
  bool edit(SideRecord& side) override;

 private:
  using Image = std::array<uint8_t, kRunBytesMax>;
  std::span<const uint8_t> redact(const RawMoment& moment, Image& image);
  bool redact_registers(SideRecord& side);
  bool redact_memory(SideRecord& side);
  bool redact_call(SideRecord& side);
  bool keeps_registers() const { return keeps(profile_, Sensitivity::kRegister); }
  // The payload's first `bytes` bytes, padded to whole words, to be changed.
  uint8_t* take_payload(SideRecord& side, size_t bytes);

  RedactionProfile profile_;
  ExitDecoder decoder_;
  size_t core_bytes_;
  Exit exit_;
  Image exit_image_{};
  Image answer_image_{};
  std::vector<uint8_t> payload_;
};

}  // namespace kvmtape
