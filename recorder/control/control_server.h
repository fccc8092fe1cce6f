// The control socket of a recording that runs: TRACE.ctl beside the trace, mode 0600, for the same
// user (or root) alone. Never blocks: poll() takes what is there and returns. One thread at a time,
// the one that calls pump(). Whoever says something else than a request is refused, told so, and
// reported through `log`, once a second at most and at the end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "recorder/control/request.h"
#include "schema/base/result.h"
#include "schema/base/unique_fd.h"

namespace kvmtape {

std::string control_path(const std::string& trace);

class ControlServer {
 public:
  // One line of JSON for each request, without its end.
  using Handler = std::function<std::string(const Request&)>;
  using Log = std::function<void(const std::string&)>;

  static Result<std::unique_ptr<ControlServer>> open(const std::string& trace, Handler handler,
                                                     Log log);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;

  void poll();

 private:
  struct Client {
    UniqueFd fd;
    std::string received;
    uint64_t last_ns = 0;
    bool done = false;
  };

  ControlServer() = default;
  void accept_all(uint64_t now_ns);
  void serve(Client& client, uint64_t now_ns);
  void refuse(Client& client, const std::string& why);
  void log(const std::string& text);
  void tell_refused();

  std::string path_;
  UniqueFd listener_;
  Handler handler_;
  Log log_;
  std::vector<Client> clients_;
  uint64_t logged_ns_ = 0;
  uint64_t refused_since_ = 0;  // and not told yet
  std::string last_refused_;    // of these
};

// What a failed request is answered: {"error":"..."}.
std::string error_reply(const std::string& why);

}  // namespace kvmtape
