#!/usr/bin/env python3
"""Tests of summary.py on results written as ctest writes them."""
import pathlib
import tempfile
import unittest

from summary import summary

CASE = '<testcase name="{name}" status="run">{inside}</testcase>'
GTEST_SKIP = """<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/><system-out>[ RUN ] ProbeTest.Io
probe_test.cc:12: Skipped
/dev/kvm: Permission denied

[  SKIPPED ] ProbeTest.Io (0 ms)</system-out>"""
SCRIPT_SKIP = """<skipped message="SKIP_RETURN_CODE=77"/><system-out>building
skipped: rustc is not installed
</system-out>"""


class SummaryTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write_junit(self, preset, **cases):
        text = "".join(CASE.format(name=name, inside=inside) for name, inside in cases.items())
        (self.folder / f"{preset}.xml").write_text(f"<testsuite>{text}</testsuite>")

    def test_sums_over_presets(self):
        self.write_junit("dev", a="", b="")
        self.write_junit("asan", a="")
        self.assertEqual(summary(self.folder), (["3 passed, 0 failed, 0 skipped"], True))

    def test_failure_is_named_and_is_not_good(self):
        self.write_junit("dev", a="", b='<failure message="Failed"/>')
        self.assertEqual(summary(self.folder),
                         (["failed: b [dev]: Failed", "1 passed, 1 failed, 0 skipped"], False))

    def test_skips_are_named_once_with_their_reason(self):
        self.write_junit("dev", ok="", io=GTEST_SKIP, rust=SCRIPT_SKIP)
        self.write_junit("asan", io=GTEST_SKIP)
        lines, good = summary(self.folder)
        self.assertTrue(good)
        self.assertEqual(sorted(lines), [
            "1 passed, 0 failed, 3 skipped",
            "skipped: io [asan dev]: /dev/kvm: Permission denied",
            "skipped: rust [dev]: rustc is not installed"])

    def test_test_that_could_not_start_is_a_failure(self):
        self.write_junit("dev", a="", b='<skipped message="Unable to find executable: b"/>')
        self.assertFalse(summary(self.folder)[1])

    def test_preset_that_does_not_build_is_a_failure(self):
        self.write_junit("dev", a="")
        (self.folder / "tsan.failed").write_text("does not build\n")
        self.assertEqual(summary(self.folder), (["failed: (all) [tsan]: does not build",
                                                 "1 passed, 1 failed, 0 skipped"], False))

    def test_nothing_run_is_not_good(self):
        self.assertFalse(summary(self.folder)[1])


if __name__ == "__main__":
    unittest.main()
