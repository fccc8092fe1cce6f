#include "tests/support/run_tool.h"

#include <sys/wait.h>

#include <cstdlib>
#include <sstream>

namespace kvmtape::testing {
namespace {

std::string text_of_file(const std::string& path) {
  const std::vector<uint8_t> bytes = file_bytes(path);
  return {bytes.begin(), bytes.end()};
}

nlohmann::json parsed(const std::string& text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) ADD_FAILURE() << "not JSON: " << text.substr(0, 200);
  return value;
}

}  // namespace

nlohmann::json ToolRun::json() const { return parsed(out); }

std::vector<nlohmann::json> ToolRun::json_lines() const {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) lines.push_back(parsed(line));
  return lines;
}

ToolRun Tool::run(const std::string& arguments, const std::string& before) const {
  const std::string out = file("stdout"), err = file("stderr");
  const std::string line = "cd " + file("") + " && { KVMTAPE_DIR=" + file("default") + " " +
                           before + " " KVMTAPE_TOOL " " + arguments + "; } >" + out + " 2>" + err;
  const int status = std::system(line.c_str());
  ToolRun run;
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run.out = text_of_file(out);
  run.err = text_of_file(err);
  return run;
}

}  // namespace kvmtape::testing
