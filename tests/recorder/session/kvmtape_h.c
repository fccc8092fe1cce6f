/* kvmtape.h as a monitor in plain C sees it. */
#include "recorder/kvmtape.h"

#include <string.h>

int record_from_c(const char* path, void* run, size_t run_bytes);

int record_from_c(const char* path, void* run, size_t run_bytes) {
  kvmtape_options options;
  kvmtape_error error;
  kvmtape_totals totals;
  kvmtape_options_init(&options);
  options.path = path;
  kvmtape_session* session = kvmtape_open(&options, &error);
  kvmtape_vcpu* tape = kvmtape_attach_vcpu(session, 0, -1, run, run_bytes, &error);
  kvmtape_enter(tape);
  kvmtape_exit(tape, 0, 0);
  kvmtape_mark(session, "from C");
  if (strcmp(kvmtape_path(session), path) != 0) return -1;
  if (kvmtape_close(session, &totals, &error) != 0) return -1;
  return totals.exits == 1 ? 0 : -1;
}
