#include "recorder/record/way.h"

#include <elf.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "schema/base/byte_cursor.h"

namespace kvmtape {
namespace {

constexpr int kScriptDepthMax = 4;          // the kernel's BINPRM recursion limit, fs/exec.c
constexpr size_t kHeadBytes = 1024 * 1024;  // headers and notes stand near the beginning
constexpr const char* kLibraryName = "libkvmtape_preload.so";

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#else
constexpr uint16_t kMachine = EM_AARCH64;
#endif

std::vector<uint8_t> read_head(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes(kHeadBytes);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

template <typename Struct>
bool copy_at(const std::vector<uint8_t>& bytes, uint64_t offset, Struct& to) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof to) return false;
  std::memcpy(&to, bytes.data() + offset, sizeof to);
  return true;
}

struct ElfFacts {
  bool native = false;  // of this machine, 64 bit
  bool is_go = false;
  std::string interpreter;  // empty: statically linked
};

// A note named "Go" (cmd/link puts the build id there) tells a Go program.
bool holds_go_note(const std::vector<uint8_t>& bytes, const Elf64_Phdr& segment) {
  Elf64_Nhdr note{};
  char name[4] = {};
  for (uint64_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz;) {
    if (!copy_at(bytes, at, note) || !copy_at(bytes, at + sizeof note, name)) return false;
    if (note.n_namesz == sizeof name && std::memcmp(name, "Go\0\0", sizeof name) == 0) return true;
    at +=
        sizeof note + (uint64_t{note.n_namesz} + 3) / 4 * 4 + (uint64_t{note.n_descsz} + 3) / 4 * 4;
  }
  return false;
}

ElfFacts examine_elf(const std::vector<uint8_t>& bytes) {
  ElfFacts facts;
  Elf64_Ehdr header{};
  if (!copy_at(bytes, 0, header)) return facts;
  facts.native = header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == kMachine;
  if (!facts.native) return facts;
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!copy_at(bytes, header.e_phoff + i * header.e_phentsize, segment)) break;
    if (segment.p_type == PT_NOTE) facts.is_go = facts.is_go || holds_go_note(bytes, segment);
    if (segment.p_type != PT_INTERP || segment.p_offset > bytes.size()) continue;
    const auto* begin = reinterpret_cast<const char*>(bytes.data()) + segment.p_offset;
    const size_t room = std::min<size_t>(segment.p_filesz, bytes.size() - segment.p_offset);
    facts.interpreter.assign(begin, ::strnlen(begin, room));
  }
  return facts;
}

// Whether the loader would ignore LD_PRELOAD (AT_SECURE, see ld.so(8)).
bool runs_secure(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return false;
  return ((status.st_mode & S_ISUID) != 0 && status.st_uid != ::geteuid()) ||
         ((status.st_mode & S_ISGID) != 0 && status.st_gid != ::getegid()) ||
         (::geteuid() != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0);
}

std::string name_of(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

Way no_way(const std::string& program, const std::string& why, const std::string& next_step) {
  return {Way::Kind::kNone, program, why, next_step};
}

Way judge(const std::string& program, int depth) {
  const std::string embed = "run as root with -p, or link recorder/kvmtape.h";
  const std::vector<uint8_t> head = read_head(program);
  if (head.empty())
    return no_way(program, "it cannot be read, so it is not known how it is linked",
                  "make it readable for this user");
  if (head.size() > 2 && head[0] == '#' && head[1] == '!') {
    const std::string line(head.begin() + 2, std::find(head.begin(), head.end(), uint8_t{'\n'}));
    std::string interpreter;
    std::istringstream(line) >> interpreter;
    if (depth >= kScriptDepthMax || interpreter.empty())
      return no_way(program, "it is a script without an end", "name the monitor itself");
    Way way = judge(interpreter, depth + 1);
    way.program = program;
    way.why = "it is a script for " + interpreter + ": " + way.why;
    return way;
  }
  if (head.size() < SELFMAG || std::memcmp(head.data(), ELFMAG, SELFMAG) != 0)
    return no_way(program, "it is neither a script nor an ELF program", "name the monitor itself");
  const ElfFacts elf = examine_elf(head);
  const std::string name = name_of(program);
  if (!elf.native)
    return no_way(program, name + " is not a 64-bit program of this machine: preload cannot work",
                  "run a build for this machine");
  if (elf.interpreter.empty())
    return no_way(program, name + " is static: preload cannot work", embed);
  if (elf.is_go)
    return no_way(program,
                  name +
                      " is a Go program, which makes system calls without libc: "
                      "preload cannot work",
                  embed);
  if (elf.interpreter.find("musl") != std::string::npos)
    return no_way(program, name + " is linked against musl, the preload library against glibc",
                  embed);
  if (runs_secure(program))
    return no_way(program,
                  name + " is setuid, setgid or has capabilities: the loader ignores LD_PRELOAD",
                  "run it as the user that it changes to");
  return {
      Way::Kind::kPreload, program, name + " is dynamically linked (" + elf.interpreter + ")", {}};
}

}  // namespace

std::string Way::to_string() const {
  switch (kind) {
    case Kind::kPreload:
      return "preload: " + why;
    case Kind::kBpf:
      return "bpf: " + why;
    case Kind::kPtrace:
      return "ptrace: " + why;
    case Kind::kNone:
      break;
  }
  return "none: " + why + "; " + next_step;
}

Result<std::string> find_program(const std::string& name) {
  int error = ENOENT;
  auto usable = [&](const std::string& path) {
    std::error_code ignored;
    if (::access(path.c_str(), X_OK) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
      return false;
    }
    if (std::filesystem::is_regular_file(path, ignored)) return true;
    error = EACCES;
    return false;
  };
  if (name.find('/') != std::string::npos) {
    if (usable(name)) return name;
  } else {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "/bin:/usr/bin" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
      const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
      if (usable(candidate)) return candidate;
    }
  }
  return Error{error == ENOENT ? ErrorCode::kUsage : ErrorCode::kRefused,
               std::string("cannot be started: ") + std::strerror(error), name, std::nullopt};
}

Result<Way> choose_way(const std::string& name) {
  KVMTAPE_TRY_ASSIGN(const std::string program, find_program(name));
  return judge(program, 0);
}

Result<std::string> find_preload_library(const std::string& wanted) {
  std::error_code error;
  std::vector<std::filesystem::path> places;
  if (!wanted.empty()) {
    places.emplace_back(wanted);
  } else {
    const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    places = {folder / kLibraryName, folder / ".." / KVMTAPE_LIBDIR / "kvmtape" / kLibraryName};
  }
  for (const auto& place : places) {
    if (!std::filesystem::is_regular_file(place, error)) continue;
    std::string path = std::filesystem::canonical(place, error).string();
    // ld.so(8): both separate the libraries of LD_PRELOAD, and neither can be escaped.
    if (path.find_first_of(" :") != std::string::npos)
      return Error{ErrorCode::kIo, "LD_PRELOAD cannot name a path with a space or colon", path,
                   std::nullopt};
    return path;
  }
  return Error{ErrorCode::kIo, "the preload library is not there", places.front().string(),
               std::nullopt};
}

}  // namespace kvmtape
