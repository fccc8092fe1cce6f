"""Tests of the lab's parts that need neither network nor QEMU."""
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


if __name__ == "__main__":
    unittest.main()
