// `explain`: why did it die. One pass over a recording in bounded memory, then the rules' verdicts,
// ranked. What is shown of it: cli/explain_text.h for people, explain_json.h for scripts. One
// thread.
#pragma once

#include <memory>
#include <vector>

#include "analysis/explain/case.h"
#include "analysis/explain/finding.h"

namespace kvmtape {

struct Explanation {
  std::unique_ptr<ExitDecoder> decoder;
  std::unique_ptr<Case> all;    // borrows the reader and the decoder
  std::vector<Finding> causes;  // most likely first
  std::vector<Finding> notes;   // what weakens them, or says that nothing is wrong
};

// `reader` outlives what is returned.
Explanation explain(TraceReader& reader, const Selection& selection);

}  // namespace kvmtape
