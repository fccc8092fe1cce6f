#include "tests/bench/edited_recordings.h"

#include <array>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "recorder/import/moment_writer.h"
#include "schema/base/byte_cursor.h"
#include "schema/chunk_codec.h"
#include "schema/session_codec.h"
#include "schema/trace_file.h"

namespace kvmtape::bench {
namespace {

constexpr uint64_t kGuestNs = 5'000, kMonitorNs = 2'000;

// A console, a disk with rising sectors, a status register that is polled, halts.
struct Sent {
  enum class Kind : uint8_t { kConsole, kStatus, kSector, kHalt } kind;
  uint32_t value;
  bool operator==(const Sent&) const = default;
};

class Guest {
 public:
  explicit Guest(uint32_t first_sector) : random_(first_sector), sector_(first_sector) {}

  Sent next() {
    const auto dice = random_() % 10;
    if (dice < 4) return {Sent::Kind::kConsole, ' ' + static_cast<uint32_t>(random_() % 90)};
    if (dice < 6) return {Sent::Kind::kStatus, 0x60};
    if (dice < 9) return {Sent::Kind::kSector, sector_ += 8};
    return {Sent::Kind::kHalt, 0};
  }

 private:
  std::minstd_rand random_;
  uint32_t sector_;
};

// One vCPU's stream and the file that it goes to.
class Recording {
 public:
  static Result<Recording> create(const std::string& path) {
    Session session;
    session.uuid.bytes[0] = 0x42;
    session.architecture = Architecture::kX86_64;
    session.kernel_release = "6.12.0";
    session.page_bytes = 4096;
    session.clock_name = "monotonic-ns";
    session.ticks_per_second = 1'000'000'000;
    session.vcpus.push_back({0, 0, 4096});
    KVMTAPE_TRY_ASSIGN(TraceFile file, TraceFile::create(path, true, session.uuid));
    std::vector<uint8_t> chunk;
    encode_session(session, chunk);
    KVMTAPE_TRY(file.append(chunk));
    return Recording(std::move(session), std::move(file));
  }

  Result<void> add(const Sent& sent) {
    data_.clear();
    image_.fill(0);
    switch (sent.kind) {
      case Sent::Kind::kConsole:
        port(true, 0x3f8, sent.value);
        break;
      case Sent::Kind::kStatus:
        port(false, 0x3fd, sent.value);
        break;
      case Sent::Kind::kSector:
        set<uint32_t>(kReason, 6);  // KVM_EXIT_MMIO
        set<uint64_t>(kUnion, 0xfebf0000);
        set<uint32_t>(kUnion + 8, sent.value);
        set<uint32_t>(kUnion + 16, 4);  // len
        set<uint8_t>(kUnion + 20, 1);   // is_write
        break;
      case Sent::Kind::kHalt:
        set<uint32_t>(kReason, 5);  // KVM_EXIT_HLT
        break;
    }
    words_.clear();
    writer_.append(false, 0, now_ += kGuestNs, image_, data_, words_);
    writer_.append(true, 0, now_ += kMonitorNs, image_, data_, words_);
    if (encoder_.full()) KVMTAPE_TRY(flush());
    encoder_.add(words_, true);
    return {};
  }

  Result<void> seal() {
    KVMTAPE_TRY(flush());
    return file_.seal();
  }

 private:
  static constexpr size_t kReason = 8, kUnion = 32, kDataOffset = 4096;

  Recording(Session session, TraceFile file)
      : session_(std::move(session)), file_(std::move(file)) {}

  template <typename T>
  void set(size_t at, T value) {
    store_le(&image_[at], value);
  }

  void port(bool out, uint16_t number, uint32_t value) {
    set<uint32_t>(kReason, 2);  // KVM_EXIT_IO
    set<uint8_t>(kUnion, out ? 1 : 0);
    set<uint8_t>(kUnion + 1, 1);  // size
    set<uint16_t>(kUnion + 2, number);
    set<uint32_t>(kUnion + 4, 1);  // count
    set<uint64_t>(kUnion + 8, kDataOffset);
    data_.push_back(static_cast<uint8_t>(value));
  }

  Result<void> flush() {
    chunk_.clear();
    reasons_.clear();
    const ClockReading clock{now_, now_, 0};
    if (!encoder_.finish({session_.uuid, 0, clock, session_.ticks_per_second, 0, 0}, chunk_,
                         &reasons_))
      return {};
    return file_.append(chunk_, 0, reasons_);
  }

  Session session_;
  TraceFile file_;
  ChunkEncoder encoder_{StreamDescription{0, 0, Architecture::kX86_64, ByteOrder::kLittle}};
  MomentWriter writer_;
  std::array<uint8_t, kCoreWords * kWordBytes> image_{};
  std::vector<uint8_t> data_, chunk_;
  std::vector<uint64_t> words_;
  std::vector<std::pair<uint32_t, uint32_t>> reasons_;
  uint64_t now_ = 1'000'000;
};

}  // namespace

Result<void> write_edited_recording(const std::string& path, uint64_t exits, double share) {
  KVMTAPE_TRY_ASSIGN(Recording recording, Recording::create(path));
  Guest guest(0x1000), other(0x80000000);
  std::minstd_rand random(7);
  std::uniform_real_distribution<double> dice;
  for (uint64_t i = 0; i < exits; ++i) {
    const Sent sent = guest.next();
    if (dice(random) >= share) {
      KVMTAPE_TRY(recording.add(sent));
      continue;
    }
    // Dropped, another put in behind it, or another in its place.
    const auto edit = random() % 3;
    if (edit == 1) KVMTAPE_TRY(recording.add(sent));
    if (edit == 0) continue;
    Sent put_in = other.next();
    while (put_in == sent) put_in = other.next();
    KVMTAPE_TRY(recording.add(put_in));
  }
  return recording.seal();
}

}  // namespace kvmtape::bench
