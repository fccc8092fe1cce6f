// A session of the embedding API whose trace and rings lie in a scratch directory. The calls come
// from the test's own thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include "recorder/kvmtape.h"
#include "tests/support/fake_vcpu.h"
#include "tests/support/scratch.h"
#include "tests/support/walk_trace.h"

namespace kvmtape::testing {

class TestSession {
 public:
  // Its directory as ScratchDirectory's.
  explicit TestSession(bool in_memory = false) : directory_(in_memory) {
    kvmtape_options_init(&options);
    options.monitor_name = "test";
    path = directory_ / "vm.kvmtape";
    ring_directory = directory_ / "rings";
    std::filesystem::create_directory(ring_directory);
  }
  TestSession(const TestSession&) = delete;
  ~TestSession() { kvmtape_close(session, nullptr, nullptr); }

  // With what `options`, `path` and `ring_directory` say by then.
  bool open() {
    options.path = path.c_str();
    options.ring_directory = ring_directory.empty() ? nullptr : ring_directory.c_str();
    session = kvmtape_open(&options, &error);
    return session != nullptr;
  }
  kvmtape_vcpu* attach(unsigned id, FakeVcpu& vcpu) {
    return kvmtape_attach_vcpu(session, id, FakeVcpu::kVcpuFd, vcpu.mapping(), vcpu.mapping_bytes(),
                               &error);
  }
  int close() {
    const int code = kvmtape_close(session, &totals, &error);
    session = nullptr;
    return code;
  }
  // One exit with its answer that carries `number`.
  static void run_numbered(kvmtape_vcpu* tape, FakeVcpu& vcpu, uint64_t number) {
    vcpu.set_numbered(number);
    kvmtape_exit(tape, 0, 0);
    kvmtape_enter(tape);
  }

  // Exits that compress badly, so that they need room; with pauses, in which they are drained.
  void run_noisily(kvmtape_vcpu* tape, FakeVcpu& vcpu, uint64_t exits) {
    for (uint64_t i = 0; i < exits; ++i) {
      vcpu.scramble(random_, 10);
      vcpu.set_reason(KVM_EXIT_HLT);
      kvmtape_exit(tape, 0, 0);
      kvmtape_enter(tape);
      if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  }

  kvmtape_options options;
  kvmtape_error error{};
  kvmtape_totals totals{};
  kvmtape_session* session = nullptr;
  std::string path;
  std::string ring_directory;

 private:
  ScratchDirectory directory_;
  std::mt19937_64 random_{7};
};

}  // namespace kvmtape::testing
