#include "recorder/control/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "recorder/control/unix_socket.h"
#include "recorder/drain/clock_reading.h"

namespace kvmtape {
namespace {

constexpr size_t kClientsMax = 8;
constexpr uint64_t kSilenceNs = 5'000'000'000;  // after which a client is let go
constexpr uint64_t kLogIntervalNs = 1'000'000'000;
constexpr size_t kReceiveBytes = 4096;

}  // namespace

std::string control_path(const std::string& trace) { return trace + ".ctl"; }

std::string error_reply(const std::string& why) {
  return nlohmann::json{{"error", why}}.dump(-1, ' ', true,
                                             nlohmann::json::error_handler_t::replace);
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(const std::string& trace,
                                                           Handler handler, Log log) {
  std::unique_ptr<ControlServer> server(new ControlServer);
  KVMTAPE_TRY_ASSIGN(server->listener_, listen_at(control_path(trace)));
  server->path_ = control_path(trace);
  server->handler_ = std::move(handler);
  server->log_ = std::move(log);
  return server;
}

ControlServer::~ControlServer() {
  if (!path_.empty()) ::unlink(path_.c_str());
  tell_refused();
}

// What is refused within a second of the last line is told with the next one.
void ControlServer::log(const std::string& text) {
  ++refused_since_;
  last_refused_ = text;
  if (logged_ns_ == 0 || monotonic_now_ns() - logged_ns_ >= kLogIntervalNs) tell_refused();
}

void ControlServer::tell_refused() {
  if (refused_since_ == 0) return;
  logged_ns_ = monotonic_now_ns();
  log_("ctl: " + last_refused_ +
       (refused_since_ > 1 ? " (" + std::to_string(refused_since_) + " refused)" : ""));
  refused_since_ = 0;
}

void ControlServer::poll() {
  const uint64_t now = monotonic_now_ns();
  accept_all(now);
  for (Client& client : clients_) serve(client, now);
  std::erase_if(clients_, [](const Client& client) { return client.done; });
  if (now - logged_ns_ >= kLogIntervalNs) tell_refused();
}

void ControlServer::accept_all(uint64_t now_ns) {
  while (clients_.size() < kClientsMax) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    const auto peer = peer_of(fd.get());
    if (!peer || (peer->uid != ::geteuid() && peer->uid != 0)) {
      log("refused " +
          (peer ? "user " + std::to_string(peer->uid) : std::string("an unknown user")));
      continue;
    }
    clients_.push_back({std::move(fd), {}, now_ns, false});
  }
}

void ControlServer::refuse(Client& client, const std::string& why) {
  const std::string reply = error_reply(why) + "\n";
  (void)::send(client.fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  client.done = true;
  log("refused a request: " + why);
}

void ControlServer::serve(Client& client, uint64_t now_ns) {
  char bytes[kReceiveBytes];
  const ssize_t got = ::recv(client.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got <= 0) {
    const bool waits = got < 0 && (errno == EAGAIN || errno == EINTR);
    client.done = !waits || now_ns - client.last_ns > kSilenceNs;
    return;
  }
  client.last_ns = now_ns;
  client.received.append(bytes, static_cast<size_t>(got));
  for (size_t end; !client.done && (end = client.received.find('\n')) != std::string::npos;) {
    const auto request = parse_request(std::string_view(client.received).substr(0, end));
    client.received.erase(0, end + 1);
    if (!request.ok()) return refuse(client, request.error().message);
    const std::string reply = handler_(*request) + "\n";
    // A client that does not read its answers loses them.
    const ssize_t sent =
        ::send(client.fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != static_cast<ssize_t>(reply.size())) client.done = true;
  }
  if (client.received.size() > kRequestBytesMax) refuse(client, "the request is too long");
}

}  // namespace kvmtape
