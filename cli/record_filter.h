// What `record --exit --vcpu --address` say, as the recorder wants it. Pure functions, any thread;
// the errors name the option.
#pragma once

#include <string>
#include <vector>

#include "recorder/ring/capture_filter.h"
#include "schema/base/result.h"

namespace kvmtape {

// Each adds to the filter what one option's values name.
Result<void> keep_exits(const std::vector<std::string>& names, CaptureFilter& filter);
Result<void> keep_vcpus(const std::vector<std::string>& ids, CaptureFilter& filter);
Result<void> keep_addresses(const std::vector<std::string>& ranges, CaptureFilter& filter);

}  // namespace kvmtape
