// What is different between two recordings beside their exits: kernel, processor, capabilities,
// what the recorder was told. Pure function, any thread.
#pragma once

#include <string>
#include <vector>

#include "schema/session_codec.h"

namespace kvmtape {

// Empty text: this session does not say.
struct SessionChange {
  std::string name;  // "kernel", "capability KVM_CAP_ARM_SVE (170)", "cpu model name"
  std::string a, b;
};
std::vector<SessionChange> session_changes(const Session& a, const Session& b);

}  // namespace kvmtape
