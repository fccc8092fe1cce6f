// spdlog's asynchronous logger with one worker and a file, nothing formatted but the payload; what
// does not fit its queue is overwritten, so that the producer never blocks.
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <unistd.h>

#include "tests/bench/contender.h"

namespace kvmtape::bench {
namespace {

constexpr size_t kQueueItems = 8192;

class Spdlog final : public Contender {
 public:
  Spdlog(const Payload& payload, const std::string& directory)
      : text_(reinterpret_cast<const char*>(payload.page), payload.bytes) {
    pin_to(kConsumerCpu);
    pool_ = std::make_shared<spdlog::details::thread_pool>(kQueueItems, 1);
    pin_to(kProducerCpu);
    auto sink =
        std::make_shared<spdlog::sinks::basic_file_sink_mt>(directory + "/spdlog.log", true);
    logger_ = std::make_shared<spdlog::async_logger>("bench", std::move(sink), pool_,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_pattern("%v");
  }
  const char* name() const override { return "spdlog async"; }
  void exit(int32_t) override { logger_->log(spdlog::level::info, text_); }
  void answer() override { logger_->log(spdlog::level::info, text_); }
  void settle() override {
    while (pool_->queue_size() != 0) ::usleep(200);
  }
  std::optional<uint64_t> lost() override { return pool_->overrun_counter(); }

 private:
  spdlog::string_view_t text_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

}  // namespace

Entrant make_spdlog(const Payload& payload, const std::string& directory) {
  return {std::make_unique<Spdlog>(payload, directory), ""};
}

}  // namespace kvmtape::bench
