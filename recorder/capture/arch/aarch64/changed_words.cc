#include "recorder/capture/changed_words.h"

#include "recorder/capture/portable_changed_words.h"

namespace kvmtape {

namespace detail {
uint64_t changed_words_portable(const uint64_t* now, uint64_t* shadow, uint32_t count) noexcept {
  return changed_words_range(now, shadow, 0, count);
}
}  // namespace detail

ChangedWordsFunction changed_words_choice(uint32_t choice) noexcept {
  return choice == 0 ? detail::changed_words_portable : nullptr;
}

}  // namespace kvmtape
