// Checksums made good again, so that a mutated trace reaches the code behind them. Without it
// nearly every mutation would end at the first CRC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvmtape::fuzz {

struct ChunkExtent {
  size_t begin = 0;  // of its header
  size_t bytes = 0;  // header and body
};

// Chunks by their own lengths from the file header on, by their magic where those lead nowhere.
std::vector<ChunkExtent> find_chunks(std::span<const uint8_t> trace);

// CRCs of the file header, of every chunk that find_chunks() sees, and of the trailer.
void repair_trace(std::span<uint8_t> trace);

// `chunk` is a whole chunk or the beginning of one: its magic, lengths and CRC are made such that
// check_chunk() takes it. Bytes that are no whole word are cut off; too few make an empty body.
void repair_chunk(std::vector<uint8_t>& chunk);

}  // namespace kvmtape::fuzz
