"""The kernels of the lab by name: the Debian suite that has each, and the machine that it boots on."""
import dataclasses
import re

# The newest kernel of a series that a suite has. Between 5.10 and 6.1 Debian has none for arm64.
SUITES = {"5.10": "bullseye", "6.1": "bookworm-security", "6.12": "trixie-security", "6.18": "trixie-backports",
          "sid": "sid"}

# neoverse-n1 runs KVM's hypervisor at EL2 as the host (VHE), cortex-a72 cannot, and "nvhe" asks for it.
# 5.10 does not know that word, nor the page tables of `max` (FEAT_LPA2). With SVE guests of QEMU 7.2 ran
# an earlier guest's code, without never: thought to be glibc's memcpy, whose SVE stores QEMU does not notice.
MACHINES = {
    "n1": ("neoverse-n1", ""),
    "a72": ("cortex-a72", ""),
    "nvhe": ("neoverse-n1", "kvm-arm.mode=nvhe"),
    "max": ("max,pauth-impdef=on,lpa2=off,sve=off", ""),
}

NAMES = """5.10-n1 5.10-a72 5.10-max 6.1-n1 6.1-nvhe 6.1-max 6.12-n1 6.12-nvhe 6.12-max 6.18-n1 6.18-max
           sid-n1 sid-nvhe sid-max""".split()


@dataclasses.dataclass(frozen=True)
class Kernel:
    name: str
    suite: str
    package: re.Pattern  # what its package is called
    cpu: str
    append: str  # to the kernel's command line


def kernel_called(name):
    series, machine = name.rsplit("-", 1)
    version = r"\d+\.\d+" if series == "sid" else re.escape(series)
    # From 7 on vmlinuz stands in linux-binary-*; linux-image-* holds what is signed or depends on it.
    package = re.compile(rf"linux-(?:image|binary)-({version}\.\d+[^-]*(?:-\d+)?)-cloud-arm64")
    return Kernel(name, SUITES[series], package, *MACHINES[machine])


def chosen(words):
    """The names that were asked for, each exactly or by its series ("6.1"); all of them without."""
    unknown = [word for word in words if not any(belongs(name, word) for name in NAMES)]
    if unknown:
        raise ValueError(f"no kernel is called {unknown[0]}; there are {' '.join(NAMES)}")
    return [name for name in NAMES if not words or any(belongs(name, word) for word in words)]


def belongs(name, word):
    return word in (name, name.rsplit("-", 1)[0])
