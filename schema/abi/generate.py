#!/usr/bin/env python3
"""Turns the CSV files beside it into tables.inc, the rows behind registry.h, and native_rows.inc
and native_ioctls.inc, the rows that native_check.cc and native_ioctl_check.c hold against
<linux/kvm.h>.

Running it again changes nothing: rows come out in the order of the CSV files, and nothing of the
machine or the day goes in. `generate.py --check` exits 1 when a file is not what it would write.
"""
import csv
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent

HEADING = "// Written by generate.py from the CSV files beside it; change those and run it again."

# A bit per value of enum class Architecture (schema/trace_format.h).
BITS = {"x86_64": 1, "i386": 2, "arm64": 3, "riscv": 4, "s390": 5, "ppc": 6, "loongarch": 7, "mips": 8}
GROUPS = {"x86": ("x86_64", "i386"), "all": tuple(BITS)}
SIZES = {"__u8": 1, "__u16": 2, "__u32": 4, "__u64": 8, "__u128": 16, "ulong": 8, "ptr": 8}
# Fields that exist to fill a hole: compared with the headers, never shown.
PADDING = re.compile(r"(^|\.)(pad\d?|reserved)$")


def architectures(text):
    mask = 0
    for word in text.split():
        for name in GROUPS.get(word, (word,)):
            mask |= 1 << BITS[name]
    return f"0x{mask:x}"


def release(text):
    """major * 256 + minor; 0 stands for every kernel that this project reads (2.6 and none)."""
    if not text or text.startswith("2."):
        return "0"
    major, minor = text.split(".")
    return f"release({major}, {minor})"


def shape(kind, field, size):
    """(element bytes, elements, form) of a C type."""
    base, bits, counts = re.fullmatch(r"(\w+?)(:\d+)?((?:\[\d+\])*)", kind).groups()
    elements = 1
    for count in re.findall(r"\d+", counts):
        elements *= int(count)
    element_bytes = SIZES[base]
    if element_bytes * elements != int(size):
        raise SystemExit(f"{field}: {kind} does not fill {size} bytes")
    if PADDING.search(field):
        return size, 1, "kPadding"
    if bits:
        return element_bytes, 1, "kTopBit"
    if (base == "__u8" and counts) or element_bytes > 8:
        return (size, 1, "kBytes") if base == "__u8" else (element_bytes, elements, "kBytes")
    return element_bytes, elements, "kInteger"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rows(name):
    with open(HERE / name, newline="") as file:
        yield from csv.DictReader(file)


def field_row(row, name):
    element_bytes, elements, form = shape(row["type"], row["field"], row["size"])
    return (f"{quoted(name)}, {row['offset']}, {element_bytes}, {elements}, FieldForm::{form}, "
            f"{architectures(row['arch'])}, {release(row['since'])}, {release(row['until'])}, "
            f"{quoted(row['source'])}")


def table(kind, name, lines):
    yield f"constexpr {kind} {name}[] = {{"
    for line in lines:
        yield f"    {{{line}}},"
    yield "};"
    yield ""


def generate_tables():
    yield HEADING
    yield "// clang-format off"
    yield ""
    yield from table("ExitReason", "kExitReasons", (
        f"{r['number']}, {quoted(r['name'])}, {quoted(r['member'])}, {architectures(r['arch'])}, "
        f"{release(r['since'])}, {quoted(r['source'])}" for r in rows("exits.csv")))
    yield from table("MemberField", "kMemberFields", (
        f"{quoted(r['member'])}, "
        f"{{{field_row(r, '.'.join(filter(None, (r['member'], r['field']))))}}}"
        for r in rows("fields.csv")))
    yield from table("AbiField", "kHeaderFields", (
        field_row(r, r["field"]) for r in rows("header.csv")))
    yield from table("StructField", "kStructFields", (
        f"{quoted(r['struct'])}, {quoted(r['variant'])}, {{{field_row(r, r['field'])}}}"
        for r in rows("structs.csv")))
    yield from table("FlagName", "kFlagNames", (
        f"{architectures(r['arch'])}, {r['mask']}, {r['value']}, {quoted(r['name'])}, "
        f"{release(r['since'])}, {quoted(r['source'])}" for r in rows("flags.csv")))
    yield from table("ValueName", "kValueNames", (
        f"{quoted(r['field'])}, {architectures(r['arch'])}, {r['value']}, {quoted(r['name'])}, "
        f"{quoted(r['source'])}" for r in rows("values.csv")))
    yield from table("OneRegister", "kOneRegisters", (
        f"{r['id']}, {quoted(r['name'])}, {quoted(r['source'])}" for r in rows("one_regs.csv")))
    yield from table("Ioctl", "kIoctls", (
        f"{r['number']}, {quoted(r['name'])}, {architectures(r['arch'])}"
        for r in rows("ioctls.csv")))


# What a compiler calls the architectures whose own headers can be had; enough to prove the rules of
# the generator on each host that builds this.
NATIVE = {"x86_64": "__x86_64__", "arm64": "__aarch64__", "riscv": "__riscv", "s390": "__s390x__",
          "ppc": "__powerpc64__", "loongarch": "__loongarch__"}


def native_rows(arch):
    """(since, struct, field, offset, bytes) of every row that holds in the newest headers."""
    base = 48 if arch == "s390" else 32
    named = [("kvm_run", ".".join(filter(None, (r["member"], r["field"]))), base, r)
             for r in rows("fields.csv")]
    named += [("kvm_run", r["field"], 0, r) for r in rows("header.csv")]
    named += [(r["struct"], r["field"], 0, r) for r in rows("structs.csv") if not r["variant"]]
    for struct, field, offset, row in named:
        mine = {a for word in row["arch"].split() for a in GROUPS.get(word, (word,))}
        if arch in mine and not row["until"] and "[" not in field and ":" not in row["type"]:
            yield row["since"], struct, field, offset + int(row["offset"]), row["size"]


def generate_native():
    yield HEADING
    yield "// clang-format off"
    for arch, macro in NATIVE.items():
        yield f"#if defined({macro})"
        for since, struct, field, offset, size in native_rows(arch):
            line = f"KVMTAPE_NATIVE_ROW({struct}, {field}, {offset}, {size})"
            if release(since) == "0":
                yield line
                continue
            major, minor = since.split(".")
            yield f"#if LINUX_VERSION_CODE >= KERNEL_VERSION({major}, {minor}, 0)"
            yield line
            yield "#endif"
        yield f"#endif  // {macro}"
    yield ""


def generate_native_ioctls():
    yield HEADING
    yield "// clang-format off"
    for arch, macro in NATIVE.items():
        yield f"#if defined({macro})"
        for row in rows("ioctls.csv"):
            if arch in {a for word in row["arch"].split() for a in GROUPS.get(word, (word,))}:
                yield f"#if defined({row['name']})"
                yield f"KVMTAPE_NATIVE_IOCTL({row['name']}, {row['number']})"
                yield "#endif"
        yield f"#endif  // {macro}"
    yield ""


def main():
    outputs = {"tables.inc": generate_tables(), "native_rows.inc": generate_native(),
               "native_ioctls.inc": generate_native_ioctls()}
    for name, lines in outputs.items():
        text = "\n".join(lines)
        if "--check" not in sys.argv:
            (HERE / name).write_text(text)
        elif (HERE / name).read_text() != text:
            sys.exit(f"{name} is stale: run schema/abi/generate.py")


if __name__ == "__main__":
    main()
