"""cpio archives of the kind "newc", which Linux unpacks at boot and the lab's init writes
(Documentation/driver-api/early-userspace/buffer-format.rst)."""
import dataclasses
import stat

HEADER_BYTES = 110
END = "TRAILER!!!"


@dataclasses.dataclass(frozen=True)
class Entry:
    name: str
    mode: int
    data: bytes = b""
    device: tuple = (0, 0)


def folder(name):
    return Entry(name, stat.S_IFDIR | 0o755)


def program(name, data):
    return Entry(name, stat.S_IFREG | 0o755, data)


def character_device(name, major, minor):
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def _padded(data):
    return data + bytes(-len(data) % 4)


def pack(entries):
    archive = b""
    for number, entry in enumerate([*entries, Entry(END, 0)], 1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        archive += _padded(header + name) + _padded(entry.data)
    return archive


def unpack(archive):
    """The files of an archive by name; None if it does not come to an end."""
    files, at = {}, 0
    while archive[at:at + 6] == b"070701":
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        size, name_bytes = fields[6], fields[11]
        name = archive[at + HEADER_BYTES:at + HEADER_BYTES + name_bytes - 1].decode()
        if name == END:
            return files
        at += HEADER_BYTES + name_bytes
        at += -at % 4
        files[name] = archive[at:at + size]
        at += size
        at += -at % 4
    return None
