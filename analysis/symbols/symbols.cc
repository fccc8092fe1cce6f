#include "analysis/symbols/symbols.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <tuple>
#include <utility>

namespace kvmtape {
namespace {

// "$x", "$d.1": where code and data begin, which are no names of anything.
bool is_arm64_mark(std::string_view name) { return name.starts_with('$'); }

// "ffffffff81000000 T _stext [module]"; false: another kind of line, or not of code or data.
bool parse_line(std::string_view line, uint64_t& address, std::string_view& name,
                std::string_view& module) {
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), address, 16);
  if (parsed.ec != std::errc{}) return false;
  std::string_view rest = line.substr(static_cast<size_t>(parsed.ptr - line.data()));
  if (rest.size() < 4 || rest[0] != ' ' || rest[2] != ' ') return false;
  const char type = rest[1];
  if (type == 'a' || type == 'A' || type == 'U' || type == 'w') return false;
  name = rest.substr(3);
  const size_t open = name.find('['), close = name.find(']');
  module = open < close && close != std::string_view::npos ? name.substr(open + 1, close - open - 1)
                                                           : std::string_view{};
  name = name.substr(0, name.find_first_of(" \t\r"));
  return !name.empty() && !is_arm64_mark(name);
}

}  // namespace

Result<Symbols> Symbols::load(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return Error{ErrorCode::kIo, std::string("cannot be read: ") + std::strerror(errno), path, {}};
  Symbols table;
  table.path_ = path;
  constexpr char kElf[] = {0x7f, 'E', 'L', 'F'};
  char magic[sizeof kElf] = {};
  file.read(magic, sizeof magic);
  if (std::ranges::equal(magic, kElf)) {
    KVMTAPE_TRY_ASSIGN(table.image_, KernelImage::open(path));
    for (auto& [address, name] : table.image_->take_symbols())
      if (!is_arm64_mark(name)) table.symbols_.push_back({address, std::move(name)});
    table.arrange();
    return table;
  }
  file.clear();
  file.seekg(0);
  std::string line;
  bool hidden = false;
  constexpr size_t kSymbolsMax = 4'000'000;  // an allmodconfig kernel has a few hundred thousand
  while (table.symbols_.size() < kSymbolsMax && std::getline(file, line)) {
    uint64_t address = 0;
    std::string_view name, module;
    if (!parse_line(line, address, name, module)) continue;
    hidden |= address == 0;
    if (address != 0) table.symbols_.push_back({address, std::string(name), std::string(module)});
  }
  if (table.symbols_.empty())
    return Error{ErrorCode::kUsage,
                 hidden
                     ? "every address is 0: the kernel hides them from this user; copy it as root"
                     : "holds no symbols: it is no ELF file (a vmlinux), and has no lines as of "
                       "System.map or /proc/kallsyms",
                 path,
                 {}};
  table.arrange();
  return table;
}

void Symbols::arrange() {
  std::ranges::sort(symbols_, {}, [](const Symbol& symbol) {
    return std::tie(symbol.address, symbol.module, symbol.name);
  });
  std::map<std::pair<std::string_view, std::string_view>, uint32_t> seen;
  for (Symbol& symbol : symbols_) {
    symbol.which = seen[{symbol.module, symbol.name}]++;
    has_modules_ |= !symbol.module.empty();
  }
}

std::optional<Symbols::Place> Symbols::place_of(uint64_t address) const {
  const uint64_t linked = address - offset_;
  auto above = std::ranges::upper_bound(symbols_, linked, {}, &Symbol::address);
  if (above == symbols_.begin()) return std::nullopt;
  const uint64_t begin = std::prev(above)->address;
  constexpr uint64_t kFar = 1 << 20;  // no function of Linux is so long
  if (linked - begin > kFar) return std::nullopt;
  const Symbol& symbol = *std::ranges::lower_bound(symbols_, begin, {}, &Symbol::address);
  return Place{symbol.name, symbol.module, symbol.which, linked - begin};
}

std::string Symbols::at(uint64_t address) const {
  const auto place = place_of(address);
  if (!place) return {};
  std::string text(place->name);
  if (place->offset != 0) text += fmt::format("+{:#x}", place->offset);
  if (!place->module.empty()) text += fmt::format(" [{}]", place->module);
  return text;
}

std::string Symbols::source_line(uint64_t address) const {
  return image_ == nullptr ? std::string() : image_->source_line(address - offset_);
}

std::optional<uint64_t> Symbols::address_of(std::string_view name) const {
  for (const Symbol& symbol : symbols_)
    if (symbol.name == name) return symbol.address + offset_;
  return std::nullopt;
}

std::optional<uint64_t> kernel_offset_in(std::string_view console) {
  constexpr std::string_view kLabel = "Kernel Offset: ";
  const size_t at = console.rfind(kLabel);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = console.substr(at + kLabel.size());
  if (rest.starts_with("disabled")) return 0;
  if (!rest.starts_with("0x")) return std::nullopt;
  rest.remove_prefix(2);
  uint64_t offset = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), offset, 16).ec != std::errc{})
    return std::nullopt;
  return offset;
}

}  // namespace kvmtape
