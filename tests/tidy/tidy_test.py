#!/usr/bin/env python3
"""Each rule against small sources: some that it must catch, each in one way, and some that it must
leave alone. A rule without an example fails here."""
import unittest

import rules_prose as prose
import rules_structure as structure
import tidy
from sources import Tree, functions_of

HEADER = "// What this is.\n// Who owns it.\n#pragma once\n"

# rule -> ([trees with exactly one finding], [trees with none])
EXAMPLES = {
    structure.includes_follow_the_picture: (
        [
            {"schema/a.h": '#include "recorder/ring/b.h"\n', "recorder/ring/b.h": ""},
            {"recorder/capture/a.cc": '#include "recorder/drain/b.h"\n', "recorder/drain/b.h": ""},
            {"replayer/a.cc": '#include "recorder/ring/b.h"\n', "recorder/ring/b.h": ""},
            {"replayer/serve/a.cc": '#include "recorder/preload/b.h"\n', "recorder/preload/b.h": ""},
            {"recorder/ring/a.cc": '#include "b.h"\n', "recorder/ring/b.h": ""},
            {"replayer/a.cc": "#include <CLI/CLI.hpp>\n"},
            {"recorder/ring/a.cc": "#include <zstd.h>\n"},
        ],
        [
            {"recorder/drain/a.cc": '#include "recorder/ring/b.h"\n', "recorder/ring/b.h": ""},
            {"replayer/serve/a.cc": '#include "recorder/preload/interpose.h"\n',
             "recorder/preload/interpose.h": ""},
            {"tests/cli/a.cc": '#include "recorder/capture/b.h"\n', "recorder/capture/b.h": ""},
            {"recorder/drain/a.cc": '#include "schema/trace.capnp.h"\n#include <zstd.h>\n'},
            {"cli/a.cc": "#include <CLI/CLI.hpp>\n"},
            {"tests/examples/a.c": '#include <kvmtape.h>\n#include "mine.h"\n'},
        ]),
    structure.nothing_out_of_reach: (
        [
            {"recorder/capture/a.cc": "#include <string>\n"},
            {"recorder/capture/a.cc": '#include "schema/b.h"\n', "schema/b.h": "#include <zstd.h>\n"},
            {"replayer/a.cc": '#include "schema/b.h"\n', "schema/b.h": '#include "schema/c.h"\n',
             "schema/c.h": "#include <linux/kvm.h>\n"},
        ],
        [
            {"recorder/capture/a.cc": "#include <linux/kvm.h>\n#include <cstring>\n"},
            {"replayer/a.cc": '#include "replayer/a.h"\n', "replayer/a.h": '#include "replayer/a.h"\n'},
        ]),
    structure.headers_open_with_a_paragraph: (
        [
            {"a.h": "// One line.\n#pragma once\n"},
            {"a.h": "#pragma once\n// Too late,\n// all of it.\n"},
            {"a.h": "// Two\n// lines.\n#include <string>\n#pragma once\n"},
        ],
        [
            {"a.h": HEADER},
            {"a.h": "/* For C\n * too.\n */\n#ifndef KVMTAPE_A_H_\n#define KVMTAPE_A_H_\n#endif\n"},
        ]),
    structure.own_header_comes_first: (
        [
            {"schema/a.cc": '#include <string>\n#include "schema/a.h"\n', "schema/a.h": ""},
            {"tests/a_test.cc": '#include <gtest/gtest.h>\n#include "schema/a.h"\n', "schema/a.h": ""},
        ],
        [
            {"schema/a.cc": '#include "schema/a.h"\n#include <string>\n', "schema/a.h": ""},
            {"schema/a.cc": "#include <string>\n"},
        ]),
    structure.cmake_names_every_source: (
        [
            {"schema/CMakeLists.txt": "add_library(a a.cc)", "schema/a.cc": "", "schema/orphan.cc": ""},
            {"schema/CMakeLists.txt": "# add_library(a a.cc)", "schema/a.cc": ""},
            {"schema/CMakeLists.txt": "file(GLOB sources *)"},
        ],
        [
            {"schema/CMakeLists.txt": "add_library(a a.cc abi/b.h arch/${arch}/c.cc)", "schema/a.cc": "",
             "schema/abi/b.h": "", "schema/arch/x86_64/c.cc": "", "schema/arch/aarch64/c.cc": ""},
            {"CMakeLists.txt": "add_library(a schema/a.cc)", "schema/a.cc": ""},
        ]),
    structure.layouts_are_proved: (
        [
            {"schema/snapshot.h": "struct A {\n};\nstatic_assert(sizeof(A) == 8);\n"},
            {"schema/trace_format.h": "struct A {\n};\n"
                                      "static_assert(std::has_unique_object_representations_v<A>);\n"},
        ],
        [
            {"schema/snapshot.h": "struct A {\n};\nstatic_assert(sizeof(A) == 8 &&\n"
                                  "              std::has_unique_object_representations_v<A>);\n"},
        ]),
    structure.codecs_have_both_directions: (
        [
            {"schema/a_codec.h": "void encode_a(int);\n", "tests/a_test.cc": "encode_a"},
            {"schema/a_codec.h": "int decode_a();\nvoid encode_a(int);\n", "tests/a_test.cc": "encode_a"},
        ],
        [
            {"schema/a_codec.h": "int decode_a();\nvoid encode_a(int);\n",
             "tests/a_test.cc": "EXPECT_EQ(decode_a(encode_a(1)), 1)"},
        ]),
    structure.architecture_folders_match: (
        [
            {"r/arch/x86_64/a.cc": "", "r/arch/x86_64/b.cc": "", "r/arch/aarch64/a.cc": ""},
            {"r/arch/x86_64/a.cc": "int f(int x) {\n}\n", "r/arch/aarch64/a.cc": "int g(int x) {\n}\n"},
            {"r/arch/x86_64/a.h": "int f() {\n}\nint g() {\n}\n",
             "r/arch/aarch64/a.h": "int g() {\n}\nint f() {\n}\n"},
        ],
        [
            {"r/arch/clock.h": "", "r/arch/x86_64/a.cc": "namespace {\nint own() {\n  return 1;\n}\nint more() {\n}\n}\n"
                                 "[[nodiscard]] int f() {\n}\n",
             "r/arch/aarch64/a.cc": "int f() {\n  return 2;\n}\n"},
        ]),
    prose.schema_fields_have_prose: (
        [
            {"schema/trace.capnp": "struct A {\n  a @0 :UInt32;\n}\n"},
            {"schema/trace.capnp": "using T = UInt64;\nstruct A {\n  a @0 :T;\n}\n"},
        ],
        [
            {"schema/trace.capnp": "using T = UInt64;\n# Ticks.\nstruct A {\n  a @0 :T;\n"
                                   "  b @1 :UInt32;\n  # Bytes.\n}\n"},
        ]),
    prose.work_is_finished: (
        [{"docs/a.md": "TO" + "DO: write"}, {"cli/a.cc": "// FIX" + "ME\n"}],
        [{"docs/a.md": "what there is to do"}]),
    prose.an_exit_is_called_an_exit: (
        [
            {"recorder/a.h": "struct ExitEvent {};\n"},
            {"replayer/a.cc": "int read_packet();\n"},
            {"cli/a.cc": "int exitFrameCount;\n"},
        ],
        [
            {"recorder/a.cc": "KVM_EXIT_SYSTEM_EVENT; kExitSystemEvent; kvm_vcpu_events e; kVcpuEvents; eventfd(0, 0); keyframe;\n"},
            {"recorder/a.cc": '// an event\nauto text = "packet";\n'},
            {"analysis/export/a.cc": "int record_event;\n"},
            {"schema/a.cc": "int decode_frame();\n"},
        ]),
    prose.memory_orders_name_their_partner: (
        [
            {"recorder/ring/a.h": "a.store(1, std::memory_order_release);\n"},
            {"recorder/capture/a.cc": "// relaxed: ours\na.load(std::memory_order_acquire);\n"},
            {"recorder/ring/a.h": "a.load(std::memory_order_relaxed);\n"},
        ],
        [
            {"recorder/ring/a.h": "// release: pairs with front()\na.store(1, std::memory_order_release);\n"
                                  "b.load(std::memory_order_relaxed);  // relaxed: own value\n"},
            {"recorder/drain/a.h": "a.load(std::memory_order_relaxed);\n"},
        ]),
    prose.shared_members_are_grouped: (
        [
            {"recorder/a.h": "class A {\n  std::mutex mutex_;\n};\n"},
            {"recorder/a.h": "struct A {\n  std::atomic<int> a;\n};\n"},
        ],
        [
            {"recorder/a.h": "class A {\n  // Guarded by mutex_.\n  int a_;\n  std::mutex mutex_;\n};\n"},
            {"recorder/a.h": "class A {\n  int a_;\n};\n"},
        ]),
    prose.constants_are_explained: (
        [{"recorder/capture/a.h": "inline constexpr int kA = 1;\n"},
         {"schema/trace_format.h": "// Why.\ninline constexpr int kA = 1;\n\nconstexpr int kB = 2;\n"}],
        [{"recorder/drain/a.h": "constexpr int kA = 1;  // measured\n// Limits.\nconstexpr int kB = 2;\n"
                                "constexpr int kC = 2;\n"}]),
    prose.nothing_names_another_machine: (
        [
            {"docs/a.md": "see /ho" + "me/me/a.txt\n"},
            {"docs/a.md": "see .." + "/../elsewhere\n"},
            {"dev": "curl https:/" + "/example.com/a\n"},
        ],
        [
            {"docs/a.md": "see https://docs.kernel.org/virt/kvm/api.html and ../schema/FORMAT.md\n"},
            {"dev": "cd ./work/a; ls /dev/kvm $x/home/b\n"},
        ]),
}


class TidyTest(unittest.TestCase):
    def test_every_rule_has_examples_of_both_kinds(self):
        self.assertEqual(set(EXAMPLES), set(tidy.RULES))
        for rule, (bad, good) in EXAMPLES.items():
            self.assertTrue(bad and good, rule.__name__)

    def test_bad_examples_are_caught(self):
        for rule, (bad, _) in EXAMPLES.items():
            for files in bad:
                with self.subTest(rule=rule.__name__, files=files):
                    self.assertEqual(len(list(rule(Tree(files)))), 1)

    def test_good_examples_are_left_alone(self):
        for rule, (_, good) in EXAMPLES.items():
            for files in good:
                with self.subTest(rule=rule.__name__, files=files):
                    self.assertEqual([str(finding) for finding in rule(Tree(files))], [])

    def test_functions_are_measured_from_first_line_to_closing_brace(self):
        text = "int a(int x) {\n  if (x) {\n    return 1;\n  }\n  return 2;\n}\n\nvoid b() {}\n"
        self.assertEqual(list(functions_of(text)), [("a", 1, 6), ("b", 8, 1)])


if __name__ == "__main__":
    unittest.main()
