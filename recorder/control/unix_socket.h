// Unix sockets whose path may be longer than sockaddr_un holds. Set-up time; any thread. Who calls
// owns the descriptor; errors name the path.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "schema/base/result.h"
#include "schema/base/unique_fd.h"

namespace kvmtape {

struct Peer {
  pid_t pid;
  uid_t uid;
};

// Listens at `path`, mode 0600, without blocking. The socket of a dead process is replaced,
// anything else that lies there is left alone.
Result<UniqueFd> listen_at(const std::string& path);
// A link is not followed. kRefused: it is another user's, or takes nobody for seconds.
Result<UniqueFd> connect_to(const std::string& path);
// Who is at the other end, by the kernel's word.
std::optional<Peer> peer_of(int fd);

}  // namespace kvmtape
