#!/usr/bin/env python3
"""Checks the sources against the project's rules and prints the ten longest files and functions (a
growing entry needs a sentence in the commit). A rule is a function: Tree -> findings. To add one,
write it, add it to RULES, and add an example that it catches to tidy_test.py."""
import pathlib
import sys

import rules_prose
import rules_structure
from sources import SOURCE_SUFFIXES, functions_of, read_tree

RULES = (
    rules_structure.includes_follow_the_picture,
    rules_structure.nothing_out_of_reach,
    rules_structure.headers_open_with_a_paragraph,
    rules_structure.own_header_comes_first,
    rules_structure.cmake_names_every_source,
    rules_structure.layouts_are_proved,
    rules_structure.codecs_have_both_directions,
    rules_structure.architecture_folders_match,
    rules_prose.schema_fields_have_prose,
    rules_prose.work_is_finished,
    rules_prose.an_exit_is_called_an_exit,
    rules_prose.memory_orders_name_their_partner,
    rules_prose.shared_members_are_grouped,
    rules_prose.constants_are_explained,
    rules_prose.nothing_names_another_machine,
)


def print_longest(tree):
    paths = tree.suffixed(*SOURCE_SUFFIXES)
    files = sorted(((tree[path].count("\n"), path) for path in paths), reverse=True)
    functions = sorted(((lines, f"{path}:{line} {name}") for path in paths
                        for name, line, lines in functions_of(tree[path])), reverse=True)
    for what, rows in (("files", files), ("functions", functions)):
        print(f"the ten longest {what}, in lines:")
        for lines, name in rows[:10]:
            print(f"  {lines:5} {name}")


def main():
    tree = read_tree(pathlib.Path(__file__).resolve().parents[2])
    print_longest(tree)
    found = 0
    for rule in RULES:
        for finding in rule(tree):
            print(f"{finding} [{rule.__name__}]")
            found += 1
    print(f"{len(RULES)} rules, {len(tree)} files, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
