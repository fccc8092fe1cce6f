/* The one tracepoint of the LTTng contender: a sequence of bytes. Read by LTTng's own headers
 * several times over, hence the odd guard; see lttng-ust(3). */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER kvmtape_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "tests/bench/lttng_provider.h"

#if !defined(KVMTAPE_TESTS_BENCH_LTTNG_PROVIDER_H_) || \
    defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define KVMTAPE_TESTS_BENCH_LTTNG_PROVIDER_H_

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(kvmtape_bench, moment,
                           LTTNG_UST_TP_ARGS(const uint8_t*, bytes, uint32_t, count),
                           LTTNG_UST_TP_FIELDS(lttng_ust_field_sequence(uint8_t, kvm_run, bytes,
                                                                        uint32_t, count)))

#endif

#include <lttng/tracepoint-event.h>
