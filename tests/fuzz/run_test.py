#!/usr/bin/env python3
"""Runs the canary, a fuzzer with three bugs, through run.py: each must be found, from a seed that does
not show it, and end with a named file that shows it again. Without a bug nothing may be found.

    run_test.py CANARY"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import run

SECONDS = 40  # found within one or two; the machine may be busy


class Canary(unittest.TestCase):
    def setUp(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="kvmtape-canary-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "fuzzers").mkdir()
        self.fuzzer = pathlib.Path(shutil.copy(CANARY, home / "fuzzers"))
        self.artifacts = home / "artifacts"

    def run_with(self, bug, seconds):
        os.environ["KVMTAPE_CANARY"] = bug
        return run.run(self.fuzzer, seconds)

    def finds(self, bug, words):
        status, line = self.run_with(bug, SECONDS)
        self.assertEqual(status, 1, line)
        self.assertIn(words, line)
        artifact, = self.artifacts.iterdir()
        self.assertTrue(artifact.name.startswith("canary-crash-"))
        self.assertIn(str(artifact), line)
        self.assertTrue(artifact.read_bytes().startswith(b"tape"))
        again = subprocess.run([self.fuzzer, artifact], capture_output=True, check=False)
        self.assertNotEqual(again.returncode, 0)

    def test_a_byte_out_of_bounds_is_found(self):
        self.finds("address", "heap-buffer-overflow")

    def test_undefined_behaviour_is_found(self):
        self.finds("undefined", "shift exponent")

    def test_a_failed_check_is_found(self):
        self.finds("check", "kvmtape: bug: ")

    def test_without_a_bug_nothing_is_found(self):
        status, line = self.run_with("", 2)
        self.assertEqual(status, 0, line)
        self.assertIn("no finding", line)
        self.assertNotIn(" 0 runs", line)

    def test_what_does_not_run_is_no_success(self):
        self.fuzzer.write_text("#!/bin/sh\nexit 0\n")
        self.assertEqual(self.run_with("", 2)[0], 2)  # it wrote no seeds


if __name__ == "__main__":
    CANARY = pathlib.Path(sys.argv.pop(1))
    unittest.main()
