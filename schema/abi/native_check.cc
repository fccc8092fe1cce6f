// Compiled, never called: holds every row of this machine's own architecture against the
// <linux/kvm.h> that is installed here, as far as those headers go.
#include <linux/kvm.h>
#include <linux/version.h>

#include <cstddef>
#include <utility>

#define KVMTAPE_NATIVE_ROW(structure, field, row_offset, row_bytes)                    \
  static_assert(offsetof(struct structure, field) == (row_offset), #structure #field); \
  static_assert(sizeof(std::declval<struct structure>().field) == (row_bytes), #structure #field);

#include "schema/abi/native_rows.inc"
