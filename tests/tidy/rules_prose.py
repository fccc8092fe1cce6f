"""Rules on words: comments that must be there, names that must not."""
import os.path
import pathlib
import re

from sources import SOURCE_SUFFIXES, Finding, code_of, line_of, words_of

PRODUCT = ("recorder", "replayer", "schema", "analysis", "cli")


def schema_fields_have_prose(tree):
    """Each field of trace.capnp is followed by a comment, or is of an alias type that is."""
    for path in tree.under("schema", ".capnp"):
        lines = tree[path].splitlines()
        follows = lambda n: n < len(lines) and lines[n].strip().startswith("#")
        commented = {m.group(1) for n, line in enumerate(lines, 1)
                     if (m := re.match(r"\s*using (\w+) =", line)) and follows(n)}
        for number, line in enumerate(lines, 1):
            field = re.match(r"\s*(\w+) @\d+ :([\w.()]+)", line)
            if field and not follows(number) and field.group(2) not in commented:
                yield Finding(path, number, f"{field.group(1)} has neither a comment nor a commented alias")


def work_is_finished(tree):
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    for path, text in sorted(tree.items()):
        for found in marks.finditer(text):
            yield Finding(path, line_of(text, found.start()), f"{found.group(1)}: finish it, or open an issue")


# One return of KVM_RUN is an exit, what stands for it in the ring a record. KVM and its hardware have
# events of their own, and zstd its frames; hence only what is joined with a word of ours is denied.
_SYNONYMS = {"event", "events", "packet", "packets", "frame", "frames"}
_OURS = {"exit", "exits", "record", "records", "trace", "capture", "ring", "gap", "chunk", "reader", "writer"}
_KERNELS = re.compile(r"system_?event|vcpu_?events", re.IGNORECASE)
_NOBODYS = {"packet", "packets"}


def an_exit_is_called_an_exit(tree):
    for path in [p for folder in PRODUCT for p in tree.under(folder, *SOURCE_SUFFIXES)]:
        if "/export/" in path:  # other tools' formats bring other tools' words
            continue
        code = code_of(tree[path])
        for found in re.finditer(r"\b[A-Za-z_]\w*\b", code):
            words = set(words_of(_KERNELS.sub("", found.group(0))))
            denied = words & (_SYNONYMS if words & _OURS else _NOBODYS)
            if denied and not found.group(0).isupper():  # a macro is someone else's
                yield Finding(path, line_of(code, found.start()),
                              f"{found.group(0)}: the glossary has no {denied.pop()}; say exit or record")


def memory_orders_name_their_partner(tree):
    """A comment on the line, or on the few lines above it: `pairs with ...`, or why relaxed will do."""
    for folder in ("recorder/capture", "recorder/ring"):
        for path in tree.under(folder, *SOURCE_SUFFIXES):
            lines = tree[path].splitlines()
            code = code_of(tree[path]).splitlines()
            for number, line in enumerate(code, 1):
                for order in re.findall(r"memory_order(?:_|::)(\w+)", line):
                    near = " ".join(text.partition("//")[2] for text in lines[max(0, number - 5):number])
                    wanted = r"pairs? with|relaxed" if order == "relaxed" else r"pairs? with"
                    if not re.search(wanted, near):
                        yield Finding(path, number, f"memory_order_{order} names no partner")


def shared_members_are_grouped(tree):
    """A class with an atomic, a mutex or a thread says above its members who touches them."""
    heading = re.compile(r"//.*\b(immutable|producer|consumer|guarded by|written by|only|thread)\b", re.IGNORECASE)
    for path in [p for folder in PRODUCT for p in tree.under(folder, ".h", ".cc")]:
        text, code = tree[path], code_of(tree[path])
        for found in re.finditer(r"^(?:class|struct) (?:alignas\([^)]*\) )?(\w+)[^;{]*\{(.*?)^\};", code,
                                 re.MULTILINE | re.DOTALL):
            first, last = line_of(code, found.start()), line_of(code, found.end())
            shared = re.search(r"^\s+(?:alignas\([^)]*\) )?(?:mutable )?std::(?:atomic\w*\b|mutex|shared_mutex|"
                               r"j?thread|condition_variable)[^();]*;", found.group(2), re.MULTILINE)
            body = "\n".join(text.splitlines()[max(0, first - 12):last])
            if shared and not heading.search(body):
                yield Finding(path, first, f"{found.group(1)}: who touches which member?")


def constants_are_explained(tree):
    """A constant of the hot path, the drain or the format carries its derivation or measurement: on
    its line, or above the block of constants that it stands in."""
    paths = [*tree.under("recorder/capture", ".h", ".cc"), *tree.under("recorder/drain", ".h", ".cc"),
             *[p for p in ("schema/trace_format.h",) if p in tree]]
    for path in paths:
        explained = False
        for number, line in enumerate(tree[path].splitlines(), 1):
            constant = re.match(r"(?:inline )?constexpr [\w:]+ (k[A-Z]\w*)", line)
            explained = line.lstrip().startswith("//") or (explained and line.strip() != "") or (
                bool(constant) and "//" in line)
            if constant and not explained:
                yield Finding(path, number, f"{constant.group(1)}: why this value?")


_HOSTS_ALLOWED = ("kernel.org", "perfetto.dev", "w3.org", "json-schema.org", "diamon.org")


def nothing_names_another_machine(tree):
    """The project stands alone: no path of one workplace, none that leaves the repository, no host
    but those of public documents."""
    for path, text in sorted(tree.items()):
        for number, line in enumerate(text.splitlines(), 1):
            for found in re.finditer(r"(?<![\w.$}/-])/(?:home|root|work|Users|workspace)/[\w.-]+", line):
                yield Finding(path, number, f"{found.group(0)} is a path of one machine")
            for found in re.finditer(r"(?<![\w}/.])(?:\.\./)+[\w.-]+", line):
                target = os.path.normpath(os.path.join(pathlib.PurePath(path).parent, found.group(0)))
                if target.startswith(".."):
                    yield Finding(path, number, f"{found.group(0)} leaves the repository")
            for found in re.finditer(r"\w+://([\w.-]+\.[a-z]{2,})", line):
                if not found.group(1).endswith(_HOSTS_ALLOWED):
                    yield Finding(path, number, f"{found.group(1)} is not a public document's host")
