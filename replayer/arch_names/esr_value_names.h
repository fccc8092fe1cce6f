// The names of the values that ISS fields take; esr_tables.cc says which field takes which.
// Static data. Sources as in esr_tables.h.
#pragma once

#include "replayer/arch_names/named_value.h"

namespace kvmtape {

inline constexpr NamedValue kFaultStatus[] = {
    {0x00, "address size fault level 0"},
    {0x01, "address size fault level 1"},
    {0x02, "address size fault level 2"},
    {0x03, "address size fault level 3"},
    {0x04, "translation fault level 0"},
    {0x05, "translation fault level 1"},
    {0x06, "translation fault level 2"},
    {0x07, "translation fault level 3"},
    {0x08, "access flag fault level 0"},
    {0x09, "access flag fault level 1"},
    {0x0a, "access flag fault level 2"},
    {0x0b, "access flag fault level 3"},
    {0x0c, "permission fault level 0"},
    {0x0d, "permission fault level 1"},
    {0x0e, "permission fault level 2"},
    {0x0f, "permission fault level 3"},
    {0x10, "synchronous external abort"},
    {0x11, "synchronous tag check fault"},
    {0x12, "synchronous external abort on table walk level -2"},
    {0x13, "synchronous external abort on table walk level -1"},
    {0x14, "synchronous external abort on table walk level 0"},
    {0x15, "synchronous external abort on table walk level 1"},
    {0x16, "synchronous external abort on table walk level 2"},
    {0x17, "synchronous external abort on table walk level 3"},
    {0x18, "synchronous parity or ECC error"},
    {0x1b, "synchronous parity or ECC error on table walk level -1"},
    {0x1c, "synchronous parity or ECC error on table walk level 0"},
    {0x1d, "synchronous parity or ECC error on table walk level 1"},
    {0x1e, "synchronous parity or ECC error on table walk level 2"},
    {0x1f, "synchronous parity or ECC error on table walk level 3"},
    {0x21, "alignment fault"},
    {0x22, "debug exception"},
    {0x23, "granule protection fault on table walk level -1"},
    {0x24, "granule protection fault on table walk level 0"},
    {0x25, "granule protection fault on table walk level 1"},
    {0x26, "granule protection fault on table walk level 2"},
    {0x27, "granule protection fault on table walk level 3"},
    {0x28, "granule protection fault"},
    {0x29, "address size fault level -1"},
    {0x2a, "translation fault level -2"},
    {0x2b, "translation fault level -1"},
    {0x2c, "address size fault level -2"},
    {0x30, "TLB conflict abort"},
    {0x31, "unsupported atomic hardware update fault"},
    {0x34, "implementation defined lockdown fault"},
    {0x35, "unsupported exclusive or atomic access"},
};
static_assert(strictly_rising(kFaultStatus));

inline constexpr NamedValue kSErrorStatus[] = {{0x00, "uncategorized"},
                                               {0x11, "asynchronous SError"}};
inline constexpr NamedValue kAccessSize[] = {
    {0, "byte"}, {1, "halfword"}, {2, "word"}, {3, "doubleword"}};
inline constexpr NamedValue kSynchronousErrorType[] = {
    {0, "recoverable (UER)"}, {2, "uncontainable (UC)"}, {3, "restartable (UEO)"}};
inline constexpr NamedValue kAsynchronousErrorType[] = {{0, "uncontainable (UC)"},
                                                        {1, "unrecoverable (UEU)"},
                                                        {2, "restartable (UEO)"},
                                                        {3, "recoverable (UER)"},
                                                        {6, "corrected (CE)"}};
inline constexpr NamedValue kLoadStoreType[] = {
    {1, "ST64BV"}, {2, "LD64B or ST64B"}, {3, "ST64BV0"}};
inline constexpr NamedValue kDirection[] = {{0, "write"}, {1, "read"}};
inline constexpr NamedValue kCondition[] = {
    {0, "EQ"}, {1, "NE"}, {2, "CS"},  {3, "CC"},  {4, "MI"},  {5, "PL"},  {6, "VS"}, {7, "VC"},
    {8, "HI"}, {9, "LS"}, {10, "GE"}, {11, "LT"}, {12, "GT"}, {13, "LE"}, {14, "AL"}};
inline constexpr NamedValue kWaitInstruction[] = {{0, "WFI"}, {1, "WFE"}, {2, "WFIT"}, {3, "WFET"}};
inline constexpr NamedValue kOtherInstruction[] = {
    {0, "ST64BV"}, {1, "ST64BV0"}, {2, "LD64B or ST64B"}, {3, "TSB CSYNC"}, {4, "PSB CSYNC"}};
inline constexpr NamedValue kErets[] = {{0, "ERET"}, {2, "ERETAA"}, {3, "ERETAB"}};
inline constexpr NamedValue kPointerKeys[] = {{0, "IA"}, {1, "IB"}, {2, "DA"}, {3, "DB"}};
inline constexpr NamedValue kSmeTraps[] = {{0, "SME disabled"},
                                           {1, "illegal in Streaming SVE mode"},
                                           {2, "not in Streaming SVE mode"},
                                           {3, "ZA disabled"},
                                           {4, "ZT0 disabled"}};
inline constexpr NamedValue kGcsExceptions[] = {
    {0, "data check"}, {1, "EXLOCK"}, {2, "GCSSTR or GCSSTTR"}};
static_assert(strictly_rising(kSErrorStatus) && strictly_rising(kAccessSize) &&
              strictly_rising(kSynchronousErrorType) && strictly_rising(kAsynchronousErrorType) &&
              strictly_rising(kLoadStoreType) && strictly_rising(kDirection) &&
              strictly_rising(kCondition) && strictly_rising(kWaitInstruction) &&
              strictly_rising(kOtherInstruction) && strictly_rising(kErets) &&
              strictly_rising(kPointerKeys) && strictly_rising(kSmeTraps) &&
              strictly_rising(kGcsExceptions));

}  // namespace kvmtape
