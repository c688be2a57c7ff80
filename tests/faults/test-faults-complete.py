"""Fault injection leaves nothing out: no call of the library's, and no public function.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import sys

import tap

SOURCE_DIR = pathlib.Path(os.environ["SOURCE_DIR"])
FAULTS_DIR = SOURCE_DIR / "tests" / "faults"
BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"]) / "tests" / "faults"

sys.path[:0] = [str(FAULTS_DIR), str(SOURCE_DIR / "tests" / "docs")]

import generate  # noqa: E402
import public_headers  # noqa: E402

CALLS = generate.read_calls(FAULTS_DIR / "calls.txt")
LIBRARY = BUILD_DIR / "dillipc-redirected.o"

# What the library may call past the tests: it cannot fail, or not for a reason outside of the process.
HARMLESS = re.compile(
    r"""
    g_\w+                                                             # GLib, which has faults of its own
  | mem\w+ | str(?!dup)\w+ | (__isoc\d+_)?sscanf | snprintf | qsort   # memory and text
  | (secure_)?getenv | getauxval | getpid | syscall | sysconf | uname # the process: syscall () asks for the thread's id
  | clock_getres                                                      # of clocks that there are, or not
  | atexit                                                            # of builds with AddressSanitizer alone
  | pthread_(mutex_\w+|once|join|sigmask|getspecific) | sigfillset
  | __pthread_(un)?register_cancel | __pthread_unwind_next | __sigsetjmp  # pthread_cleanup_push ()
  | (get|make|set|swap)context
  | _GLOBAL_OFFSET_TABLE_ | __errno_location | __tls_get_addr | __stack_chk_fail | __assert_fail
  | __(mem\w+|str(?!dup)\w+|snprintf)_chk                             # _FORTIFY_SOURCE
  | __(a|l|t|ub)san_\w+ | __sanitizer_\w+ | __(start|stop)_\w+ | __gcov_\w+ | __llvm_\w+ | _?llvm_\w+
    """,
    re.VERBOSE,
)

# Macros that stand for no call.
KEYWORDS = {"dill_coroutine"}


@tap.case("everything that the library calls can fail here, or nowhere")
def calls():
    symbols = generate.undefined_symbols("nm", LIBRARY)
    redirected = {"fault_" + call.name for call in CALLS}
    assert symbols & redirected, symbols
    escaping = {symbol for symbol in symbols - redirected if not HARMLESS.fullmatch(symbol)}
    assert not escaping, "add to calls.txt and fault-calls*.c, or to what is harmless: %s" % sorted(escaping)


@tap.case("no symbol is redirected to two calls")
def unique():
    symbols = [symbol for call in CALLS for symbol in call.symbols]
    assert len(symbols) == len(set(symbols)) and len(CALLS) == len({call.name for call in CALLS})


@tap.case("every public function has a scenario")
def functions():
    programs = sorted(path for path in BUILD_DIR.glob("test-faults-*") if path.is_file())
    cases = "".join(tap.output_of(program, "-l") for program in programs)
    tested = set(re.findall(r"^/(dill_\w+)/", cases, re.MULTILINE))
    known = set(public_headers.read_functions(SOURCE_DIR / "dillipc")) - KEYWORDS
    assert len(known) > 40 and tested == known, "without: %s; unknown: %s" % (
        sorted(known - tested),
        sorted(tested - known),
    )


tap.run()
