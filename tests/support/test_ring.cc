#include "tests/support/test_ring.h"

#include <vector>

#include "recorder/ring/ring_create.h"
#include "schema/base/check.h"
#include "tests/support/trace_builder.h"

namespace kvmtape::testing {
namespace {

RingFile made(const std::string& directory, const Uuid& session, uint32_t vcpu, bool overwrite) {
  auto ring = create_ring(directory + "/" + ring_file_name(vcpu),
                          {session, vcpu, vcpu, 64 * 1024, overwrite});
  KVMTAPE_CHECK(ring.ok());
  return std::move(*ring);
}

}  // namespace

TestRing::TestRing(const std::string& directory, const Uuid& session, uint32_t vcpu, bool overwrite)
    : vcpu_(vcpu), file_(made(directory, session, vcpu, overwrite)) {
  writer_.bind(file_.header());
}

bool TestRing::put(bool is_answer, uint64_t seq) {
  const uint32_t room = 2 * moment_words_max(kCoreWords, false, 16);
  uint64_t* out = writer_.reserve(is_answer ? room / 2 : room);
  if (out == nullptr) return false;
  if (writer_.fresh_block()) moments_.make_next_a_keyframe();
  std::vector<uint64_t> words;
  const auto image = is_answer ? answer_image(vcpu_, seq) : exit_image(vcpu_, seq);
  moments_.append(is_answer, 0, exit_tsc(vcpu_, seq) + (is_answer ? kAnswerTicks : 0), image,
                  exit_data(vcpu_, seq), words);
  for (size_t i = 0; i < words.size(); ++i) store_ring_word(out + i, words[i]);
  if (!is_answer) writer_.count_exit();
  writer_.commit(static_cast<uint32_t>(words.size()));
  return true;
}

TestRing& TestRing::add_exits(uint64_t count) {
  for (; count > 0; --count) {
    const uint64_t seq = writer_.next_seq();
    writer_.set_clock_for_gaps(exit_tsc(vcpu_, seq));
    if (put(false, seq))
      put(true, seq);
    else
      writer_.drop();
  }
  return *this;
}

TestRing& TestRing::add_exit_without_answer() {
  put(false, writer_.next_seq());
  return *this;
}

uint64_t TestRing::block() const { return file_.header()->open_block.load(); }

uint64_t TestRing::bytes() const {
  const auto* blocks = reinterpret_cast<const uint8_t*>(file_.header()) + kRingHeaderBytes;
  const auto* header = file_.header();
  const auto* at = reinterpret_cast<const BlockHeader*>(blocks + (block() % header->block_count) *
                                                                     size_t{header->block_bytes});
  return at->committed.load();
}

}  // namespace kvmtape::testing
