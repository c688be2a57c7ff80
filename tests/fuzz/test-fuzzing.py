"""Looks for input that a fuzz target does not stand, for some seconds each, starting from its corpus.

Guarantee: none is found.  What is found is printed (in Base64) and kept in the build's fuzz/ folder: it belongs into
tests/fuzz/corpus/ then, where it stays a test.

FUZZ_SECONDS says how long each target runs (default: 5).

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import tap
from installation import SOURCE_DIR

BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])
SECONDS = int(os.environ.get("FUZZ_SECONDS", "5"))
CORPORA = sorted((SOURCE_DIR / "tests" / "fuzz" / "corpus").iterdir())


def fuzz(corpus):
    findings = BUILD_DIR / "fuzz"
    findings.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dillipc-") as directory:
        # It adds what leads to new branches.
        copy = shutil.copytree(corpus, pathlib.Path(directory, "corpus"))
        result = subprocess.run(
            [
                BUILD_DIR / "tests" / "fuzz" / ("fuzz-" + corpus.name),
                "-max_total_time=%d" % SECONDS,
                "-max_len=1024",
                "-timeout=20",
                "-print_final_stats=1",
                "-artifact_prefix=%s/%s-" % (findings, corpus.name),
                copy,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS + 120,
        )
    assert result.returncode == 0, result.stdout[-6000:]
    executions = int(re.search(r"number_of_executed_units: (\d+)", result.stdout).group(1))
    assert executions > len(list(corpus.iterdir())), executions
    print("# count %d fuzz executions" % executions, flush=True)


def add_case(corpus):
    @tap.case("%s, for %d s" % (corpus.name, SECONDS))
    def target():
        fuzz(corpus)


for each_corpus in CORPORA:
    add_case(each_corpus)

tap.run()
