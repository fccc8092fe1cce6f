"""One boot of an arm64 kernel with EL2, emulated by QEMU: it runs commands, and what they wrote comes back
on a disk. NVMe is built into every Debian kernel from 5.10 on, where virtio's disk is a module."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import cpio
from debian import Lacking

QEMU = "qemu-system-aarch64"
DISK_BYTES = 64 << 20  # sparse
CONSOLE_TAIL = 1500


class DidNotEnd(Exception):
    """The machine did not come to its end; the text is why, and its console."""


def initramfs(init, programs, commands):
    """init runs `commands`, one a line, and stands beside `programs`, name -> path."""
    files = [cpio.folder("dev"), cpio.folder("lib"), cpio.character_device("dev/console", 5, 1),
             cpio.program("init", init.read_bytes()),
             cpio.program("commands", "".join(line + "\n" for line in commands).encode())]
    files += [cpio.program(name, path.read_bytes()) for name, path in programs.items()]
    return cpio.pack(files)


def qemu_command(image, archive, disk, cpu, append):
    return [QEMU, "-machine", "virt,virtualization=on,gic-version=3", "-cpu", cpu, "-accel", "tcg", "-smp", "1",
            "-m", "512", "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio",
            "-kernel", image, "-initrd", archive, "-drive", f"if=none,id=out,format=raw,file={disk}",
            "-device", "nvme,drive=out,serial=lab",
            "-append", f"console=ttyAMA0 loglevel=5 panic=-1 nokaslr {append}".rstrip()]


def boot(image, archive, cpu, append, seconds):
    """What the commands left, name -> bytes, and the console's text."""
    if not shutil.which(QEMU):
        raise Lacking(f"{QEMU} (Debian's package qemu-system-arm)")
    with tempfile.TemporaryDirectory(prefix="kvmtape-lab-") as folder:
        disk, packed = pathlib.Path(folder, "disk"), pathlib.Path(folder, "initramfs")
        packed.write_bytes(archive)
        disk.touch()
        os.truncate(disk, DISK_BYTES)
        try:
            console = subprocess.run(qemu_command(image, packed, disk, cpu, append), timeout=seconds,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT).stdout
        except subprocess.TimeoutExpired as late:
            tail = (late.stdout or b"")[-CONSOLE_TAIL:].decode(errors="replace")
            raise DidNotEnd(f"it runs on after {seconds} seconds; its console:\n{tail}") from None
        console = console.decode(errors="replace")
        files = cpio.unpack(disk.read_bytes())
    if files is None:
        raise DidNotEnd(f"its init left nothing; its console:\n{console[-CONSOLE_TAIL:]}")
    return files, console
