#!/usr/bin/env python3
"""Boots real kernels under emulation and records `kvmtape probe` on each.

    lab.py [--build DIR] [--list] [--poison] [--golden] [NAME...]

A NAME is one of --list, or a series of them (6.1); without, all. Each leaves DIR/lab/NAME.kvmtape, verified
and the same as when the guests run once more, and DIR/lab/NAME.txt, what probe and machine said. Exit status:
0, all is well; 1, something is wrong; 2, no such name; 77, something is lacking for each. What is lacking for
some, a line says, and the others decide.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

import golden
import kernels
import machine
from debian import Lacking, Suite

SECONDS_MAX = 600  # of one boot; five to ten with nothing else to do, so that this is for what hangs
GUEST_SECONDS = 60  # of one guest of the probe: no guest of the lab needs it to end, but for a machine held up
FOR_A_TEST = ["6.12-n1"]


class Wrong(Exception):
    """What is wrong with a run."""


def existing(path, how):
    if not path.exists():
        raise Lacking(f"{path}, which {how} builds")
    return path


def image_of(kernel, folder):
    """The path of the kernel's image, its package, and the package's version."""
    suite = Suite(kernel.suite, "arm64", folder / "suites" / kernel.suite)
    suite.update()
    package = suite.newest(kernel.package)
    unpacked, version = suite.unpacked(package)
    image, = [path for path in unpacked.glob("**/vmlinuz*") if path.is_file()]
    return image, package, version


def must_be_content(tool, *command):
    done = subprocess.run([tool, *command], capture_output=True, text=True)
    if done.returncode:
        raise Wrong(f"kvmtape {command[0]}:\n{done.stdout}{done.stderr}")


def record(kernel, build, poison, golden_too):
    """Records one kernel's probe; says in one line what came of it."""
    lab = build / "lab"
    tool = existing(build / "kvmtape", "./dev build")
    static = existing(build / "aarch64/kvmtape", "./dev lab")
    init = existing(build / "aarch64/lab_init", "./dev lab")
    image, package, version = image_of(kernel, lab)
    probe = f"/kvmtape probe --guest-seconds {GUEST_SECONDS}" + " --poison" * poison
    archive = machine.initramfs(init, {"kvmtape": static}, [f"{probe} -o once", f"{probe} -o again"])
    files, console = machine.boot(image, archive, kernel.cpu, kernel.append, SECONDS_MAX)
    said = files["0.log"].decode(errors="replace")
    (lab / f"{kernel.name}.txt").write_text(f"{package} {version}\n{said}\n{console}")
    if files["status"] != b"0\n0\n":
        raise Wrong(f"the probes ended with status {files['status'].decode().split()}:\n{said}")
    once, again = lab / f"{kernel.name}.kvmtape", lab / f"{kernel.name}.again.kvmtape"
    once.write_bytes(files["once"])
    again.write_bytes(files["again"])
    for recording in (once, again):
        must_be_content(tool, "verify", recording)
    must_be_content(tool, "diff", once, again)
    again.unlink()
    if golden_too:
        golden.keep(once, package, version, kernel.cpu)
    return f"{package} {version}: {said.strip().splitlines()[-1]}"


def default_names(options):
    if options.golden:
        return golden.NAMES
    return FOR_A_TEST if options.test and "KVMTAPE_FULL" not in os.environ else []


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--test", action="store_true",
                        help="one kernel, with KVMTAPE_FULL in the environment all")
    parser.add_argument("--golden", action="store_true", help="into traces/, of one machine for each kernel")
    parser.add_argument("--poison", action="store_true", help="as for kvmtape probe")
    options = parser.parse_args(arguments)
    try:
        names = kernels.chosen(options.names or default_names(options))
    except ValueError as unknown:
        parser.error(str(unknown))
    if options.list:
        print("\n".join(names))
        return 0
    statuses = set()
    for name in names:
        began = time.monotonic()
        try:
            line = record(kernels.kernel_called(name), options.build.resolve(), options.poison, options.golden)
            statuses.add(0)
        except Lacking as lacking:
            print(f"skipped: {name}: the lab lacks {lacking}", flush=True)
            continue
        except (Wrong, machine.DidNotEnd) as problem:
            line = problem
            statuses.add(1)
        print(f"{name}: {line} ({time.monotonic() - began:.1f} s)", flush=True)
    status = max(statuses, default=77)  # what was skipped takes nothing from what the others showed
    if options.golden and status == 0:
        golden.write_expectations()
    return status


if __name__ == "__main__":
    sys.exit(main())
