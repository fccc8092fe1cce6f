#include "recorder/preload/filter.h"

#include <stdint.h>
#include <string.h>

namespace kvmtape::preload {
namespace {

// The machine of Documentation/networking/filter.rst, as far as seccomp_check_filter() of
// kernel/seccomp.c lets it be used: words at fixed offsets of seccomp_data, no packets.
struct Machine {
  uint32_t a = 0, x = 0;
  uint32_t memory[BPF_MEMWORDS] = {};
};

bool compute(uint16_t operation, uint32_t& a, uint32_t b) noexcept {
  switch (operation) {
    case BPF_ADD:
      a += b;
      return true;
    case BPF_SUB:
      a -= b;
      return true;
    case BPF_MUL:
      a *= b;
      return true;
    case BPF_DIV:
      return b != 0 && (a /= b, true);
    case BPF_AND:
      a &= b;
      return true;
    case BPF_OR:
      a |= b;
      return true;
    case BPF_XOR:
      a ^= b;
      return true;
    case BPF_LSH:
      a = b < 32 ? a << b : 0;
      return true;
    case BPF_RSH:
      a = b < 32 ? a >> b : 0;
      return true;
    case BPF_NEG:
      a = 0 - a;
      return true;
    default:
      return false;
  }
}

bool holds(uint16_t operation, uint32_t a, uint32_t b) noexcept {
  switch (operation) {
    case BPF_JEQ:
      return a == b;
    case BPF_JGT:
      return a > b;
    case BPF_JGE:
      return a >= b;
    default:
      return (a & b) != 0;  // BPF_JSET
  }
}

bool load(const sock_filter& step, const seccomp_data& call, const Machine& machine,
          uint32_t& value) noexcept {
  switch (BPF_MODE(step.code)) {
    case BPF_IMM:
      value = step.k;
      return true;
    case BPF_LEN:
      value = sizeof call;
      return true;
    case BPF_MEM:
      if (step.k >= BPF_MEMWORDS) return false;
      value = machine.memory[step.k];
      return true;
    case BPF_ABS:
      if (BPF_CLASS(step.code) != BPF_LD || step.k > sizeof call - sizeof value) return false;
      ::memcpy(&value, reinterpret_cast<const char*>(&call) + step.k, sizeof value);
      return true;
    default:
      return false;
  }
}

// The filter's answer; a kill where the program does not make sense.
uint32_t run(const sock_fprog& filter, const seccomp_data& call) noexcept {
  Machine machine;
  for (uint64_t at = 0; at < filter.len; ++at) {
    const sock_filter& step = filter.filter[at];
    const uint32_t operand = BPF_SRC(step.code) == BPF_X ? machine.x : step.k;
    bool good = true;
    switch (BPF_CLASS(step.code)) {
      case BPF_LD:
        good = load(step, call, machine, machine.a);
        break;
      case BPF_LDX:
        good = load(step, call, machine, machine.x);
        break;
      case BPF_ST:
      case BPF_STX:
        good = step.k < BPF_MEMWORDS;
        if (good) machine.memory[step.k] = BPF_CLASS(step.code) == BPF_ST ? machine.a : machine.x;
        break;
      case BPF_ALU:
        good = compute(BPF_OP(step.code), machine.a, operand);
        break;
      case BPF_JMP:
        if (BPF_OP(step.code) == BPF_JA)
          at += step.k;  // beyond the end: the loop ends
        else
          at += holds(BPF_OP(step.code), machine.a, operand) ? step.jt : step.jf;
        break;
      case BPF_RET:
        return BPF_RVAL(step.code) == BPF_A ? machine.a : step.k;
      case BPF_MISC:
        (BPF_MISCOP(step.code) == BPF_TAX ? machine.x : machine.a) =
            BPF_MISCOP(step.code) == BPF_TAX ? machine.a : machine.x;
        break;
      default:
        good = false;
    }
    if (!good) break;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

}  // namespace

bool filter_allows(const sock_fprog& filter, const seccomp_data& call) noexcept {
  const uint32_t answer = run(filter, call) & SECCOMP_RET_ACTION_FULL;
  return answer == SECCOMP_RET_ALLOW || answer == SECCOMP_RET_LOG;
}

}  // namespace kvmtape::preload
