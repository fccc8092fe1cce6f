// REP OUTS of each size and several counts. KVM hands over as many elements at once as it likes (up
// to the page at io.data_offset); together they must be what lies in guest memory. What it likes is
// part of the fingerprint: the remark tells into how many exits each was cut.
#include <fmt/core.h>

#include <cstring>

#include "recorder/probe/guests/x86_64/battery.h"

namespace kvmtape::x86 {

KVMTAPE_GUEST_CODE(io_string_out_code, R"(
    cld
    mov $0x3f8, %dx
    mov $0x20000, %esi
    mov $1, %ecx
    rep outsb
    mov $0x20000, %esi
    mov $7, %ecx
    rep outsw
    mov $0x20000, %esi
    mov $40, %ecx
    rep outsl
    hlt
)");

namespace {

struct Burst {
  unsigned element_bytes;
  unsigned count;
};

void play_io_string_out(Stage& stage) {
  Machine machine(stage);
  machine.load_code(io_string_out_code);
  for (uint32_t word = 0; word < 40; ++word) machine.store(kDataAddress + word * 4, word * 0x10001);
  Vcpu& vcpu = machine.add_vcpu();
  std::string cuts;
  for (const Burst burst : {Burst{1, 1}, Burst{2, 7}, Burst{4, 40}}) {
    const uint64_t exits_before = stage.exits();
    for (unsigned done = 0; done < burst.count;) {
      if (!vcpu.expect(KVM_EXIT_IO)) return;
      const auto& io = vcpu.run().io;
      if (io.size != burst.element_bytes || io.count == 0 || io.count > burst.count - done) {
        return stage.differ("io says another size or count than the instruction");
      }
      const uint8_t* sent = machine.at(kDataAddress + done * burst.element_bytes);
      stage.check(std::memcmp(io_data(vcpu), sent, io.count * burst.element_bytes) == 0,
                  "the bytes at io.data_offset are not those that were written");
      done += io.count;
    }
    cuts += fmt::format("{}{} x {} bytes in {}", cuts.empty() ? "" : ", ", burst.count,
                        burst.element_bytes, stage.exits() - exits_before);
  }
  vcpu.expect(KVM_EXIT_HLT);
  stage.remark(cuts + " exits");
}

}  // namespace

const Guest kIoStringOut = {"io_string_out", "REP OUTS of 1, 2 and 4 bytes: KVM_EXIT_IO, count",
                            play_io_string_out};

}  // namespace kvmtape::x86
