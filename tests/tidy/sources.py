"""The project's files as text, and the few ways in which rules look at them. A Tree is a plain map
from path to text, so that a test can write one by hand."""
import dataclasses
import os
import pathlib
import re

TEXT_SUFFIXES = (".h", ".cc", ".c", ".S", ".rs", ".capnp", ".py", ".sh", ".cmake", ".txt", ".md",
                 ".json", ".in", ".inc", ".csv", ".yml")
TEXT_NAMES = ("dev", "run", ".clang-format", ".clang-tidy", ".gitignore")
SOURCE_SUFFIXES = (".h", ".cc", ".c")


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


class Tree(dict):
    def suffixed(self, *suffixes):
        return sorted(path for path in self if path.endswith(suffixes))

    def under(self, folder, *suffixes):
        return [path for path in self.suffixed(*suffixes) if path.startswith(folder + "/")]


def read_tree(root):
    """Every text file below root, but for build folders and what is hidden."""
    tree = Tree()
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names
                    if not n.startswith("build") and n != "__pycache__" and (n[0] != "." or n == ".ci")]
        for name in files:
            if name.endswith(TEXT_SUFFIXES) or name in TEXT_NAMES:
                path = pathlib.Path(folder, name)
                tree[path.relative_to(root).as_posix()] = path.read_text(errors="replace")
    return tree


_TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)


def _blanked(match):
    """The same number of lines, nothing on them; a string keeps its quotes."""
    token = match.group(0)
    if token[0] == "/":
        return "\n" * token.count("\n")
    return '""' + "\n" * token.count("\n")


def code_of(text):
    """The C or C++ text without comments and without what stands in strings; lines keep their
    numbers."""
    return _TOKENS.sub(_blanked, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def includes_of(text):
    """Yields (line, name, is_system) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            yield number, found.group(2), found.group(1) == "<"


def end_of_braces(code, position):
    """Behind the brace that closes the one just before `position`."""
    depth = 1
    while depth and position < len(code):
        depth += {"{": 1, "}": -1}.get(code[position], 0)
        position += 1
    return position


def without_attributes(code):
    return re.sub(r"(?:__attribute__\(\(.*?\)\)+|\[\[.*?\]\]) *", "", code)


_FUNCTION = re.compile(r"^(?!\s*(?:if|for|while|switch|else|do|namespace|class|struct|enum|union|return)\b)"
                       r"[^;={}#]*?\b([A-Za-z_]\w*)\s*\((?:[^;{}]|\{\})*?\{", re.MULTILINE)


def functions_of(text):
    """Yields (name, first line, number of lines) of each function body, by counting braces: good
    enough for a report, and for code that clang-format has laid out."""
    code = without_attributes(code_of(text))
    end = 0
    for found in _FUNCTION.finditer(code):
        if found.start() < end:
            continue
        end = end_of_braces(code, found.end())
        start = found.start() + len(found.group(0)) - len(found.group(0).lstrip())
        yield found.group(1), line_of(code, start), code.count("\n", start, end) + 1


def words_of(identifier):
    """vcpu_eventCount -> vcpu event count"""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3 \2\4", identifier)
    return [word.lower() for word in re.split(r"[_ ]+", spaced) if word]
