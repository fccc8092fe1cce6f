// A whole trace file of arbitrary bytes. Mutations work on chunks and mend checksums most of the
// time, so that they reach what stands behind those.
#include <algorithm>
#include <cstring>
#include <random>

#include "schema/trace_format.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/scratch_files.h"
#include "tests/fuzz/seed_traces.h"
#include "tests/fuzz/trace_repair.h"
#include "tests/fuzz/trace_walk.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace kvmtape::fuzz {
namespace {

Bytes mutated(std::span<const uint8_t> bytes, size_t bytes_max) {
  Bytes buffer(bytes.begin(), bytes.end());
  buffer.resize(std::max(bytes_max, bytes.size()));
  buffer.resize(LLVMFuzzerMutate(buffer.data(), bytes.size(), buffer.size()));
  return buffer;
}

void replace(Bytes& trace, const ChunkExtent& old, const Bytes& with) {
  const auto begin = trace.begin() + static_cast<ptrdiff_t>(old.begin);
  trace.erase(begin, begin + static_cast<ptrdiff_t>(old.bytes));
  trace.insert(trace.begin() + static_cast<ptrdiff_t>(old.begin), with.begin(), with.end());
}

// Header or body of one chunk; the index no longer fits when its length has changed.
void mutate_chunk(Bytes& trace, const ChunkExtent& chunk, size_t bytes_max) {
  Bytes bytes = mutated(std::span(trace).subspan(chunk.begin, chunk.bytes),
                        chunk.bytes + bytes_max - trace.size());
  repair_chunk(bytes);
  replace(trace, chunk, bytes);
}

void move_chunk(Bytes& trace, const ChunkExtent& from, const ChunkExtent& to, bool keep) {
  const auto begin = trace.begin() + static_cast<ptrdiff_t>(from.begin);
  const Bytes copy(begin, begin + static_cast<ptrdiff_t>(from.bytes));
  trace.insert(trace.begin() + static_cast<ptrdiff_t>(to.begin), copy.begin(), copy.end());
  if (!keep)
    replace(trace, {from.begin + (to.begin <= from.begin ? from.bytes : 0), from.bytes}, {});
}

}  // namespace

void attack(std::span<const uint8_t> input) {
  static MemoryFile file;
  file.put(input);
  TraceReader::Options options;
  options.with_rings = false;  // of a path that the input names: see ring_fuzzer.cc
  walk_everything(file.path(), options);
  options.verify_checksums = false;
  walk_everything(file.path(), options);
}

std::vector<Bytes> seeds() { return seed_traces(); }

}  // namespace kvmtape::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using namespace kvmtape::fuzz;
  std::minstd_rand random(seed);
  Bytes trace(data, data + size);
  const auto chunks = find_chunks(trace);
  const auto any = [&]() -> const ChunkExtent& { return chunks[random() % chunks.size()]; };
  switch (chunks.empty() ? 0 : random() % 8) {
    case 0:
    case 1:
      trace = mutated(trace, max_size);
      break;
    case 2:
      move_chunk(trace, any(), any(), true);
      break;
    case 3:
      move_chunk(trace, any(), any(), false);
      break;
    default:
      mutate_chunk(trace, any(), max_size);
  }
  trace.resize(std::min(trace.size(), max_size));
  if (random() % 8 != 0) repair_trace(trace);
  std::copy(trace.begin(), trace.end(), data);
  return trace.size();
}
