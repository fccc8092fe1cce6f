#!/usr/bin/env python3
"""Turns kernel_changes.csv into kernel_changes.inc, the rows behind kernel_changes.h, and into
docs/kernel-changes.md for people. Numbers of exits and registers come from schema/abi.

Running it again changes nothing; `kernel_changes.py --check` exits 1 when a file is not what it
would write.
"""
import csv
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ABI = HERE.parent / "schema" / "abi"
BITS = {"x86_64": 1, "i386": 2, "arm64": 3, "riscv": 4, "s390": 5, "ppc": 6, "loongarch": 7, "mips": 8}
GROUPS = {"x86": ("x86_64", "i386"), "all": tuple(BITS)}


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mask(arch):
    return hex(sum(1 << BITS[name] for name in GROUPS.get(arch, (arch,))))


def release(text):
    return "abi::release({}, {})".format(*text.split(".")) if text else "0"


SIDES = {"+": "kThoseThatDo", "-": "kThoseThatDoNot"}


def condition(text):
    """'system_event.data[0]=1' or 'esr.ec=0x32' as a ChangeCondition."""
    name, element, value = re.fullmatch(r"([\w.]+)(?:\[(\d+)\])?=(\w+)", text.strip()).groups()
    return f"{{{quoted(name)}, {element or -1}, {int(value, 0):#x}}}"


def place(text, reasons, registers, conditions):
    """A ChangePlace of 'KVM_EXIT_DEBUG debug.arch.far', '* flags' or 'register OSLSR_EL1', of
    'registers kvm_vcpu_events', that these can be had, or of
    '+KVM_EXIT_SYSTEM_EVENT when system_event.type=2 & system_event.data[0]=1': an exit that only
    kernels which behave so have (-: which do not), and that must be like this. 'sign-extended': the
    two values differ in nothing else."""
    text, _, when = text.partition(" when ")
    side = text.strip()[0]
    words = text.strip().lstrip("+-").split()
    if words[0] == "register":
        return f"{{.register_id = {registers[words[1]]}}}"
    if words[0] == "registers":
        return f"{{.register_set = {quoted(words[1])}}}"
    reason = "ChangePlace::kAnyExit" if words[0] == "*" else str(reasons[words[0]])
    members = [f".exit_reason = {reason}", f".field = {quoted(words[1] if len(words) > 1 else '')}"]
    if side in SIDES:
        members.append(f".on = ChangePlace::On::{SIDES[side]}")
    if when == "sign-extended":
        members.append(".sign_extended = true")
    elif when:
        found = [condition(part) for part in when.split("&")]
        members.append(f".conditions = std::span(kConditions).subspan({len(conditions)}, {len(found)})")
        conditions += found
    return "{" + ", ".join(members) + "}"


def places_in(text, reasons, registers, conditions):
    """Those of one entry of `shows`. 'guest': none, whatever a guest does may come of it. 'guest os_lock when
    mmio.phys_addr=0xd0000010': that guest of `kvmtape probe` writes there what it sees; '+guest ...': there it
    writes only on kernels which behave so (-: which do not)."""
    name, _, when = text.partition(" when ")
    side, words = name[0] if name[0] in SIDES else "", name.lstrip("+-").split()
    if words == ["guest"]:
        return []
    if words[0] != "guest":
        return [place(text, reasons, registers, conditions)]
    if not when:
        raise SystemExit(f"'{text}': say where that shows, ' when mmio.phys_addr=...'")
    field = "" if side else " mmio.data"
    entry = f"{side}KVM_EXIT_MMIO{field} when {when} & mmio.is_write=1"
    return [place(entry, reasons, registers, conditions)[:-1] + f", .guest = {quoted(words[1])}}}"]


def tables(changes):
    reasons = {row["name"]: int(row["number"]) for row in rows_of(ABI / "exits.csv")}
    registers = {re.sub(r"\(.*", "", row["name"]): row["id"] for row in rows_of(ABI / "one_regs.csv")}
    conditions, places, backports, lines = [], [], [], []
    for change in changes:
        texts = [text.strip() for text in change["shows"].split(";")]
        shown = [one for text in texts for one in places_in(text, reasons, registers, conditions)]
        stable = ["{" + ", ".join(text.split(".")) + "}" for text in change["backports"].split()]
        said = [change[key] for key in ("id", "shows", "what", "commit", "source", "doubt")]
        lines.append(
            "    {" + ", ".join(quoted(text) for text in said) + f", {mask(change['arch'])}, "
            f"{release(change['since'])}, {release(change['until'])}, {change['capability'] or 0}, "
            f"{str('guest' in texts).lower()}, "
            f"{len(places)}, {len(shown)}, {len(backports)}, {len(stable)}}},")
        places += shown
        backports += stable
    return "\n".join([
        "// Written by kernel_changes.py from kernel_changes.csv; change that and run it again.",
        "constexpr ChangeCondition kConditions[] = {", *(f"    {text}," for text in conditions), "};",
        "constexpr ChangePlace kPlaces[] = {", *(f"    {text}," for text in places), "};",
        "constexpr StableRelease kBackports[] = {", *(f"    {text}," for text in backports), "};",
        "constexpr KernelChange kChanges[] = {", *lines, "};", ""])


def span(change):
    first = change["since"] or "always"
    text = f"{first} to {change['until']}" if change["until"] else f"since {first}"
    if change["backports"]:
        text += ", and " + ", ".join(change["backports"].split())
    return text


def document(changes):
    lines = [
        "# What changed in KVM from kernel to kernel", "",
        "Written by `analysis/kernel_changes.py` from `analysis/kernel_changes.csv`; change that and run it",
        "again. A difference between two recordings whose kernels lie on either side of such a change is",
        "explained by it. Where a capability is named and a recording holds the answer to it, that decides",
        "before the kernel's number, since distributions backport. Of a kernel of the `.elN` kind, which takes",
        "over parts of later ones, it is then not known. An exit with a + is one that only kernels",
        "which behave so have, with a - only the others; `when` says what else holds. `guest NAME` is the guest of",
        "`kvmtape probe` that writes there what it sees; with + or -, that writes there at all.", ""]
    for title, archs in (("arm64", ("arm64",)), ("x86", ("x86",)), ("All architectures", ("all",))):
        lines += [f"## {title}", ""]
        for change in changes:
            if change["arch"] not in archs:
                continue
            lines += [f"### {change['id']}", "", change["what"] + ".", "",
                      f"- Kernels: {span(change)}"]
            if change["capability"]:
                lines.append(f"- Capability: {change['capability']}")
            lines.append("- Shows in: " + ", ".join(
                f"`{text.strip()}`" if text.strip() != "guest" else "what the guest sees"
                for text in change["shows"].split(";")))
            if change["commit"]:
                lines.append(f"- Commit: {change['commit']}")
            lines.append(f"- Known from: {change['source']}")
            if change["doubt"]:
                lines.append(f"- **Not confirmed**: {change['doubt']}")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main():
    changes = rows_of(HERE / "kernel_changes.csv")
    wanted = {HERE / "kernel_changes.inc": tables(changes),
              HERE.parent / "docs" / "kernel-changes.md": document(changes)}
    stale = [path for path, text in wanted.items()
             if not path.exists() or path.read_text(encoding="utf-8") != text]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path}: run analysis/kernel_changes.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
