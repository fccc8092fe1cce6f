#include "recorder/drain/write_news.h"

#include <unistd.h>

#include "schema/base/count_text.h"
#include "schema/base/shell_word.h"

namespace kvmtape {

std::string cause_of(const Error& error) {
  return error.message.substr(0, error.message.find(';'));
}

std::optional<std::string> WriteNews::look(const Keeper& keeper) {
  if (keeper.write_fails() == fails_) return std::nullopt;
  const DrainTotals totals = keeper.totals();
  if (fails_) {
    const uint64_t lost = lost_meanwhile(totals) - lost_before_;
    lost_before_ += lost;
    fails_ = false;
    const uint64_t removed = totals.exits_removed - removed_at_failure_;
    return keeper.path() + ": can be written again; " +
           (removed == 0 ? ""
                         : counted(removed, "exit") + " went with the file that was removed, ") +
           counted_were(lost, "exit") + " lost meanwhile";
  }
  fails_ = true;
  lost_at_failure_ = lost_of(totals);
  removed_at_failure_ = totals.exits_removed;
  const auto& error = keeper.last_error();
  return (error && !error->path.empty() ? error->path : keeper.path()) + ": " +
         (error ? cause_of(*error) : "cannot be written") +
         (keeper.paused() ? "; the guest runs on, and it is tried again"
          : keeper.flight_totals()
              ? "; the rings go on with the last exits, and it is tried again"
              : "; the guest runs on, exits that no longer fit the rings are lost, and it is tried "
                "again") +
         (::access(keeper.path().c_str(), F_OK) == 0
              ? ""
              : "; until then kvmtape recover " + shell_path(keeper.session().ring_directory) +
                    " -o FILE saves what the rings hold");
}

}  // namespace kvmtape
