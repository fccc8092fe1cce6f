// What every recorder puts into a session's header and does with its ring directory, however it
// comes by the exits. Set-up and end of a session; any thread; system calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recorder/capture/vcpu_capture.h"
#include "recorder/drain/clock_reading.h"
#include "schema/session_codec.h"

namespace kvmtape {

// The clocks at the start and a first estimate of the record clock's frequency, which the cuts'
// clock pairs refine. Takes two milliseconds where the CPU does not tell.
void start_clocks(Session& session, ClockReader clock = read_clocks);

// "kvmtape 0.1.0 preload"
std::string recorder_text(std::string_view which);
// "debug-exits", "never", "sync", "every=N"
// What a filter leaves out, for the header: "exits but those of reason 2, 6".
std::vector<std::string> left_out_by(const CaptureFilter& filter);
std::string register_policy_text(RegisterPolicy policy, uint32_t every);

// The header as it is now, beside the rings, so that these can be read where the recording is gone:
// its directory was removed while it was being written, and then everybody was killed. It takes the
// place of the last copy, so that there is always a whole one, and goes with the rings. Where it
// fails, as little is missing as before. Not from a thread that the monitor's filters may have come
// upon since set-up.
void leave_header_copy(Session& session, ClockReader clock = read_clocks);

// What an error of a recording that could not be sealed goes on with: what is left, what to do.
std::string stopped_text(const std::string& ring_directory, const std::string& trace);

// The session's ring directory with all in it; and the folder that it lies in, if that is ours and
// this was the last there.
void remove_ring_directory(const std::string& directory, bool parent_is_ours);

}  // namespace kvmtape
