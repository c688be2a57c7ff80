"""A test script in TAP: cases are functions, and one fails by raising an exception.

    @tap.case("the library has a soname")
    def soname():
        assert "libdillipc-1.0.so.0" in dynamic_section(), "no soname"

    tap.run()

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import subprocess
import sys
import traceback


class Skip(Exception):
    """Raised by a case that cannot be run here; its text is the reason."""


_cases = []


def case(name):
    """Registers a function as a test case."""

    def register(function):
        _cases.append((name, function))
        return function

    return register


def run():
    """Runs the cases in order of registration, and exits."""
    failed = 0
    print("1..%d" % len(_cases))
    for number, (name, function) in enumerate(_cases, 1):
        try:
            function()
        except Skip as reason:
            print("ok %d %s # SKIP %s" % (number, name, reason), flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d %s" % (number, name), flush=True)
        else:
            print("ok %d %s" % (number, name), flush=True)
    sys.exit(1 if failed else 0)


def output_of(*command, input="", **options):
    """Runs a command and returns what it prints; when it fails, what it printed is in the exception."""
    options.setdefault("timeout", 240)
    result = subprocess.run(
        [str(word) for word in command],
        input=input,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **options,
    )
    assert result.returncode == 0, "%s: exit status %d\n%s" % (
        " ".join(str(word) for word in command),
        result.returncode,
        result.stdout,
    )
    return result.stdout
