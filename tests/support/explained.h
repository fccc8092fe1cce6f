// What `explain` says of a recording, in the words of the tests. The finding's text lives as long
// as the object. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "analysis/explain/explain.h"
#include "tests/support/scratch.h"
#include "tests/support/synthetic_trace.h"

namespace kvmtape::testing {

class Explained {
 public:
  explicit Explained(const std::string& path) {
    auto opened = TraceReader::open(path);
    EXPECT_TRUE(opened.ok()) << path;
    if (!opened.ok()) return;
    reader_ = std::move(*opened);
    explanation_ = explain(*reader_, {});
  }
  explicit Explained(SyntheticTrace& trace) : Explained(trace.write_to(scratch().file("t"))) {}

  std::vector<std::string> causes() const { return ids(explanation_.causes); }
  std::vector<std::string> notes() const { return ids(explanation_.notes); }
  std::string first() const { return causes().empty() ? "" : causes().front(); }
  // The finding of a rule; an empty one, and a failed test, without.
  const Finding& of(std::string_view rule) const {
    for (const auto* list : {&explanation_.causes, &explanation_.notes})
      for (const Finding& finding : *list)
        if (finding.rule == rule) return finding;
    ADD_FAILURE() << rule << " found nothing";
    static const Finding kNone;
    return kNone;
  }
  bool found(std::string_view rule) const {
    for (const auto& list : {causes(), notes()})
      for (const std::string& id : list)
        if (id == rule) return true;
    return false;
  }
  // Title, details and what comes next, in one text.
  std::string all_said(std::string_view rule) const {
    const Finding& finding = of(rule);
    std::string text = finding.title;
    for (const std::string& detail : finding.details) text += "\n" + detail;
    return text + "\n" + finding.next;
  }
  const Explanation& explanation() const { return explanation_; }

 private:
  static const ScratchDirectory& scratch() {
    static const ScratchDirectory kDirectory;
    return kDirectory;
  }
  static std::vector<std::string> ids(const std::vector<Finding>& findings) {
    std::vector<std::string> all;
    for (const Finding& finding : findings) all.emplace_back(finding.rule);
    return all;
  }

  std::unique_ptr<TraceReader> reader_;
  Explanation explanation_;
};

}  // namespace kvmtape::testing
