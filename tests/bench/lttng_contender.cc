#include <dlfcn.h>
#include <unistd.h>

#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

using Emit = void (*)(const uint8_t*, uint32_t);

class Lttng final : public Contender {
 public:
  Lttng(Emit emit, const Payload& payload)
      : emit_(emit), page_(payload.page), bytes_(static_cast<uint32_t>(payload.bytes)) {}
  const char* name() const override { return "LTTng-UST"; }
  void exit(int32_t) override { emit_(page_, bytes_); }
  void answer() override { emit_(page_, bytes_); }
  void settle() override { ::usleep(5000); }
  // Its consumer knows, and says so in the trace only.
  std::optional<uint64_t> lost() override { return std::nullopt; }

 private:
  Emit emit_;
  const uint8_t* page_;
  uint32_t bytes_;
};

}  // namespace

Entrant make_lttng(const Payload& payload) {
  // The threads that liblttng-ust starts when it is loaded belong on the consumer's CPU.
  pin_to(kConsumerCpu);
  void* library = ::dlopen(KVMTAPE_BENCH_LTTNG_MODULE, RTLD_NOW | RTLD_LOCAL);
  pin_to(kProducerCpu);
  if (library == nullptr) return {nullptr, ::dlerror()};
  const auto emit = reinterpret_cast<Emit>(::dlsym(library, "kvmtape_bench_lttng_emit"));
  if (emit == nullptr) return {nullptr, ::dlerror()};
  return {std::make_unique<Lttng>(emit, payload), ""};
}

}  // namespace kvmtape::bench
