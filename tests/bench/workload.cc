#include "tests/bench/workload.h"

#include <sys/mman.h>
#include <zstd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "schema/base/byte_cursor.h"
#include "schema/snapshot.h"

namespace kvmtape::bench {
namespace {

constexpr size_t kPageWords = kRunPageBytes / kWordBytes;
constexpr size_t kRowHeaderBytes = 32;
// struct kvm_regs (18 words) stands first in kvm_sync_regs; arch/x86/include/uapi/asm/kvm.h.
constexpr size_t kRegsWord = kCoreWords + 2;
constexpr size_t kChangingRegisters[] = {0, 1, 2, 3, 4, 5, 6, 7, 16, 17};

std::vector<uint8_t> read_zstd(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> packed((std::istreambuf_iterator<char>(file)),
                                 std::istreambuf_iterator<char>());
  std::vector<uint8_t> raw;
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {
    const size_t at = raw.size();
    raw.resize(at + (size_t{4} << 20));
    ZSTD_outBuffer out{raw.data() + at, raw.size() - at, 0};
    const size_t left = ZSTD_decompressStream(stream, &out, &in);
    raw.resize(at + out.pos);
    if (ZSTD_isError(left) != 0) break;
  }
  ZSTD_freeDStream(stream);
  return raw;
}

std::map<uint32_t, std::vector<StreamMoment>> split_by_vcpu(const std::vector<uint8_t>& raw) {
  std::map<uint32_t, std::vector<StreamMoment>> vcpus;
  for (size_t at = 0; at + kRowHeaderBytes + 288 <= raw.size();) {
    const uint8_t* row = raw.data() + at;
    StreamMoment moment;
    moment.tsc = load_le<uint64_t>(row + 8);
    moment.vcpu = load_le<uint32_t>(row + 16);
    const size_t data_bytes = load_le<uint16_t>(row + 20);
    const size_t row_bytes = load_le<uint16_t>(row + 22);
    moment.ret = static_cast<int32_t>(load_le<uint32_t>(row + 24));
    moment.answer = row[28] == 1;
    if (row_bytes < kRowHeaderBytes + 288 + data_bytes || row_bytes > raw.size() - at) break;
    std::memcpy(moment.kvm_run.data(), row + kRowHeaderBytes, 288);
    const uint8_t* data = row + kRowHeaderBytes + 288;
    moment.data.assign(data, data + data_bytes);
    auto& moments = vcpus[moment.vcpu];
    if (!moments.empty() && !moment.answer && !moments.back().answer) moments.pop_back();
    if (!moments.empty() || !moment.answer) moments.push_back(std::move(moment));
    at += row_bytes;
  }
  for (auto& [vcpu, moments] : vcpus)
    if (!moments.empty() && !moments.back().answer) moments.pop_back();
  return vcpus;
}

}  // namespace

std::vector<Track> load_tracks() {
  std::vector<Track> tracks;
  for (const char* name : {"linux_boot", "ipxe_virtio"}) {
    const auto raw =
        read_zstd(std::string(KVMTAPE_SOURCE_DIR "/traces/streams/") + name + ".raw.zst");
    if (raw.empty()) return {};
    for (auto& [vcpu, moments] : split_by_vcpu(raw))
      tracks.push_back({std::string(name) + ", vCPU " + std::to_string(vcpu), std::move(moments)});
  }
  return tracks;
}

Workload::Workload(const std::vector<Track>& tracks, bool with_sync_area) {
  std::vector<uint64_t> page(kPageWords), next(kPageWords);
  uint64_t random = 0x9e3779b97f4a7c15;
  // Twice around: the second time finds what differs when the workload begins again.
  for (int round = 0; round < 2; ++round) {
    stores_.clear();
    moments_.clear();
    for (const Track& track : tracks) {
      for (const StreamMoment& moment : track.moments) {
        next = page;
        std::memcpy(next.data(), moment.kvm_run.data(), moment.kvm_run.size());
        uint64_t data_offset = 0;
        std::memcpy(&data_offset, moment.kvm_run.data() + 40, sizeof data_offset);
        if (!moment.data.empty() && data_offset + moment.data.size() <= kRunPageBytes)
          std::memcpy(reinterpret_cast<uint8_t*>(next.data()) + data_offset, moment.data.data(),
                      moment.data.size());
        if (with_sync_area) {
          next[kCoreWords] = 7;  // kvm_valid_regs: KVM_SYNC_X86_REGS, SREGS, EVENTS
          for (size_t i : kChangingRegisters) {
            if (moment.answer) break;
            random = random * 6364136223846793005u + 1442695040888963407u;
            next[kRegsWord + i] = random;
          }
        }
        const auto begin = static_cast<uint32_t>(stores_.size());
        for (uint32_t i = 0; i < kPageWords; ++i)
          if (next[i] != page[i]) stores_.push_back({i, next[i]});
        moments_.push_back({begin, static_cast<uint32_t>(stores_.size()), moment.ret});
        page = next;
      }
    }
  }
  last_page_ = page;
}

RunPage::RunPage(const Workload& workload) : workload_(workload) {
  void* memory = ::mmap(nullptr, kRunPageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  std::memcpy(memory, workload.last_page_.data(), kRunPageBytes);
  page_ = static_cast<uint64_t*>(memory);
}
RunPage::~RunPage() { ::munmap(page_, kRunPageBytes); }

}  // namespace kvmtape::bench
