#include "replayer/arch_names/esr_tables.h"

#include <algorithm>
#include <iterator>

#include "replayer/arch_names/esr_value_names.h"

namespace kvmtape {
namespace {

// The valid bits that other bits hang on.
constexpr uint32_t kIsv = 1u << 24;  // also CV, in the same place
constexpr uint32_t kCv = kIsv;
constexpr uint32_t kFsc = 0x3f;
constexpr uint32_t kExternalAbort = 0x10;

constexpr EsrBits kWfx[] = {{"cv", 24, 24},
                            {"cond", 23, 20, kCondition, kCv, kCv},
                            {"rn", 9, 5, {}, 1u << 2, 1u << 2},
                            {"rv", 2, 2},
                            {"ti", 1, 0, kWaitInstruction}};
constexpr EsrBits kCoprocessor[] = {{"cv", 24, 24},   {"cond", 23, 20, kCondition, kCv, kCv},
                                    {"opc2", 19, 17}, {"opc1", 16, 14},
                                    {"crn", 13, 10},  {"rt", 9, 5},
                                    {"crm", 4, 1},    {"direction", 0, 0, kDirection}};
constexpr EsrBits kCoprocessor64[] = {{"cv", 24, 24},
                                      {"cond", 23, 20, kCondition, kCv, kCv},
                                      {"opc1", 19, 16},
                                      {"rt2", 14, 10},
                                      {"rt", 9, 5},
                                      {"crm", 4, 1},
                                      {"direction", 0, 0, kDirection}};
constexpr EsrBits kLoadStoreCoprocessor[] = {{"cv", 24, 24},
                                             {"cond", 23, 20, kCondition, kCv, kCv},
                                             {"imm8", 19, 12},
                                             {"rn", 9, 5},
                                             {"offset", 4, 4},
                                             {"am", 3, 1},
                                             {"direction", 0, 0, kDirection}};
constexpr EsrBits kConditional[] = {{"cv", 24, 24}, {"cond", 23, 20, kCondition, kCv, kCv}};
constexpr EsrBits kSmc32[] = {
    {"cv", 24, 24}, {"cond", 23, 20, kCondition, kCv, kCv}, {"ccknownpass", 19, 19}};
constexpr EsrBits kOther[] = {{"instruction", 24, 0, kOtherInstruction}};
constexpr EsrBits kBti[] = {{"btype", 1, 0}};
constexpr EsrBits kImmediate[] = {{"imm16", 15, 0}};
constexpr EsrBits kSys64[] = {{"op0", 21, 20},
                              {"op2", 19, 17},
                              {"op1", 16, 14},
                              {"crn", 13, 10},
                              {"rt", 9, 5},
                              {"crm", 4, 1},
                              {"direction", 0, 0, kDirection}};
constexpr EsrBits kEret[] = {{"eret", 1, 0, kErets}};
constexpr EsrBits kTstart[] = {{"rd", 9, 5}};
constexpr EsrBits kFpac[] = {{"key", 1, 0, kPointerKeys}};
constexpr EsrBits kSme[] = {{"smtc", 2, 0, kSmeTraps}};
constexpr EsrBits kGpc[] = {{"s2ptw", 21, 21}, {"ind", 20, 20}, {"gpcsc", 19, 14},
                            {"vncr", 13, 13},  {"fnv", 10, 10}, {"cm", 8, 8},
                            {"s1ptw", 7, 7},   {"wnr", 6, 6},   {"xfsc", 5, 0, kFaultStatus}};
// FnV is RES0 other than for a synchronous external abort, where zero is the right answer too.
constexpr EsrBits kInstructionAbort[] = {
    {"set", 12, 11, kSynchronousErrorType, kFsc, kExternalAbort},
    {"fnv", 10, 10},
    {"ea", 9, 9},
    {"s1ptw", 7, 7},
    {"ifsc", 5, 0, kFaultStatus},
    {"dirtybit", 37, 37},
    {"overlay", 38, 38},
    {"assuredonly", 39, 39},
    {"hdbssf", 43, 43}};
// Bits 12:11 are SET for an external abort, LST for the faults that LD64B and its kin take.
constexpr EsrBits kDataAbort[] = {{"isv", 24, 24},
                                  {"sas", 23, 22, kAccessSize, kIsv, kIsv},
                                  {"sse", 21, 21, {}, kIsv, kIsv},
                                  {"srt", 20, 16, {}, kIsv, kIsv},
                                  {"sf", 15, 15, {}, kIsv, kIsv},
                                  {"ar", 14, 14, {}, kIsv, kIsv},
                                  {"vncr", 13, 13},
                                  {"set", 12, 11, kSynchronousErrorType, kFsc, kExternalAbort},
                                  {"lst", 12, 11, kLoadStoreType, 0x3c, 0x04},
                                  {"lst", 12, 11, kLoadStoreType, 0x3c, 0x08},
                                  {"lst", 12, 11, kLoadStoreType, 0x3c, 0x0c},
                                  {"lst", 12, 11, kLoadStoreType, 0x3e, 0x2a},
                                  {"lst", 12, 11, kLoadStoreType, 0x3f, 0x35},
                                  {"fnv", 10, 10},
                                  {"ea", 9, 9},
                                  {"cm", 8, 8},
                                  {"s1ptw", 7, 7},
                                  {"wnr", 6, 6},
                                  {"dfsc", 5, 0, kFaultStatus},
                                  {"xs", 36, 32},
                                  {"dirtybit", 37, 37},
                                  {"overlay", 38, 38},
                                  {"assuredonly", 39, 39},
                                  {"gcs", 40, 40},
                                  {"tagaccess", 41, 41},
                                  {"tnd", 42, 42},
                                  {"hdbssf", 43, 43}};
constexpr EsrBits kMops[] = {
    {"mem_inst", 24, 24}, {"from_epilogue", 18, 18}, {"wrong_option", 17, 17}, {"option_a", 16, 16},
    {"destreg", 14, 10},  {"srcreg", 9, 5},          {"sizereg", 4, 0}};
constexpr uint32_t kTfv = 1u << 23;
constexpr EsrBits kFloatingPoint[] = {{"tfv", 23, 23},
                                      {"vecitr", 10, 8},
                                      {"idf", 7, 7, {}, kTfv, kTfv},
                                      {"ixf", 4, 4, {}, kTfv, kTfv},
                                      {"uff", 3, 3, {}, kTfv, kTfv},
                                      {"off", 2, 2, {}, kTfv, kTfv},
                                      {"dzf", 1, 1, {}, kTfv, kTfv},
                                      {"iof", 0, 0, {}, kTfv, kTfv}};
constexpr uint32_t kExType = 0xfu << 20;
constexpr EsrBits kGcs[] = {{"extype", 23, 20, kGcsExceptions},
                            {"raddr", 14, 10, {}, kExType, 2u << 20},
                            {"rvalue", 9, 5, {}, kExType, 2u << 20},
                            {"rn", 9, 5, {}, kExType, 0},
                            {"it", 4, 0, {}, kExType, 0}};
constexpr uint32_t kIds = 1u << 24;  // implementation defined syndrome: nothing else has a meaning
constexpr uint32_t kSErrorKnown = kIds | kFsc;
constexpr EsrBits kSError[] = {{"ids", 24, 24},
                               {"iesb", 13, 13, {}, kSErrorKnown, 0x11},
                               {"aet", 12, 10, kAsynchronousErrorType, kSErrorKnown, 0x11},
                               {"ea", 9, 9, {}, kSErrorKnown, 0x11},
                               {"dfsc", 5, 0, kSErrorStatus, kIds, 0}};
constexpr EsrBits kBreakpoint[] = {{"ifsc", 5, 0, kFaultStatus}};
constexpr EsrBits kSoftwareStep[] = {
    {"isv", 24, 24}, {"ex", 6, 6, {}, kIsv, kIsv}, {"ifsc", 5, 0, kFaultStatus}};
constexpr EsrBits kWatchpoint[] = {{"wpt", 23, 18, {}, 1u << 17, 1u << 17},
                                   {"wptv", 17, 17},
                                   {"wpf", 16, 16},
                                   {"fnp", 15, 15},
                                   {"vncr", 13, 13},
                                   {"fnv", 10, 10},
                                   {"cm", 8, 8},
                                   {"wnr", 6, 6},
                                   {"dfsc", 5, 0, kFaultStatus}};
constexpr EsrBits kComment[] = {{"comment", 15, 0}};

constexpr EsrClass kClasses[] = {
    {0x00, "UNKNOWN", "unknown reason", {}},
    {0x01, "WFx", "trapped wait instruction", kWfx},
    {0x03, "CP15_32", "trapped CP15 access", kCoprocessor},
    {0x04, "CP15_64", "trapped CP15 access", kCoprocessor64},
    {0x05, "CP14_MR", "trapped CP14 access", kCoprocessor},
    {0x06, "CP14_LS", "trapped CP14 load or store", kLoadStoreCoprocessor},
    {0x07, "FP_ASIMD", "trapped floating-point or SIMD access", kConditional},
    {0x08, "CP10_ID", "trapped CP10 access", kCoprocessor},
    {0x09, "PAC", "trapped pointer authentication", {}},
    {0x0a, "OTHER", "trapped instruction", kOther},
    {0x0c, "CP14_64", "trapped CP14 access", kCoprocessor64},
    {0x0d, "BTI", "branch target exception", kBti},
    {0x0e, "ILL", "illegal execution state", {}},
    {0x11, "SVC32", "SVC", kImmediate},
    {0x12, "HVC32", "HVC", kImmediate},
    {0x13, "SMC32", "SMC in AArch32 state", kSmc32},
    {0x15, "SVC64", "SVC", kImmediate},
    {0x16, "HVC64", "HVC", kImmediate},
    {0x17, "SMC64", "SMC", kImmediate},
    {0x18, "SYS64", "trapped system register access", kSys64},
    {0x19, "SVE", "trapped SVE access", {}},
    {0x1a, "ERET", "trapped exception return", kEret},
    {0x1b, "TSTART", "trapped TSTART", kTstart},
    {0x1c, "FPAC", "pointer authentication failure", kFpac},
    {0x1d, "SME", "trapped SME access", kSme},
    {0x1e, "GPC", "granule protection check", kGpc},
    {0x1f, "IMP_DEF", "implementation defined exception", {}},
    {0x20, "IABT_LOW", "instruction abort from a lower EL", kInstructionAbort},
    {0x21, "IABT_CUR", "instruction abort from the same EL", kInstructionAbort},
    {0x22, "PC_ALIGN", "PC alignment fault", {}},
    {0x24, "DABT_LOW", "data abort from a lower EL", kDataAbort},
    {0x25, "DABT_CUR", "data abort from the same EL", kDataAbort},
    {0x26, "SP_ALIGN", "SP alignment fault", {}},
    {0x27, "MOPS", "memory copy or set exception", kMops},
    {0x28, "FP_EXC32", "floating-point exception from AArch32", kFloatingPoint},
    {0x2c, "FP_EXC64", "floating-point exception from AArch64", kFloatingPoint},
    {0x2d, "GCS", "guarded control stack exception", kGcs},
    {0x2f, "SERROR", "SError", kSError},
    {0x30, "BREAKPT_LOW", "hardware breakpoint from a lower EL", kBreakpoint},
    {0x31, "BREAKPT_CUR", "hardware breakpoint from the same EL", kBreakpoint},
    {0x32, "SOFTSTP_LOW", "software step from a lower EL", kSoftwareStep},
    {0x33, "SOFTSTP_CUR", "software step from the same EL", kSoftwareStep},
    {0x34, "WATCHPT_LOW", "watchpoint from a lower EL", kWatchpoint},
    {0x35, "WATCHPT_CUR", "watchpoint from the same EL", kWatchpoint},
    {0x38, "BKPT32", "BKPT", kComment},
    {0x3a, "VECTOR32", "vector catch from AArch32", kBreakpoint},
    {0x3c, "BRK64", "BRK", kComment},
    {0x3d, "PMU", "profiling exception", {}},
};
static_assert(std::adjacent_find(std::begin(kClasses), std::end(kClasses),
                                 [](const EsrClass& a, const EsrClass& b) {
                                   return a.ec >= b.ec;
                                 }) == std::end(kClasses));

// kvm_emulate.h kvm_vcpu_dabt_iss_nisv_sanitized(), Linux 5.5 and later.
constexpr EsrBits kNisv[] = {{"cm", 8, 8}, {"wnr", 6, 6}, {"dfsc", 5, 0, kFaultStatus}};
// The fault status is cleared, so nothing says when LST applies: for this exit it always does.
constexpr EsrBits kLdst64b[] = {{"lst", 12, 11, kLoadStoreType}, {"wnr", 6, 6}, {"xs", 36, 32}};
// arch/arm64/kvm/mmu.c of Linux 7.3: EC, IL, FnV, EA, CM, WnR and FSC, and SET with RAS.
constexpr EsrBits kSeaData[] = {{"set", 12, 11, kSynchronousErrorType, kFsc, kExternalAbort},
                                {"fnv", 10, 10},
                                {"ea", 9, 9},
                                {"cm", 8, 8},
                                {"wnr", 6, 6},
                                {"dfsc", 5, 0, kFaultStatus}};
constexpr EsrBits kSeaInstruction[] = {{"set", 12, 11, kSynchronousErrorType, kFsc, kExternalAbort},
                                       {"fnv", 10, 10},
                                       {"ea", 9, 9},
                                       {"ifsc", 5, 0, kFaultStatus}};

}  // namespace

const EsrClass* find_esr_class(uint8_t ec) {
  const auto* found = std::lower_bound(std::begin(kClasses), std::end(kClasses), ec,
                                       [](const EsrClass& row, uint8_t v) { return row.ec < v; });
  return found != std::end(kClasses) && found->ec == ec ? found : nullptr;
}

std::span<const EsrClass> all_esr_classes() { return kClasses; }
std::span<const EsrBits> nisv_bits() { return kNisv; }
std::span<const EsrBits> ldst64b_bits() { return kLdst64b; }
std::span<const EsrBits> sea_data_bits() { return kSeaData; }
std::span<const EsrBits> sea_instruction_bits() { return kSeaInstruction; }
std::string_view fault_status_name(uint8_t fault_status) {
  return name_of(kFaultStatus, fault_status);
}
NamedValues all_fault_statuses() { return kFaultStatus; }

}  // namespace kvmtape
