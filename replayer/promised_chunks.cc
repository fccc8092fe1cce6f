#include "replayer/promised_chunks.h"

#include <iterator>
#include <map>
#include <tuple>
#include <utility>

namespace kvmtape {
namespace {

// Offsets do not tell: what stands behind lost bytes has moved.
auto key_of(const IndexEntry& entry) {
  return std::tuple(entry.vcpu_index, entry.first_seq, entry.end_seq, entry.first_tsc);
}

}  // namespace

void PromisedChunks::add(TraceIndex part) {
  for (IndexEntry& entry : part.entries)
    if (entry.type == ChunkType::kExits && holds_together(entry))
      entries_.push_back(std::move(entry));
}

void PromisedChunks::put_missing(std::vector<ChunkRef>& chunks) const {
  if (entries_.empty()) return;
  std::map<decltype(key_of(entries_.front())), size_t> places;  // of what was found
  for (size_t i = 0; i < chunks.size(); ++i)
    if (chunks[i].entry.type == ChunkType::kExits) places.emplace(key_of(chunks[i].entry), i);
  std::vector<ChunkRef> whole;
  size_t taken = 0;
  for (const IndexEntry& entry : entries_) {
    const auto place = places.find(key_of(entry));
    if (place == places.end())
      whole.emplace_back().entry = entry;
    else
      for (; taken <= place->second; ++taken) whole.push_back(std::move(chunks[taken]));
  }
  std::move(chunks.begin() + static_cast<ptrdiff_t>(taken), chunks.end(),
            std::back_inserter(whole));
  chunks = std::move(whole);
}

}  // namespace kvmtape
