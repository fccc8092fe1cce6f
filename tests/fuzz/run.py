#!/usr/bin/env python3
"""Runs fuzzers, so many seconds each, and says in one line for each what came of it.

    run.py --seconds N [--jobs N] [--fresh] FUZZER...

A fuzzer NAME starts from what it knows itself (--write-seeds), from tests/fuzz/regressions/NAME
(inputs that once were findings) and, unless --fresh, from its corpus of earlier runs: reading a large one
takes longer than a short run lasts. Beside the folder that the
fuzzers stand in it leaves corpus/NAME, which the next run goes on with, NAME.log, and for a finding
artifacts/NAME-crash-SHA1 (-timeout-, -oom-, -leak-). Exit status: 0, nothing was found; 1, something
was; 2, a fuzzer did not run.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# One input: no trace of a few KiB may take longer or need more, even under the sanitizers.
SECONDS_MAX = 10
RSS_MB_MAX = 2048
ALLOCATION_MB_MAX = 256
FINDING = 77  # libFuzzer's exit status; a sanitizer's is the same


def libfuzzer_options(corpus, artifacts, name, seconds):
    return [f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/{name}-",
            f"-timeout={SECONDS_MAX}", f"-rss_limit_mb={RSS_MB_MAX}",
            f"-malloc_limit_mb={ALLOCATION_MB_MAX}", "-print_final_stats=1", "-reload=0",
            str(corpus)]


def figures(log):
    """What libFuzzer's log says at its end: runs, seconds, coverage; 0 where it says nothing."""
    def last(pattern):
        found = re.findall(pattern, log, re.MULTILINE)
        return int(found[-1]) if found else 0
    return {"runs": last(r"number_of_executed_units:\s*(\d+)") or last(r"^#(\d+)\s"),
            "loaded": last(r"^#(\d+)\s+INITED"), "edges": last(r"\bcov: (\d+)"), "features": last(r"\bft: (\d+)"),
            "corpus": last(r"\bcorp: (\d+)/"), "rss": last(r"peak_rss_mb:\s*(\d+)"),
            "seconds": last(r"Done \d+ runs in (\d+) second")}


def closing_line(name, log, cpu_seconds, finding):
    f = figures(log)
    mutants = max(0, f["runs"] - f["loaded"])
    text = (f"{name}: {f['runs']:,} runs ({mutants:,} mutants) in {f['seconds']} s ({cpu_seconds:.0f} s of CPU), "
            f"{f['edges']:,} edges, {f['features']:,} features, corpus {f['corpus']:,}, {f['rss']} MB: ")
    return text + (finding or "no finding")


def finding_of(log):
    """The artifact that a log names and what was wrong, or None."""
    artifact = re.search(r"Test unit written to (\S+)", log)
    what = re.search(r"^kvmtape: bug: .*|^SUMMARY: .*|^.*runtime error: .*", log, re.MULTILINE)
    if not artifact and not what:
        return None
    return f"FOUND {what.group(0) if what else 'something'} in {artifact.group(1) if artifact else '?'}"


def run(fuzzer, seconds, fresh=False, regressions=HERE / "regressions"):
    """(exit status, closing line) of one fuzzer."""
    fuzzer = fuzzer.resolve()
    name, home = fuzzer.name, fuzzer.parent.parent
    corpus, artifacts = home / "corpus" / name, home / "artifacts"
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(exist_ok=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    environment = {"ASAN_OPTIONS": f"exitcode={FINDING}:allocator_may_return_null=0",
                   "UBSAN_OPTIONS": f"exitcode={FINDING}:print_stacktrace=1"}
    with tempfile.TemporaryDirectory(prefix="kvmtape-fuzz-", dir=memory) as scratch:
        environment = {**os.environ, **environment, "TMPDIR": scratch}
        seeds = pathlib.Path(scratch) / "seeds"
        seeds.mkdir()
        written = subprocess.run([fuzzer, f"--write-seeds={seeds}"], env=environment,
                                 capture_output=True, text=True)
        if written.returncode != 0 or not any(seeds.iterdir()):
            return 2, f"{name}: cannot write its seeds: {written.stderr.strip()}"
        if fresh:
            corpus = pathlib.Path(scratch) / "corpus"
            corpus.mkdir()
        for known in sorted((regressions / name).glob("*")):
            shutil.copy(known, seeds)
        with open(home / f"{name}.log", "w+", errors="replace") as log_file:
            command = [fuzzer, *libfuzzer_options(corpus, artifacts, name, seconds), seeds]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                       stdout=log_file, stderr=log_file)
            _, status, usage = os.wait4(process.pid, 0)  # on a busy machine seconds are no measure of work
            process.returncode = status = os.waitstatus_to_exitcode(status)
            log_file.seek(0)
            log = log_file.read()
    cpu_seconds = usage.ru_utime + usage.ru_stime
    if status == 0:
        return 0, closing_line(name, log, cpu_seconds, None)
    finding = finding_of(log)
    if finding is None:
        return 2, f"{name}: did not run (status {status}); see {home / name}.log"
    return 1, closing_line(name, log, cpu_seconds, finding) + f"\n  to see it again: {fuzzer} ARTIFACT"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, required=True, help="each fuzzer runs so long")
    parser.add_argument("--jobs", type=int, default=1, help="so many fuzzers at once")
    parser.add_argument("--fresh", action="store_true", help="without the corpus of earlier runs")
    parser.add_argument("fuzzers", nargs="+", type=pathlib.Path)
    options = parser.parse_args(arguments)
    worst = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for status, line in pool.map(lambda f: run(f, options.seconds, options.fresh), options.fuzzers):
            print(line, flush=True)
            worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
