// The guest's kernel symbols, from vmlinux or what nm prints of it, System.map (addresses as
// linked), or from /proc/kallsyms (as they ran), and how far KASLR moved them. A table is built
// once, then only read, by any thread but for source_line(). Errors: kIo, and kUsage where the file
// holds no symbols or hides their addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/symbols/kernel_image.h"
#include "schema/base/result.h"

namespace kvmtape {

class Symbols {
 public:
  // Which of them the file is it says itself.
  static Result<Symbols> load(const std::string& path);

  // Added to every address of the table.
  void set_offset(uint64_t offset) { offset_ = offset; }
  uint64_t offset() const { return offset_; }
  size_t count() const { return symbols_.size(); }
  const std::string& path() const { return path_; }  // as it was given

  // What an address is, wherever the kernel was put. Of several symbols at one address the first by
  // name; of several with one name (static functions) which of them, from the lowest address.
  struct Place {
    std::string_view name, module;
    uint32_t which = 0;
    uint64_t offset = 0;
    bool operator==(const Place&) const = default;
  };
  std::optional<Place> place_of(uint64_t address) const;  // nullopt: no symbol is near

  // "do_idle+0x12", of a module's "vcpu_enter+0x12 [kvm]"; empty: no symbol is near.
  std::string at(uint64_t address) const;
  // "kernel/panic.c:432" of an address, moved; empty: not known, as without DWARF. One thread.
  std::string source_line(uint64_t address) const;
  // Addresses are those of a running kernel: its modules stand in the table.
  bool as_it_ran() const { return has_modules_; }
  const KernelImage* image() const { return image_.get(); }  // nullptr: it was no vmlinux

  // Where a function or variable lies, moved; nullopt: the table has none of this name.
  std::optional<uint64_t> address_of(std::string_view name) const;

 private:
  struct Symbol {
    uint64_t address = 0;
    std::string name;
    std::string module{};  // "kvm"; empty: the kernel itself
    uint32_t which = 0;    // of those with this name
  };
  void arrange();

  std::string path_;
  std::vector<Symbol> symbols_;  // by address
  uint64_t offset_ = 0;
  bool has_modules_ = false;
  std::unique_ptr<KernelImage> image_;
};

// What Linux printed when it panicked: "Kernel Offset: 0x1a000000 from 0xffffffff81000000"
// (dump_kernel_offset(), arch/x86/kernel/setup.c and arch/arm64/kernel/setup.c, Linux 6.12);
// "disabled" is 0. nullopt: it did not.
std::optional<uint64_t> kernel_offset_in(std::string_view console);

}  // namespace kvmtape
