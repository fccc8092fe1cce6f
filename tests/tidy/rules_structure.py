"""Rules on files: who includes whom, what stands first, what CMake knows, what belongs together."""
import collections
import pathlib
import re

import picture
from sources import (SOURCE_SUFFIXES, Finding, code_of, end_of_braces, includes_of, line_of,
                     without_attributes)

# Examples are built as a user builds: outside the project's include path.
EXAMPLES = "tests/examples/"


def includes_follow_the_picture(tree):
    for path in tree.suffixed(*SOURCE_SUFFIXES):
        layer = picture.layer_of(path)
        if path.startswith(EXAMPLES) or layer is None:
            continue
        for line, name, is_system in includes_of(tree[path]):
            if is_system:
                yield from _external(path, layer, line, name)
            elif name not in tree and name not in picture.GENERATED:
                yield Finding(path, line, f'"{name}" is not a file counted from the repository\'s root')
            else:
                target = picture.GENERATED.get(name) or picture.layer_of(name)
                if (target not in picture.reachable(layer)
                        and (layer, name) not in picture.EXTRA_EDGES):
                    yield Finding(path, line, f"{layer} may not include {target} ({name})")


def _external(path, layer, line, name):
    for prefix, layers in picture.EXTERNAL.items():
        if name.startswith(prefix) and not any(
                layer == allowed or layer.startswith(allowed + "/") for allowed in layers):
            yield Finding(path, line, f"<{name}> is only for {', '.join(layers)}")


def nothing_out_of_reach(tree):
    """As above, but through every header that is included on the way."""
    for path in tree.suffixed(*SOURCE_SUFFIXES):
        denied = picture.OUT_OF_REACH.get(picture.layer_of(path), [])
        for line, name, is_system in includes_of(tree[path]) if denied else []:
            for way in _ways(tree, name, is_system):
                if any(way[-1] == d or (d[-1] == "/" and way[-1].startswith(d)) for d in denied):
                    yield Finding(path, line, "reaches <" + way[-1] + "> through " + " -> ".join(way))


def _ways(tree, name, is_system):
    """Yields the chains of includes that begin with `name` and end in a header from outside."""
    waiting, seen = [((name,), is_system)], set()
    while waiting:
        way, outside = waiting.pop()
        if outside or way[-1] not in tree:
            yield way
        elif way[-1] not in seen:
            seen.add(way[-1])
            waiting += [(way + (n,), s) for _, n, s in includes_of(tree[way[-1]])]


def headers_open_with_a_paragraph(tree):
    for path in tree.suffixed(".h"):
        lines = tree[path].lstrip("\n").splitlines()
        opening = 0
        if lines and lines[0].startswith("/*"):
            opening = next((n for n, text in enumerate(lines, 1) if "*/" in text), 0)
        else:
            while opening < len(lines) and lines[opening].startswith("//"):
                opening += 1
        guard = next((text for text in lines[opening:] if text.strip()), "")
        if opening < 2:
            yield Finding(path, 1, "a header opens with a paragraph: what this is, which thread, who owns")
        elif not re.match(r"#pragma once|#ifndef \w+_H_$", guard):
            yield Finding(path, opening + 1, "#pragma once follows the opening paragraph")


def own_header_comes_first(tree):
    for path in tree.suffixed(".cc"):
        own = path[:-len(".cc")] + ".h"
        names = [name for _, name, _ in includes_of(tree[path])]
        if path.endswith("_test.cc"):
            candidates = [h for h in tree.suffixed(".h")
                          if pathlib.PurePath(h).name == pathlib.PurePath(path).name[:-len("_test.cc")] + ".h"]
            own = next((h for h in candidates if h in names), own)
        if own in tree and names[:1] != [own]:
            yield Finding(path, 1, f'the first include is its own header, "{own}"')


def cmake_names_every_source(tree):
    """No globbing, so no file is built by accident; no orphans, so none is left out by accident."""
    named = []
    for path in tree:
        if pathlib.PurePath(path).name == "CMakeLists.txt" or path.endswith(".cmake"):
            text = re.sub(r"#[^\n]*", "", tree[path])
            if re.search(r"file\s*\(\s*GLOB", text):
                yield Finding(path, line_of(text, re.search(r"file\s*\(\s*GLOB", text).start()),
                              "files are listed by name, not globbed")
            folder = pathlib.PurePath(path).parent.as_posix()
            for token in re.findall(r"[\w./${}+-]+\.(?:cc|c|h|S|capnp|rs)\b", text):
                token = token.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "").replace("${PROJECT_SOURCE_DIR}/", "/")
                full = token[1:] if token[0] == "/" else f"{folder}/{token}".removeprefix("./")
                named.append(re.sub(r"\\\$\\\{.*?\\\}", "[^/]+", re.escape(full)))
    known = re.compile("|".join(named) or "(?!)")
    for path in tree.suffixed(".cc", ".c", ".S", ".capnp", ".h"):
        if not path.startswith(EXAMPLES) and not known.fullmatch(path):
            yield Finding(path, 1, "no CMakeLists.txt names this file")


def layouts_are_proved(tree):
    """Structs that are copied as bytes: size and absence of padding, asserted beside them."""
    for path in ("schema/snapshot.h", "schema/trace_format.h"):
        code = code_of(tree.get(path, ""))
        asserts = " ".join(re.findall(r"static_assert\s*\((.*?)\);", code, re.DOTALL))
        for found in re.finditer(r"^struct (\w+) \{", code, re.MULTILINE):
            for wanted in (f"sizeof({found.group(1)})",
                           f"has_unique_object_representations_v<{found.group(1)}>"):
                if wanted not in asserts:
                    yield Finding(path, line_of(code, found.start()), f"no static_assert on {wanted}")


def codecs_have_both_directions(tree):
    """Each encode_x of a codec has its decode_x, and a test that names both."""
    tests = "\n".join(tree[path] for path in tree.under("tests", "_test.cc"))
    for path in tree.suffixed("_codec.h"):
        code = code_of(tree[path])
        names = set(re.findall(r"\b((?:en|de)code_\w+)\s*\(", code))
        for name in sorted(names):
            other = ("de" if name.startswith("en") else "en") + name[2:]
            line = line_of(code, re.search(rf"\b{name}\s*\(", code).start())
            if other not in names:
                yield Finding(path, line, f"{name} has no {other}")
            if name not in tests:
                yield Finding(path, line, f"no test names {name}")


_DEFINED = re.compile(r"^(?!static |namespace |using |struct |class |enum |template|#|\s|\})[^;{}()]*?"
                      r"\b(\w+)\s*\([^;{}]*\)[^;{}]*\{", re.MULTILINE)


def architecture_folders_match(tree):
    """arch/X and arch/Y hold the same files, and these the same functions in the same order."""
    folders = collections.defaultdict(dict)  # arch folder -> architecture -> {file: functions}
    for path in tree.suffixed(".cc", ".h"):
        parts = path.split("/")
        if "arch" in parts[:-2]:
            at = parts.index("arch")
            files = folders["/".join(parts[:at + 1])].setdefault(parts[at + 1], {})
            files["/".join(parts[at + 2:])] = _shared_functions(tree[path])
    for folder, architectures in sorted(folders.items()):
        first = sorted(architectures)[0]
        for other in sorted(architectures)[1:]:
            mine, theirs = architectures[first], architectures[other]
            for name in sorted(mine.keys() ^ theirs.keys()):
                missing = other if name in mine else first
                yield Finding(f"{folder}/{missing}", 1, f"has no {name}")
            for name in sorted(mine.keys() & theirs.keys()):
                if mine[name] != theirs[name]:
                    yield Finding(f"{folder}/{other}/{name}", 1,
                                  f"functions {theirs[name]}; in {first}: {mine[name]}")


def _shared_functions(text):
    """Those that other files see: not static, not in an unnamed namespace."""
    code = without_attributes(code_of(text))
    while unnamed := re.search(r"^namespace \{", code, re.MULTILINE):
        code = code[:unnamed.start()] + code[end_of_braces(code, unnamed.end()):]
    return _DEFINED.findall(code)
