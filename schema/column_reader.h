// A chunk's columns from bytes, decompressed when they are asked for; column_writer.h is the way
// there. Every length is checked against what the chunk says, and no more is allocated than its
// message allows. Internal to the chunk decoder; keeps its memory, borrows the chunk's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "schema/base/result.h"
#include "schema/chunk_columns.h"
#include "schema/chunk_message.h"
#include "schema/column_codec.h"
#include "schema/trace_format.h"

namespace kvmtape {

class ColumnReader {
 public:
  // Both outlive the reader and say what chunk it is that is read.
  ColumnReader(const ChunkHeader& header, const ChunkMessage& message)
      : header_(header), message_(message) {}

  // What counting needs: reasons, errnos, which exits were answered, and times.
  Result<void> read_times(ChunkColumns& columns);
  // Whether the columns that counting does not read have the lengths that those which are small
  // say, after read_times(): without unpacking them.
  Result<void> check_rest(ChunkColumns& columns);
  // All others, after read_times().
  Result<void> read_rest(ChunkColumns& columns, GroupedWords& exit_words,
                         GroupedWords& answer_words);

 private:
  Result<void> read(ColumnId id, std::vector<uint8_t>& raw);
  Result<void> read_narrow(ColumnId id, std::vector<uint32_t>& numbers);
  Result<void> read_numbers(ColumnId id, std::vector<uint64_t>& numbers);
  Result<void> read_memory(ColumnId id, std::vector<uint64_t>& words);
  Result<void> read_ticks(ColumnId first, size_t count, std::vector<uint32_t>& ticks);
  Result<void> read_masks(ChunkColumns& columns);
  using WordCounts = std::array<size_t, kCoreWordsS390>;  // of each place in kvm_run
  // kCorrupt unless the column is as long as its masks say.
  Result<WordCounts> count_words(ColumnId id, const std::vector<uint64_t>& masks,
                                 const std::vector<uint32_t>& mask_ids, uint32_t bias) const;
  Result<void> read_words(ColumnId id, const std::vector<uint64_t>& masks,
                          const std::vector<uint32_t>& mask_ids, uint32_t bias,
                          GroupedWords& words);

  const ChunkHeader& header_;
  const ChunkMessage& message_;
  Decompressor decompressor_;
  std::vector<uint8_t> raw_;
};

}  // namespace kvmtape
