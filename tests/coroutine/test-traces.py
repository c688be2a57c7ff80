"""Back-traces in coroutines that go () started, whatever has become of their starters.

Guarantee: gdb shows a coroutine's functions and then ends, without complaint, in the one that the macro made; it never
goes on into the starter, whose frame may be anything by then.  Unwinders, as profilers and exceptions use them, see the
same; and what go () does for that disturbs no trace of the starter itself.  So it is with each compiler, at each level
of optimisation.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import tempfile

import tap
from installation import INCLUDES, SOURCE_DIR

LIBRARY = pathlib.Path(os.environ["LIBDILLIPC"])
SOURCE = SOURCE_DIR / "tests" / "coroutine" / "programs" / "traces.c"
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")

# The outermost frame: what gcc and clang call the function, and where C++ coroutines begin.
COMPILERS = {
    "gcc": ("dill_go_call_",),
    "clang": ("__captured_stmt",),
    "g++": ("dill_context_entry",),
    "clang++": ("dill_context_entry",),
}

# In the order of the program.
TRACES = [
    "starter has returned",
    "starter waits",
    "starter goes on",
    "first in loop",
    "second in loop",
    "argument",
    "below its starter",
    "above its starter",
]

SCRIPT = r"""
set pagination off
set confirm off
break look
commands
  silent
  printf "TRACE %s\n", name
  backtrace
  printf "END\n"
  continue
end
run
"""

FRAME = re.compile(r"^#(\d+) +(?:0x[0-9a-f]+ in )?(\w+(?:\.\d+)?)((?:\([^)]*\))?::)?", re.MULTILINE)


def build(directory, compiler, *options):
    program = pathlib.Path(directory, "traces")
    language = "c++" if compiler.endswith("++") else "c"
    tap.output_of(
        compiler, "-x", language, "-g", "-Wall", "-Wextra", "-Werror", *options,
        *INCLUDES, "-o", program, SOURCE, "-x", "none", LIBRARY,
        "-Wl,-rpath," + str(LIBRARY.parent), "-pthread",
    )  # fmt: skip
    return program


def traces_of(program, directory):
    """What gdb prints at look (), by name, in order."""
    script = pathlib.Path(directory, "script")
    script.write_text(SCRIPT)
    output = tap.output_of("gdb", "-nx", "-batch", "-x", script, program)
    assert "exited normally" in output, output
    return re.findall(r"^TRACE ([^\n]*)\n(.*?)^END$", output, re.MULTILINE | re.DOTALL)


def check_trace(name, text, outermost):
    for complaint in ("??", "Backtrace stopped", "corrupt"):
        assert complaint not in text, "%s: gdb is at a loss:\n%s" % (name, text)
    frames = FRAME.findall(text)
    # In C++ names within a function begin with its name.
    functions = [function for _, function, scope in frames if not scope]
    assert functions[0] == "look" and functions[-1].startswith(outermost), "%s:\n%s" % (name, text)
    assert [int(number) for number, _, _ in frames] == list(range(len(frames))), text
    strangers = [function for function in functions if function.startswith(("starter_", "main", "nest"))]
    assert not strangers, "%s shows %s:\n%s" % (name, strangers, text)


def add_case(compiler, *options):
    @tap.case(" ".join((compiler,) + options))
    def combination():
        for command in (compiler, "gdb"):
            if not shutil.which(command):
                raise tap.Skip("there is no " + command)
        with tempfile.TemporaryDirectory(prefix="dillipc-") as directory:
            program = build(directory, compiler, *options)
            tap.output_of(program, timeout=60)
            traces = traces_of(program, directory)
            assert [name for name, _ in traces] == TRACES, traces
            for name, text in traces:
                check_trace(name, text, COMPILERS[compiler])


for each_compiler in COMPILERS:
    for each_level in LEVELS if not each_compiler.endswith("++") else ("-O2",):
        add_case(each_compiler, each_level)
add_case("gcc", "-O2", "-flto", "-fno-omit-frame-pointer")
add_case("clang", "-O2", "-fno-omit-frame-pointer", "-fno-integrated-as")

tap.run()
