// Where recordings go when nobody says: ${KVMTAPE_DIR:-$XDG_DATA_HOME/kvmtape} (mode 0700), with a
// symbolic link `latest` that follows the newest. A directory that is another user's, or that
// anybody may write to, is refused: a link there could lead anywhere. Any thread; system calls.
#pragma once

#include <string>

#include "schema/base/result.h"

namespace kvmtape {

// $KVMTAPE_DIR, else $XDG_DATA_HOME/kvmtape, else $HOME/.local/share/kvmtape, where without HOME
// the user database says where it is; empty if nobody knows. Not created.
std::string trace_directory();
// A fresh name in it, "NAME-20261121-110102-PID.kvmtape"; creates the directory.
Result<std::string> new_trace_path(const std::string& monitor_name);
// Points `latest` in the directory of `trace` at it, if that is trace_directory().
void update_latest(const std::string& trace);
// The link's target; an error that says what to do when there is none.
Result<std::string> latest_trace();

}  // namespace kvmtape
