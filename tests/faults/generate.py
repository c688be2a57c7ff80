"""Makes the library anew from its object files, so that its calls, and no others, can be made to fail.

Usage: generate.py header HEADER CALLS PUBLIC_HEADERS
       generate.py library OBJECT CALLS LIBRARY NM OBJCOPY COMPILER...

"header" writes what calls.txt says as C, and the errnos that the doc comments of the public headers give for each
function, with which tests/docs/test-manual.py compares the manual.

"library" links all object files of the static library into one, and turns every undefined symbol of calls.txt into
fault_CALL, which fault-calls*.c define.  The code of the library is the same, instruction by instruction.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "docs"))

import public_headers  # noqa: E402


class Call:
    """A line of calls.txt."""

    def __init__(self, line):
        self.name, symbols, *self.errnos = line.split()
        self.symbols = [] if symbols == "-" else symbols.split(",")


def read_calls(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return [Call(line) for line in lines if line and not line.startswith("#")]


def undefined_symbols(nm, path):
    """What an object file, or each of a library's, asks others for."""
    text = subprocess.run([nm, "-u", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[1] for line in text.splitlines() if re.match(r" +[Uwv] ", line)}


def table(macro, rows):
    """A macro with an initializer for each name and its errnos."""
    lines = ['  { "%s", { %s } },' % (name, ", ".join([*errnos, "0"])) for name, errnos in rows]
    return " \\\n".join(["#define " + macro, *lines]) + "\n"


def header(output, calls_path, headers_path):
    calls = read_calls(calls_path)
    functions = public_headers.read_functions(pathlib.Path(headers_path))
    documented = {name: sorted(function.errnos(functions)) for name, function in sorted(functions.items())}
    most = 1 + max(len(names) for names in [*documented.values(), *[call.errnos for call in calls]])
    lines = [
        "/* Made by generate.py. */",
        "#include <errno.h>",
        "",
        "enum fault_call",
        "{",
        *["  FAULT_%s," % call.name for call in calls],
        "  FAULT_N_CALLS",
        "};",
        "",
        "/* Which errnos a call, or a public function, can set; 0 ends the list. */",
        "struct fault_errnos",
        "{",
        "  const char *name;",
        "  int errnos[%d];" % most,
        "};",
        "",
        table("FAULT_CALLS", [(call.name, call.errnos) for call in calls]),
        table("FAULT_DOCUMENTED", documented.items()),
    ]
    pathlib.Path(output).write_text("\n".join(lines))


def library(output, calls_path, archive, nm, objcopy, *compiler):
    whole = "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive"
    subprocess.run([*compiler, "-r", "-nostdlib", "-o", output, *whole], check=True)
    asked_for = undefined_symbols(nm, output)
    renamed = [
        "--redefine-sym=%s=fault_%s" % (symbol, call.name)
        for call in read_calls(calls_path)
        for symbol in call.symbols
        if symbol in asked_for
    ]
    subprocess.run([objcopy, *renamed, output], check=True)


if __name__ == "__main__":
    {"header": header, "library": library}[sys.argv[1]](*sys.argv[2:])
