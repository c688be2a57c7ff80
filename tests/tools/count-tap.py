"""Counts the test cases of one run of "meson test".

Usage: count-tap.py TESTLOG TOTALS

TESTLOG is the meson-logs/testlog.json of the run: one JSON object a line, with the whole output of a program in it.  What
the programs printed is read as TAP, since Meson itself counts programs, not cases.  Skipped cases are listed with their
reasons and counted neither as passed nor as failed.  A program that died, timed out, or did not run as many cases as it
had announced counts as one failed case if it reported none; what such a program printed is shown.

What programs have counted themselves, in comments such as "# count 120 fault injection points", is added up and printed.

A line "PASSED FAILED" is appended to the file TOTALS.  The exit status says whether all is well.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import json
import re
import sys

# "ok 3 /listen/backlog # SKIP reason", at the start of a line: what is indented belongs to a case.
CASE = re.compile(r"^(not )?ok\b *\d* *-? *(.*?)(?: *# *skip\S* *(.*))?$", re.IGNORECASE)
COUNT = re.compile(r"^\s*# count (\d+) (.+)$")
PLAN = re.compile(r"^1\.\.(\d+)(?: *# *(?:skip\S*)? *(.*))?$", re.IGNORECASE)


class Program:
    """What one test program reported."""

    def __init__(self, record):
        self.name = record["name"]
        self.output = record.get("stdout", "")
        self.errors = record.get("stderr", "")
        self.passed = 0
        self.failed = 0
        self.skipped = []
        self.trouble = None
        plan = self.read_cases()
        n_cases = self.passed + self.failed + len(self.skipped)

        if record["result"] == "TIMEOUT":
            self.trouble = "timed out"
        elif record["returncode"] < 0:
            self.trouble = "killed by signal %d" % -record["returncode"]
        elif plan is None:
            self.trouble = "announced no number of cases"
        elif plan != n_cases:
            self.trouble = "announced %d cases and ran %d" % (plan, n_cases)
        elif self.failed == 0 and record["result"] not in ("OK", "SKIP"):
            self.trouble = "no case failed, but Meson says %s, exit status %s" % (record["result"], record["returncode"])

        if self.trouble and self.failed == 0:
            self.failed = 1

    def read_cases(self):
        """Counts the cases; returns the number that was announced, or None."""
        plan = None
        for line in self.output.splitlines():
            match = PLAN.match(line)
            if match:
                plan = int(match.group(1))
                if plan == 0:
                    self.skipped.append(("all", match.group(2) or "no reason given"))
                    return 1
                continue
            match = CASE.match(line)
            if not match:
                continue
            failed, name, reason = match.groups()
            if failed:
                self.failed += 1
            elif reason is not None:
                self.skipped.append((name, reason or "no reason given"))
            else:
                self.passed += 1
        return plan

    def report(self):
        for name, reason in self.skipped:
            print("    skipped: %s %s: %s" % (self.name, name, reason))
        if self.failed:
            print("    FAILED: %s%s" % (self.name, ": " + self.trouble if self.trouble else ""))
            for line in (self.output + "\n" + self.errors).splitlines():
                print("      | " + line)


def main():
    log, totals = sys.argv[1:]
    with open(log, encoding="utf-8", errors="replace") as lines:
        programs = [Program(json.loads(line)) for line in lines if line.strip()]

    for program in programs:
        program.report()
    counts = collections.Counter()
    for program in programs:
        for match in filter(None, map(COUNT.match, program.output.splitlines())):
            counts[match.group(2)] += int(match.group(1))
    for what, n in sorted(counts.items()):
        print("    %d %s" % (n, what))

    passed = sum(program.passed for program in programs)
    failed = sum(program.failed for program in programs)
    skipped = sum(len(program.skipped) for program in programs)
    print("    %d programs: %d cases passed, %d failed, %d skipped" % (len(programs), passed, failed, skipped))

    with open(totals, "a", encoding="utf-8") as file:
        print(passed, failed, file=file)
    return 1 if failed or not programs else 0


if __name__ == "__main__":
    sys.exit(main())
