// From raw bytes to meaning: table by table, rule by rule, never by <linux/kvm.h>, so that any
// machine reads any machine's exits. One decoder serves one session and may be used by one thread
// at a time; decoding allocates nothing.
//
// Facts come from schema/abi (tables generated from CSV) and from the rules in replayer/arch, each
// of which names the kernel source it was read in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "replayer/decode_context.h"
#include "replayer/exit.h"

namespace kvmtape {

// One moment of an exit as it was recorded: borrowed bytes.
struct RawMoment {
  std::span<const uint8_t> kvm_run;  // from offset 0; 288 bytes, or more with the sync area;
                                     // anything shorter is decoded as far as it goes
  std::span<const uint8_t> data;     // the bytes at io.data_offset
  int32_t ret = 0;                   // 0, or the negated errno of KVM_RUN (Linux generic numbers)
  bool ret_known = true;             // false: a bare page, nobody knows what KVM_RUN returned
  bool is_answer = false;            // what the monitor left behind for the next KVM_RUN
};

class ExitDecoder {
 public:
  explicit ExitDecoder(DecodeContext context);

  const DecodeContext& context() const { return context_; }

  // Every field of the moment, with its validity at that moment: the data of a read is stale at the
  // exit and valid in the answer. `exit` is overwritten. Field names, reasons and `why` are static.
  void decode(const RawMoment& moment, Exit& exit) const;

 private:
  DecodeContext context_;
};

// The name of an exit reason, "KVM_EXIT_IO"; empty when this build knows none.
std::string_view exit_reason_name(uint32_t reason);
// Inverse, for --exit: accepts "KVM_EXIT_IO", "IO", "io" and "44"; -1 if it is neither.
int64_t exit_reason_number(std::string_view name);

// One line for people, as in `dump` and the JSON's "text": "IN  port 0x3f8 1 byte", "BRK #0x1234",
// "write 4 bytes 0x12345678 to 0xfee000b0". Says what is not known rather than printing it.
std::string exit_text(const DecodeContext& context, const RawMoment& moment, const Exit& exit);

// The bytes of a field as they lay in memory; empty when they were not recorded.
std::span<const uint8_t> raw_bytes(const Field& field, std::span<const uint8_t> kvm_run);

}  // namespace kvmtape
