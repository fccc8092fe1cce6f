// kvmtape itself, through its public API, with its drain thread on the consumer's CPU.
#include "recorder/kvmtape.h"

#include <unistd.h>
#include <filesystem>

#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

class Kvmtape final : public Contender {
 public:
  Kvmtape(kvmtape_session* session, kvmtape_vcpu* vcpu) : session_(session), vcpu_(vcpu) {}
  ~Kvmtape() override { kvmtape_close(session_, nullptr, nullptr); }
  const char* name() const override { return "kvmtape"; }
  void exit(int32_t ret) override { kvmtape_exit(vcpu_, ret < 0 ? -1 : 0, -ret); }
  void answer() override { kvmtape_enter(vcpu_); }
  void settle() override { ::usleep(2500); }
  std::optional<uint64_t> lost() override {
    kvmtape_totals totals;
    kvmtape_get_totals(session_, &totals);
    return 2 * totals.lost;
  }

 private:
  kvmtape_session* session_;
  kvmtape_vcpu* vcpu_;
};

}  // namespace

Entrant make_kvmtape(const Payload& payload, const std::string& directory) {
  const std::string path = directory + "/bench.kvmtape";
  const std::string rings = directory + "/rings";
  std::filesystem::create_directory(rings);
  kvmtape_options options;
  kvmtape_options_init(&options);
  options.path = path.c_str();
  options.force = 1;
  options.ring_directory = rings.c_str();
  options.ring_bytes = kRingBytes;
  kvmtape_error error;
  pin_to(kConsumerCpu);
  kvmtape_session* session = kvmtape_open(&options, &error);
  pin_to(kProducerCpu);
  if (session == nullptr) return {nullptr, error.text};
  kvmtape_vcpu* vcpu = kvmtape_attach_vcpu(session, 0, -1, const_cast<uint8_t*>(payload.page),
                                           payload.page_bytes, &error);
  if (vcpu == nullptr || error.code != 0) return {nullptr, error.text};
  return {std::make_unique<Kvmtape>(session, vcpu), ""};
}

}  // namespace kvmtape::bench
