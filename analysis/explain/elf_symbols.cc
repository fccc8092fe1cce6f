#include "analysis/explain/elf_symbols.h"

#include <fcntl.h>
#include <gelf.h>

#include <algorithm>
#include <memory>

#include "schema/base/unique_fd.h"

namespace kvmtape {
namespace {

using Found = std::vector<std::pair<uint64_t, std::string>>;

void add_section(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, Found& found) {
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

}  // namespace

Result<Found> elf_symbols(const std::string& path) {
  elf_version(EV_CURRENT);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Error{ErrorCode::kIo, "cannot be read", path, {}};
  const std::unique_ptr<Elf, decltype(&elf_end)> elf(
      elf_begin(file.get(), ELF_C_READ_MMAP, nullptr), &elf_end);
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF)
    return Error{ErrorCode::kUsage, "is no ELF file", path, {}};
  Found found;
  for (Elf_Scn* section = elf_nextscn(elf.get(), nullptr); section != nullptr;
       section = elf_nextscn(elf.get(), section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && header.sh_type == SHT_SYMTAB)
      add_section(elf.get(), section, header, found);
  }
  if (found.empty())
    return Error{ErrorCode::kUsage,
                 "holds no symbols: it was stripped; take the one with debug "
                 "information, or System.map",
                 path,
                 {}};
  return found;
}

}  // namespace kvmtape
