"""The kernel's own KVM selftests for arm64 in a kernel of the lab: under `kvmtape record` each passes and says
the same as without, exits are recorded, and each of them is decoded. From the newest sources that Debian has, on the
newest kernel. With KVMTAPE_FULL. selftests.py BUILD-DIRECTORY"""
import json
import os
import pathlib
import re
import subprocess
import sys

import kernels
import lab
import machine
from debian import Lacking, Suite

KERNEL = "sid-n1"
# Each with its arguments: single steps by the ten thousand would take minutes.
TESTS = {"debug-exceptions": "-i 20", "external_aborts": "", "hypercalls": "", "mmio_sign_ext": "", "no-vgic": "",
         "psci_test": "", "set_id_regs": "", "smccc_filter": ""}
SECONDS_MAX = 1500  # of all; one that hangs, plain and recorded, takes 560
CROSS = "aarch64-linux-gnu-"
NEEDED = ("Makefile Kbuild arch/*/Makefile arch/arm64/include/* arch/arm64/tools/* include/* scripts/* tools/* "
          "usr/*").split()


def unpacked_sources(folder):
    """The kernel's sources, as far as the tests need them, unpacked once for all."""
    suite = Suite("sid", "arm64", folder / "suites/sid")
    suite.update()
    package, _ = suite.unpacked(suite.newest(re.compile(r"linux-source-(\d+\.\d+)")))
    archive, = package.glob("usr/src/linux-source-*.tar.xz")
    top = folder / archive.name.removesuffix(".tar.xz")
    done = top / ".unpacked"
    if not done.exists():
        subprocess.run(["tar", "-xJf", archive, "-C", folder, "--wildcards",
                        *(f"{top.name}/{name}" for name in NEEDED)], check=True)
        done.touch()
    return top


def built(sources):
    """name -> path of each test."""
    out = sources / "kvm-selftests"
    for_arm64 = ["-s", "-j2", "ARCH=arm64", f"CROSS_COMPILE={CROSS}"]
    subprocess.run(["make", *for_arm64, "headers"], cwd=sources, check=True)
    programs = {name: out / "arm64" / name for name in TESTS}
    subprocess.run(["make", *for_arm64, f"OUTPUT={out}", f"KHDR_INCLUDES=-isystem {sources / 'usr/include'}",
                    "EXTRA_CFLAGS=-w", *programs.values()],
                   cwd=sources / "tools/testing/selftests/kvm", check=True)
    return programs


def c_library():
    """What a program that is not linked statically needs to start, name in the initramfs -> path."""
    names = {"lib/ld-linux-aarch64.so.1": "ld-linux-aarch64.so.1", "lib/libc.so.6": "libc.so.6"}
    return {place: pathlib.Path(subprocess.run([f"{CROSS}gcc", f"-print-file-name={name}"], check=True, text=True,
                                               capture_output=True).stdout.strip())
            for place, name in names.items()}


def said(log):
    """Less what differs from run to run: process numbers, addresses, times."""
    return re.sub(r"0x[0-9a-f]+|\b\d{3,}\b", "N", log.decode(errors="replace"))


def exits_of(tool, trace):
    """The exits of a recording, decoded, but for what KVM_RUN refused."""
    dump = subprocess.run([tool, "dump", "--json", trace], capture_output=True, text=True, check=True)
    return [item for item in map(json.loads, dump.stdout.splitlines()) if item.get("ret") == 0]


def problems_of(tool, name, plain, recorded, trace):
    """Of one test: (status, what it said) without a recorder and with one, and the recording."""
    for how, (status, log) in ("alone", plain), ("recorded", recorded):
        if status != b"0":  # 4 is a test's word for skipped: none of these has a reason to on KERNEL
            yield f"{name}, {how}, ended with status {status.decode()}: {log}"
    if plain != recorded:
        yield f"{name}: without: {plain}\nrecorded: {recorded}"
    exits = exits_of(tool, trace)
    if not exits:
        yield f"{name}: no exit was recorded"
    for item in exits:
        if re.fullmatch(r"KVM_EXIT_\d+", item["name"]):
            yield f"{name}: an exit without a name: {item}"


def problems(build):
    tools = build / "aarch64"
    own = {name: lab.existing(tools / name, "./dev lab") for name in ("kvmtape", "libkvmtape_preload.so")}
    init = lab.existing(tools / "lab_init", "./dev lab")
    tool = lab.existing(build / "kvmtape", "./dev build")
    kernel = kernels.kernel_called(KERNEL)
    image, package, _ = lab.image_of(kernel, build / "lab")
    tests = built(unpacked_sources(build / "lab"))
    commands = [line for name, arguments in TESTS.items()
                for line in (f"/{name} {arguments}", f"/kvmtape record -q -o {name} -- /{name} {arguments}")]
    archive = machine.initramfs(init, own | c_library() | tests, commands)
    files, _ = machine.boot(image, archive, kernel.cpu, kernel.append, SECONDS_MAX)
    statuses = files["status"].split()
    for number, name in enumerate(TESTS):
        plain, recorded = ((statuses[i], said(files[f"{i}.log"])) for i in (2 * number, 2 * number + 1))
        print(f"{package}: {name}: status {plain[0].decode()}, recorded {recorded[0].decode()}")
        if name not in files:
            yield f"{name}: there is no recording"
            continue
        trace = build / "lab" / f"selftest-{name}.kvmtape"
        trace.write_bytes(files[name])
        yield from problems_of(tool, name, plain, recorded, trace)


def main(build):
    if "KVMTAPE_FULL" not in os.environ:
        print("skipped: unpacks and compiles for minutes; set KVMTAPE_FULL")
        return 77
    try:
        found = list(problems(build))
    except Lacking as lacking:
        print(f"skipped: the lab lacks {lacking}")
        return 77
    for problem in found:
        print(problem)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
