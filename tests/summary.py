#!/usr/bin/env python3
"""Sums up what `./dev test` left in a folder: PRESET.xml (ctest's JUnit file), PRESET.failed (the
preset never came to its tests) and PRESET.skipped (it was not meant to); each of the latter two
holds the reason. Lists what failed and what was skipped, and ends with the line
`N passed, N failed, N skipped`. Exit status 1 if anything failed."""
import pathlib
import re
import sys
import xml.etree.ElementTree as xml


def reason_of_skip(output):
    """Why a test skipped itself: GoogleTest's message, or a script's line `skipped: why`."""
    found = re.search(r"^.*: Skipped\n(.*?)\n*\[  SKIPPED \]", output, re.DOTALL | re.MULTILINE)
    if not found:
        found = re.search(r"^skipped: (.*)$", output, re.MULTILINE)
    return " ".join(found.group(1).split()) if found else "no reason given"


def verdict_of(case):
    """(verdict, reason) of one <testcase>. A test that could not be started is a failure: ctest
    files it under `skipped` too, but without a test's own word for it."""
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
        return "skipped", reason_of_skip(case.findtext("system-out") or "")
    if skipped is not None:
        return "failed", skipped.get("message") or "not run"
    if case.find("failure") is not None:
        return "failed", case.find("failure").get("message") or ""
    return "passed", ""


def collect(folder):
    """Yields (verdict, preset, test, reason)."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".xml":
            for case in xml.parse(path).getroot().iter("testcase"):
                verdict, reason = verdict_of(case)
                yield verdict, path.stem, case.get("name"), reason
        else:
            yield path.suffix[1:], path.stem, "(all)", path.read_text().strip()


def summary(folder):
    """The closing lines, and whether nothing failed."""
    found = list(collect(folder))
    lines = []
    count = {verdict: sum(row[0] == verdict for row in found)
             for verdict in ("passed", "failed", "skipped")}
    for verdict in ("skipped", "failed"):
        presets = {}  # the same test, for the same reason, in several presets is one line
        for row_verdict, preset, test, reason in found:
            if row_verdict == verdict:
                presets.setdefault((test, reason), []).append(preset)
        for (test, reason), names in presets.items():
            lines.append(f"{verdict}: {test} [{' '.join(names)}]" + (f": {reason}" if reason else ""))
    lines.append(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return lines, count["failed"] == 0 and count["passed"] > 0


if __name__ == "__main__":
    closing_lines, good = summary(pathlib.Path(sys.argv[1]))
    print("\n".join(closing_lines))
    sys.exit(0 if good else 1)
