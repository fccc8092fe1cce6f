"""Tests of the lab's parts that need neither network nor QEMU."""
import contextlib
import io
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

import cpio
import debian
import golden
import kernels
import lab
import selftests


class CpioTest(unittest.TestCase):
    def test_an_archive_is_read_as_it_was_written(self):
        entries = [cpio.program("init", b"12345"), cpio.folder("dev"), cpio.program("empty", b"")]
        self.assertEqual(cpio.unpack(cpio.pack(entries)), {"init": b"12345", "dev": b"", "empty": b""})

    def test_what_follows_the_end_is_not_read(self):
        self.assertEqual(cpio.unpack(cpio.pack([cpio.program("a", b"1")]) + bytes(512)), {"a": b"1"})

    def test_an_archive_without_end_is_none(self):
        self.assertIsNone(cpio.unpack(cpio.pack([cpio.program("a", b"1")])[:-124]))
        self.assertIsNone(cpio.unpack(bytes(512)))


class KernelsTest(unittest.TestCase):
    def test_every_name_is_of_a_suite_and_a_machine(self):
        for name in kernels.NAMES:
            self.assertEqual(kernels.kernel_called(name).name, name)

    def test_a_series_stands_for_all_of_its_machines(self):
        self.assertEqual(kernels.chosen(["6.1"]), ["6.1-n1", "6.1-nvhe", "6.1-max"])
        self.assertEqual(kernels.chosen(["5.10-a72"]), ["5.10-a72"])
        self.assertEqual(kernels.chosen([]), kernels.NAMES)

    def test_an_unknown_name_is_refused(self):
        with self.assertRaisesRegex(ValueError, "no kernel is called 6.2; there are 5.10-n1"):
            kernels.chosen(["6.1", "6.2"])


class SuiteTest(unittest.TestCase):
    def newest(self, name, *packages):
        suite = debian.Suite("some", "arm64", "/nowhere")
        with mock.patch.object(suite, "_apt", return_value="\n".join(packages)):
            return suite.newest(kernels.kernel_called(name).package)

    def test_the_newest_is_so_by_number(self):
        self.assertEqual(self.newest("6.1-n1", "linux-image-6.1.0-9-cloud-arm64", "linux-image-6.1.0-56-cloud-arm64",
                                     "linux-image-6.12.1-cloud-arm64", "linux-image-6.1.0-57-cloud-arm64-unsigned"),
                         "linux-image-6.1.0-56-cloud-arm64")

    def test_the_package_with_the_image_is_taken(self):
        self.assertEqual(self.newest("sid-n1", "linux-binary-7.2.13+deb14-cloud-arm64", "linux-image-cloud-arm64",
                                     "linux-image-7.2.13+deb14-cloud-arm64", "linux-image-6.19.1-cloud-arm64"),
                         "linux-binary-7.2.13+deb14-cloud-arm64")

    def test_a_suite_without_such_a_package_is_lacking(self):
        with self.assertRaisesRegex(debian.Lacking, "a package in Debian some called"):
            self.newest("5.10-n1", "linux-image-6.1.0-9-cloud-arm64")

    def test_an_apt_that_knows_no_mirror_is_lacking(self):
        with mock.patch.object(subprocess, "run", return_value=mock.Mock(stdout="Other|Other|http://other/\n")):
            with self.assertRaisesRegex(debian.Lacking, "a mirror of Debian-Security"):
                debian.mirror_of("bookworm-security")


class GoldenTest(unittest.TestCase):
    def test_a_row_takes_the_place_of_the_one_of_its_name(self):
        table = "text\n\n| a | 1 |\n| ab | 2 |\n\ntext\n"
        self.assertEqual(golden.with_row(table, "| a | 3 |"), "text\n\n| a | 3 |\n| ab | 2 |\n\ntext\n")
        self.assertEqual(golden.with_row(table, "| b | 3 |"), "text\n\n| a | 1 |\n| ab | 2 |\n| b | 3 |\n\ntext\n")

    def test_a_recording_is_named_by_the_kernel_s_series(self):
        self.assertEqual(golden.series_of("linux-image-6.1.0-56-cloud-arm64"), "6.1")
        self.assertEqual(golden.series_of("linux-binary-7.2.13+deb14-cloud-arm64"), "7.2")


class LabTest(unittest.TestCase):
    def test_what_is_not_built_is_lacking(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(debian.Lacking, "kvmtape, which ./dev build builds"):
                lab.record(kernels.kernel_called("6.12-n1"), pathlib.Path(folder), poison=False, golden_too=False)

    def run_lab(self, arguments, *outcomes):
        """The status of a run in which each kernel's recording ends so, and what was printed."""
        printed = io.StringIO()
        with mock.patch.object(lab, "record", side_effect=outcomes), contextlib.redirect_stdout(printed):
            return lab.main(arguments), printed.getvalue()

    def test_a_kernel_that_is_lacking_is_named_and_the_others_count(self):
        status, printed = self.run_lab(["6.1-n1", "6.12-n1"], debian.Lacking("a mirror"), "recorded")
        self.assertEqual(status, 0)
        self.assertIn("skipped: 6.1-n1: the lab lacks a mirror", printed)

    def test_a_run_in_which_all_are_lacking_is_skipped(self):
        lacking = debian.Lacking("a mirror")
        self.assertEqual(self.run_lab(["6.1-n1", "6.12-n1"], lacking, lacking)[0], 77)

    def test_one_that_is_wrong_fails_the_run(self):
        outcomes = "recorded", lab.Wrong("the probes ended"), debian.Lacking("a mirror")
        self.assertEqual(self.run_lab(["6.1-n1", "6.1-nvhe", "6.12-n1"], *outcomes)[0], 1)

    def test_expectations_are_not_written_from_a_golden_run_that_failed(self):
        with mock.patch.object(golden, "write_expectations") as write:
            self.run_lab(["--golden", "6.1-n1", "6.12-n1"], "recorded", lab.Wrong("the probes ended"))
            write.assert_not_called()
            self.run_lab(["--golden", "6.1-n1"], "recorded")
            write.assert_called_once()


class SelftestTest(unittest.TestCase):
    def problems(self, status, exits):
        with mock.patch.object(selftests, "exits_of", return_value=exits):
            return list(selftests.problems_of("tool", "psci_test", (status, "said"), (status, "said"), "trace"))

    def test_one_that_ends_well_and_is_recorded_is_well(self):
        self.assertEqual(self.problems(b"0", [{"name": "KVM_EXIT_MMIO"}]), [])

    def test_one_that_was_not_found_or_skipped_is_a_problem(self):
        for status in (b"127", b"4"):
            found = "".join(self.problems(status, [{"name": "KVM_EXIT_MMIO"}]))
            self.assertIn(f"ended with status {status.decode()}", found)

    def test_an_empty_recording_is_a_problem(self):
        self.assertEqual(self.problems(b"0", []), ["psci_test: no exit was recorded"])

    def test_an_exit_without_a_name_is_a_problem(self):
        self.assertIn("KVM_EXIT_99", "".join(self.problems(b"0", [{"name": "KVM_EXIT_99"}])))


if __name__ == "__main__":
    unittest.main()
