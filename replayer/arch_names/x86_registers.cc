#include "replayer/arch_names/x86_registers.h"

#include <fmt/format.h>

namespace kvmtape {
namespace {

constexpr NamedValue kExceptions[] = {
    {0, "#DE"},  {1, "#DB"},  {2, "NMI"},  {3, "#BP"},  {4, "#OF"},  {5, "#BR"},
    {6, "#UD"},  {7, "#NM"},  {8, "#DF"},  {9, "#CSO"}, {10, "#TS"}, {11, "#NP"},
    {12, "#SS"}, {13, "#GP"}, {14, "#PF"}, {16, "#MF"}, {17, "#AC"}, {18, "#MC"},
    {19, "#XF"}, {20, "#VE"}, {21, "#CP"}, {28, "#HV"}, {29, "#VC"}, {30, "#SX"},
};
static_assert(strictly_rising(kExceptions));

// 8, 10 to 14, 17, 21, 29 and 30.
constexpr uint32_t kWithErrorCode = 1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21 | 3u << 29;

constexpr NamedValue kEflags[] = {
    {0, "CF"},  {2, "PF"},   {4, "AF"},   {6, "ZF"},  {7, "SF"},  {8, "TF"},
    {9, "IF"},  {10, "DF"},  {11, "OF"},  {14, "NT"}, {16, "RF"}, {17, "VM"},
    {18, "AC"}, {19, "VIF"}, {20, "VIP"}, {21, "ID"},
};
static_assert(strictly_rising(kEflags));
constexpr uint64_t kEflagsFixed = 1 << 1;
constexpr unsigned kIoplShift = 12;
constexpr uint64_t kIoplMask = 3;

constexpr NamedValue kCr0[] = {
    {0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},  {4, "ET"},  {5, "NE"},
    {16, "WP"}, {18, "AM"}, {29, "NW"}, {30, "CD"}, {31, "PG"},
};
static_assert(strictly_rising(kCr0));

constexpr NamedValue kCr4[] = {
    {0, "VME"},         {1, "PVI"},    {2, "TSD"},      {3, "DE"},     {4, "PSE"},
    {5, "PAE"},         {6, "MCE"},    {7, "PGE"},      {8, "PCE"},    {9, "OSFXSR"},
    {10, "OSXMMEXCPT"}, {11, "UMIP"},  {12, "LA57"},    {13, "VMXE"},  {14, "SMXE"},
    {16, "FSGSBASE"},   {17, "PCIDE"}, {18, "OSXSAVE"}, {20, "SMEP"},  {21, "SMAP"},
    {22, "PKE"},        {23, "CET"},   {24, "PKS"},     {25, "UINTR"}, {28, "LAM_SUP"},
    {32, "FRED"},
};
static_assert(strictly_rising(kCr4));

constexpr NamedValue kEfer[] = {
    {0, "SCE"},   {8, "LME"},    {10, "LMA"},   {11, "NX"},
    {12, "SVME"}, {13, "LMSLE"}, {14, "FFXSR"}, {21, "AUTOIBRS"},
};
static_assert(strictly_rising(kEfer));

constexpr NamedValue kPageFaultError[] = {
    {0, "P"},  {1, "W"},  {2, "U"},    {3, "RSVD"}, {4, "I"},
    {5, "PK"}, {6, "SS"}, {15, "SGX"}, {31, "RMP"},
};
static_assert(strictly_rising(kPageFaultError));

}  // namespace

std::string_view x86_exception_name(uint8_t vector) { return name_of(kExceptions, vector); }

bool x86_exception_has_error_code(uint8_t vector) {
  return vector < 32 && ((kWithErrorCode >> vector) & 1) != 0;
}

std::string eflags_text(uint64_t eflags) {
  const uint64_t iopl = (eflags >> kIoplShift) & kIoplMask;
  const uint64_t flags = eflags & ~(kEflagsFixed | kIoplMask << kIoplShift);
  if (iopl == 0) return bit_names(kEflags, flags);
  if (flags == 0) return fmt::format("IOPL={}", iopl);
  return fmt::format("{}|IOPL={}", bit_names(kEflags, flags), iopl);
}

std::string cr0_text(uint64_t cr0) { return bit_names(kCr0, cr0); }
std::string cr4_text(uint64_t cr4) { return bit_names(kCr4, cr4); }
std::string efer_text(uint64_t efer) { return bit_names(kEfer, efer); }
std::string page_fault_error_text(uint64_t error_code) {
  return bit_names(kPageFaultError, error_code);
}

NamedValues all_exceptions() { return kExceptions; }
NamedValues all_eflags_bits() { return kEflags; }
NamedValues all_cr0_bits() { return kCr0; }
NamedValues all_cr4_bits() { return kCr4; }
NamedValues all_efer_bits() { return kEfer; }

}  // namespace kvmtape
