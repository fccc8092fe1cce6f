#include "analysis/symbols/kernel_image.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "schema/base/unique_fd.h"

namespace kvmtape {
namespace {

using Found = std::vector<std::pair<uint64_t, std::string>>;

void add_symbols(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, Found& found) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) return;
  const auto count =
      static_cast<int>(std::min<uint64_t>(header.sh_size / header.sh_entsize, 1 << 22));
  for (int i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, i, &symbol) == nullptr) return;
    const int type = GELF_ST_TYPE(symbol.st_info);
    const bool is_place = type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE;
    if (!is_place || symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name != nullptr && *name != '\0' && symbol.st_value != 0)
      found.emplace_back(symbol.st_value, name);
  }
}

void add_code(Elf_Scn* section, const GElf_Shdr& header, std::vector<KernelImage::Code>& code) {
  const Elf_Data* data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr || header.sh_addr == 0) return;
  code.push_back({header.sh_addr, {static_cast<const uint8_t*>(data->d_buf), data->d_size}});
}

// The compilation unit of an address. Kernels that clang built have no .debug_aranges.
bool find_unit(Dwarf* dwarf, uint64_t address, Dwarf_Die& unit) {
  if (dwarf_addrdie(dwarf, address, &unit) != nullptr) return true;
  size_t header = 0;
  for (Dwarf_Off at = 0, next = 0;
       dwarf_nextcu(dwarf, at, &next, &header, nullptr, nullptr, nullptr) == 0; at = next)
    if (dwarf_offdie(dwarf, at + header, &unit) != nullptr && dwarf_haspc(&unit, address) > 0)
      return true;
  return false;
}

// What the build machine's directories were is nobody's business, as far as it can be told.
std::string_view without_build_directory(std::string_view file, const char* directory) {
  if (directory == nullptr) return file;
  const std::string_view prefix(directory);
  if (!file.starts_with(prefix) || file.size() <= prefix.size() || file[prefix.size()] != '/')
    return file;
  return file.substr(prefix.size() + 1);
}

}  // namespace

struct KernelImage::State {
  UniqueFd file;
  std::unique_ptr<Elf, decltype(&elf_end)> elf{nullptr, &elf_end};
  std::unique_ptr<Dwarf, decltype(&dwarf_end)> dwarf{nullptr, &dwarf_end};
  Found symbols;
  std::vector<Code> code;
};

KernelImage::KernelImage(std::unique_ptr<State> state) : state_(std::move(state)) {}
KernelImage::~KernelImage() = default;

Result<std::unique_ptr<KernelImage>> KernelImage::open(const std::string& path) {
  elf_version(EV_CURRENT);
  auto state = std::make_unique<State>();
  state->file = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!state->file.valid())
    return Error{ErrorCode::kIo, std::string("cannot be read: ") + std::strerror(errno), path, {}};
  state->elf.reset(elf_begin(state->file.get(), ELF_C_READ_MMAP, nullptr));
  Elf* elf = state->elf.get();
  if (elf == nullptr || elf_kind(elf) != ELF_K_ELF)
    return Error{ErrorCode::kUsage, "is no ELF file", path, {}};
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
       section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_SYMTAB) add_symbols(elf, section, header, state->symbols);
    if (header.sh_type == SHT_PROGBITS && (header.sh_flags & SHF_EXECINSTR) != 0)
      add_code(section, header, state->code);
  }
  if (state->symbols.empty())
    return Error{ErrorCode::kUsage,
                 "holds no symbols: it was stripped; take the one with debug "
                 "information, or System.map",
                 path,
                 {}};
  state->dwarf.reset(dwarf_begin_elf(elf, DWARF_C_READ, nullptr));  // nullptr: there is none
  return std::unique_ptr<KernelImage>(new KernelImage(std::move(state)));
}

std::vector<std::pair<uint64_t, std::string>> KernelImage::take_symbols() {
  return std::move(state_->symbols);
}

std::span<const KernelImage::Code> KernelImage::code() const { return state_->code; }

std::string KernelImage::source_line(uint64_t address) const {
  Dwarf_Die unit;
  if (state_->dwarf == nullptr || !find_unit(state_->dwarf.get(), address, unit)) return {};
  Dwarf_Line* line = dwarf_getsrc_die(&unit, address);
  const char* file = line == nullptr ? nullptr : dwarf_linesrc(line, nullptr, nullptr);
  int number = 0;
  if (file == nullptr || dwarf_lineno(line, &number) != 0) return {};
  Dwarf_Attribute attribute;
  const char* directory = dwarf_formstring(dwarf_attr(&unit, DW_AT_comp_dir, &attribute));
  return fmt::format("{}:{}", without_build_directory(file, directory), number);
}

}  // namespace kvmtape
