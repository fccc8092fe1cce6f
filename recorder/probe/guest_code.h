// Guest code is assembled at build time with the rest of the program, lies in its read-only data,
// and is copied into guest memory. KVMTAPE_GUEST_CODE(name, text) makes `name`, a GuestCode.
//
// The code runs at kCodeAddress, elsewhere than it was linked: relative jumps only. Labels are the
// assembler's local ones (1:, 1b, 1f). x86: 64-bit code; where the text switches with .code16, the
// macro switches back.
#pragma once

#include <cstdint>
#include <span>

namespace kvmtape {

using GuestCode = std::span<const uint8_t>;

}  // namespace kvmtape

#if defined(__x86_64__)
#define KVMTAPE_GUEST_CODE_WIDTH ".code64\n"
#else
#define KVMTAPE_GUEST_CODE_WIDTH ""
#endif

#define KVMTAPE_GUEST_CODE(name, text)                                                           \
  asm(".pushsection .rodata.kvmtape_guest, \"a\"\n"                                              \
      ".globl kvmtape_guest_" #name                                                              \
      "_begin\n"                                                                                 \
      ".globl kvmtape_guest_" #name                                                              \
      "_end\n"                                                                                   \
      ".hidden kvmtape_guest_" #name                                                             \
      "_begin\n"                                                                                 \
      ".hidden kvmtape_guest_" #name                                                             \
      "_end\n"                                                                                   \
      "kvmtape_guest_" #name "_begin:\n" text                                                    \
      "\n"                                                                                       \
      "kvmtape_guest_" #name "_end:\n" KVMTAPE_GUEST_CODE_WIDTH ".popsection\n");                \
  extern "C" __attribute__((visibility("hidden"))) const uint8_t kvmtape_guest_##name##_begin[]; \
  extern "C" __attribute__((visibility("hidden"))) const uint8_t kvmtape_guest_##name##_end[];   \
  static const ::kvmtape::GuestCode name(kvmtape_guest_##name##_begin, kvmtape_guest_##name##_end)
