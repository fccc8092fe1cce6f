#include "recorder/control/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace kvmtape {
namespace {

constexpr int kWaitingMax = 8;
constexpr timeval kPatience{5, 0};  // with who does not take a connection, or a request

Error failed(const char* what, const std::string& path) {
  return Error{ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno), path, std::nullopt};
}

Error not_for_us(const std::string& path) {
  return Error{ErrorCode::kRefused,
               std::string(std::strerror(errno)) + ": only its own user and root may steer it",
               path, std::nullopt};
}

// The directory is opened and named through /proc, since sun_path holds 108 bytes.
struct Address {
  UniqueFd directory;
  sockaddr_un socket{};

  explicit Address(const std::string& path) {
    const std::filesystem::path file = path;
    const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
    directory.reset(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    socket.sun_family = AF_UNIX;
    const std::string name =
        "/proc/self/fd/" + std::to_string(directory.get()) + "/" + file.filename().string();
    if (name.size() >= sizeof socket.sun_path) directory.reset();
    if (directory.valid()) std::memcpy(socket.sun_path, name.c_str(), name.size() + 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&socket); }
};

bool remove_dead_socket(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return true;
  return S_ISSOCK(status.st_mode) && status.st_uid == ::geteuid() && !connect_to(path).ok() &&
         ::unlink(path.c_str()) == 0;
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& path) {
  if (!remove_dead_socket(path))
    return Error{ErrorCode::kIo, "is in the way of the control socket", path, std::nullopt};
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const Address address(path);
  // Before bind(), so that it is never there with another mode (unix_bind of net/unix/af_unix.c
  // takes the mode of the socket's own inode).
  if (!fd.valid() || !address.directory.valid() || ::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), address.get(), sizeof address.socket) != 0 ||
      ::listen(fd.get(), kWaitingMax) != 0)
    return failed("cannot listen here", path);
  return fd;
}

// By the socket itself, not by its name: the name may be a link, which somebody who may write here
// has put in our way, to a socket that is none of ours.
Result<UniqueFd> connect_to(const std::string& path) {
  const UniqueFd named(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (named.valid() && ::fstat(named.get(), &status) == 0 && !S_ISSOCK(status.st_mode))
    return Error{ErrorCode::kIo, "is not a socket", path, std::nullopt};
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "/proc/self/fd/" + std::to_string(named.get());
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  if (!named.valid() || !fd.valid() ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // EACCES of net/unix/af_unix.c, unix_find_bsd(): the socket is there, for another user.
    if (errno == EACCES || errno == EPERM) return not_for_us(path);
    if (errno == EAGAIN)  // of unix_stream_connect() there, after SO_SNDTIMEO
      return Error{ErrorCode::kRefused, "takes nobody any more: is its process stopped?", path,
                   std::nullopt};
    return failed("nobody listens here", path);
  }
  return fd;
}

std::optional<Peer> peer_of(int fd) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return std::nullopt;
  return Peer{credentials.pid, credentials.uid};
}

}  // namespace kvmtape
