/* A module, loaded when a session daemon runs: liblttng-ust looks for one when it is loaded, and a
 * machine without it loses this contender only. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tests/bench/lttng_provider.inc"

void kvmtape_bench_lttng_emit(const uint8_t* bytes, uint32_t count);
void kvmtape_bench_lttng_emit(const uint8_t* bytes, uint32_t count) {
  lttng_ust_tracepoint(kvmtape_bench, moment, bytes, count);
}
