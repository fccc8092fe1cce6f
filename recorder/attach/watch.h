// Watching a monitor's vCPUs from outside, whichever way: what `record -p` asks for again and again
// until the monitor or its user ends it. One thread, that which started the watch. Exits go into
// the session's rings; what did not come through is counted there as lost.
#pragma once

#include <cstdint>

#include "recorder/session.h"

namespace kvmtape {

class Watch {
 public:
  virtual ~Watch() = default;
  // From here on exits go into `session`, which outlives the watch.
  virtual Result<void> record_into(kvmtape_session& session) = 0;
  // Takes what has happened, waiting for it a few milliseconds at most. False: all watched
  // processes have ended.
  virtual bool step() = 0;
  // Lets go of the monitor, which runs on; takes what is left and counts the losses.
  virtual void finish() = 0;
  // KVM_RUNs that returned without anyone being able to tell of which vCPU.
  virtual uint64_t unidentified() const { return 0; }
  // Processes of the monitor's that are not watched.
  virtual uint64_t unfollowed() const { return 0; }
};

}  // namespace kvmtape
