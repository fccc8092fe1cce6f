"""The kernel's own KVM selftests under `kvmtape record`: each ends and says the same as without, and
every exit that it saw is decoded. They use KVM in ways that no monitor does, and many of them fail on a
KVM that emulates: that they fail alike is the point. With KVMTAPE_FULL, from the sources that
`./dev test --full` unpacks. kvm_selftests.py BUILD-DIRECTORY"""
import json
import os
import pathlib
import re
import subprocess
import sys

TESTS = ("debug_regs emulator_error_test kvm_pv_test platform_info_test set_sregs_test sync_regs_test "
         "triple_fault_event_test userspace_io_test userspace_msr_exit_test").split()
# What tools/testing/selftests/kvm/Makefile of 6.1 compiles and how; headers are the system's.
LIBRARY = ("assert.c elf.c guest_modes.c io.c kvm_util.c perf_test_util.c rbtree.c sparsebit.c "
           "string_override.c test_util.c x86_64/apic.c x86_64/handlers.S x86_64/perf_test_util.c x86_64/processor.c "
           "x86_64/svm.c x86_64/ucall.c x86_64/vmx.c").split()
FLAGS = ("-O2 -std=gnu99 -w -U_FORTIFY_SOURCE -D_GNU_SOURCE -fno-stack-protector -fno-PIE -I../../../include "
         "-I../../../arch/x86/include -Iinclude -Iinclude/x86_64 -I.. -I../rseq").split()
NEEDED = ["tools/lib/rbtree.c", "tools/include", "tools/arch/x86/include",
          "tools/testing/selftests/kvm", "tools/testing/selftests/kselftest.h"]
SECONDS = 120


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def unpacked_sources(build):
    """The folder of the selftests, unpacked once for all."""
    archives = sorted((build / "linux-source-packages/usr/src").glob("linux-source-*.tar.xz"))
    if not archives:
        skip("Debian's package linux-source is not unpacked; ./dev test --full does it")
    top = archives[-1].name.removesuffix(".tar.xz")
    folder = build / "kvm-selftests"
    done = folder / ".unpacked"
    if not done.exists():
        folder.mkdir(exist_ok=True)
        subprocess.run(["tar", "-xJf", archives[-1], "-C", folder, *(f"{top}/{name}" for name in NEEDED)],
                       check=True)
        done.touch()
    return folder / top / "tools/testing/selftests/kvm"


def build_tests(sources):
    def compile_to(target, *arguments):
        subprocess.run(["gcc", *FLAGS, *arguments, "-o", target], cwd=sources, check=True)

    objects = []
    for name in LIBRARY:
        objects.append(name.replace("/", "_") + ".o")
        own = ["-ffreestanding"] if name == "string_override.c" else []  # or it would call itself
        compile_to(objects[-1], *own, "-c", f"lib/{name}")
    for name in TESTS:
        compile_to(name, "-no-pie", f"x86_64/{name}.c", *objects, "-pthread", "-ldl")


def run(command):
    """Status and output, less what differs from run to run: process numbers, addresses, times."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS, text=True, errors="replace")
    return done.returncode, re.sub(r"0x[0-9a-f]+|\b\d{3,}\b", "N", done.stdout)


def undecoded(tool, trace):
    """The exits of a recording that the reader has no name for."""
    dump = subprocess.run([tool, "dump", "--json", trace], capture_output=True, text=True, check=True)
    exits = [item for item in map(json.loads, dump.stdout.splitlines()) if item.get("ret") == 0]
    return [item for item in exits if re.fullmatch(r"KVM_EXIT_\d+", item["name"])]


def problems_of(name, tool, sources):
    trace = sources / f"{name}.kvmtape"
    plain = run([sources / name])
    recorded = run([tool, "record", "-q", "--force", "-o", trace, "--", sources / name])
    if plain != recorded:
        yield f"without: {plain}\nrecorded: {recorded}"
    if trace.exists():
        yield from undecoded(tool, trace)
    else:
        yield "there is no recording"


def main(build):
    if "KVMTAPE_FULL" not in os.environ:
        skip("unpacks and compiles for minutes; set KVMTAPE_FULL")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("/dev/kvm cannot be opened")
    sources = unpacked_sources(build)
    build_tests(sources)
    failed = False
    for name in TESTS:
        for problem in problems_of(name, build / "kvmtape", sources):
            print(f"{name}: {problem}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
