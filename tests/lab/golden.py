"""The lab's recordings as golden ones: traces/probe-aarch64-SERIES.kvmtape, and where each is from as a row
of traces/README.md. What the reader says of them is tests/conformance/regenerate.sh's."""
import functools
import pathlib
import re
import shutil
import subprocess

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ["5.10-n1", "6.1-n1", "6.12-n1", "6.18-n1", "sid-n1"]


def first_line_of(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[0]


@functools.cache
def commit():
    """Asked once, before the first recording is put among the others: that alone makes no tree dirty."""
    return first_line_of("git", "describe", "--always", "--dirty", "--exclude", "*")


def series_of(package):
    """linux-image-6.1.0-56-cloud-arm64 -> 6.1"""
    return re.search(r"-(\d+\.\d+)", package)[1]


def row(name, package, version, cpu):
    qemu = re.search(r"version ([\d.]+)", first_line_of(machine.QEMU, "--version"))[1]
    return (f"| {name} | Debian {package} {version} | QEMU {qemu} TCG, virt, virtualization=on, {cpu} | "
            f"`kvmtape probe` of {commit()}, by `./dev lab --golden` |")


def with_row(table, row_text):
    """The table with a row in place of the one of the same name, or behind all others."""
    lines = table.splitlines()
    name = row_text.split("|")[1]
    rows = [i for i, line in enumerate(lines) if line.startswith("|")]
    same = [i for i in rows if lines[i].split("|")[1] == name]
    if same:
        lines[same[0]] = row_text
    else:
        lines.insert(rows[-1] + 1, row_text)
    return "\n".join(lines) + "\n"


def keep(recording, package, version, cpu):
    name = f"probe-aarch64-{series_of(package)}"
    readme = ROOT / "traces/README.md"
    readme.write_text(with_row(readme.read_text(), row(name, package, version, cpu)))
    shutil.copyfile(recording, ROOT / "traces" / f"{name}.kvmtape")


def write_expectations():
    subprocess.run([ROOT / "tests/conformance/regenerate.sh"], check=True)
