#!/usr/bin/env python3
"""Turns the CSV files beside it into tables.inc, the rows behind registry.h.

Running it again changes nothing: rows come out in the order of the CSV files, and nothing of the
machine or the day goes in. `generate.py --check` exits 1 when tables.inc is not what it would write.
"""
import csv
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = HERE / "tables.inc"

# A bit per value of enum class Architecture (schema/trace_format.h).
BITS = {"x86_64": 1, "i386": 2, "arm64": 3, "riscv": 4, "s390": 5, "ppc": 6, "loongarch": 7, "mips": 8}
GROUPS = {"x86": ("x86_64", "i386"), "all": tuple(BITS)}
SIZES = {"__u8": 1, "__u16": 2, "__u32": 4, "__u64": 8, "__u128": 16, "ulong": 8, "ptr": 8}
# Fields that exist to fill a hole: compared with the headers, never shown.
PADDING = re.compile(r"(^|\.)(pad\d?|padding\d?|reserved\d?|__reserved|sdnx)$")


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


def generate():
    yield "// Written by generate.py from the CSV files beside it; change those and run it again."
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


def main():
    text = "\n".join(generate())
    if "--check" in sys.argv:
        sys.exit(0 if OUTPUT.read_text() == text else "tables.inc is stale: run schema/abi/generate.py")
    OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
