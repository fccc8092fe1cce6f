// One guest of the battery: a name, a sentence, and the script that sets it up and runs it.
// Each guest's source defines one constant; guests/ARCH/battery.cc lists them in order.
#pragma once

#include <span>

#include "recorder/probe/stage.h"

namespace kvmtape {

struct Guest {
  const char* name;
  const char* what;
  void (*play)(Stage& stage);
};

// The guests of this architecture.
std::span<const Guest* const> battery();

}  // namespace kvmtape
