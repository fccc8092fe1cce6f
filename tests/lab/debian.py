"""Debian packages of any suite, for another architecture, without installing them or touching apt's own
lists: downloaded from the mirror that apt is configured with, verified by Debian's keyring."""
import pathlib
import re
import subprocess
import time

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DAY = 24 * 60 * 60


class Lacking(Exception):
    """What the lab needs and this machine does not have; the text says what."""


def mirror_of(suite):
    """Where apt gets Debian from."""
    label = "Debian-Security" if suite.endswith("-security") else "Debian"
    try:
        known = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"],
                               capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Lacking("apt-get, which knows a mirror of Debian") from None
    for line in known.splitlines():
        if line.startswith(f"Debian|{label}|"):
            return line.rsplit("|", 1)[1]
    raise Lacking(f"a mirror of {label} that apt is configured with (after apt-get update)")


class Suite:
    """One suite's packages for one architecture; what it keeps lies in `folder`."""

    def __init__(self, name, architecture, folder):
        self.name, self.folder = name, pathlib.Path(folder)
        self.options = []
        for option in (f"Dir::State::Lists={self.folder}/lists", f"Dir::Cache={self.folder}/cache",
                       f"Dir::Etc::SourceList={self.folder}/sources.list", "Dir::Etc::SourceParts=/dev/null",
                       f"APT::Architecture={architecture}", f"APT::Architectures::={architecture}",
                       "Acquire::Languages=none", "Acquire::Retries=1", "APT::Sandbox::User="):
            self.options += ["-o", option]

    def _apt(self, tool, *arguments):
        done = subprocess.run([tool, "-q", *self.options, *arguments], cwd=self.folder, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Lacking(f"packages of Debian {self.name}: {tool} {arguments[0]} fails "
                          f"({(done.stderr.strip() or 'it does not say why').splitlines()[-1]})")
        return done.stdout

    def update(self):
        """Downloads the list of packages, at most once a day. Without network yesterday's does."""
        updated = self.folder / "updated"
        if updated.exists() and time.time() - updated.stat().st_mtime < DAY:
            return
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {mirror_of(self.name)} {self.name} main\n")
        try:
            self._apt("apt-get", "update", "--error-on=any")
            updated.touch()
        except Lacking:
            if not updated.exists():
                raise

    def newest(self, pattern):
        """The newest package whose name matches; what numbers its first group holds are its version."""
        found = [match for match in map(pattern.fullmatch, self._apt("apt-cache", "pkgnames").splitlines())
                 if match]
        if not found:
            raise Lacking(f"a package in Debian {self.name} called {pattern.pattern}")
        # linux-binary-* before linux-image-* of the same version.
        return max(found, key=lambda match: ([int(number) for number in re.findall(r"\d+", match[1])],
                                             "binary" in match[0]))[0]

    def unpacked(self, package):
        """The folder that a package was unpacked into, and its version."""
        folder = self.folder / package
        version = folder / ".version"
        if not version.exists():
            self._apt("apt-get", "download", package)
            archive, = self.folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
            version.write_text(subprocess.run(["dpkg-deb", "-f", archive, "Version"], check=True,
                                              capture_output=True, text=True).stdout.strip())
            archive.unlink()
        return folder, version.read_text()
