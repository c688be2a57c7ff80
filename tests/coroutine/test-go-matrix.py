"""dill_go () as compilers of different opinion build it.

Guarantee: coroutines get arguments of every class, see and change the variables of their starters, and outlive them;
starters keep what is theirs; and nothing of it costs a warning.  So it is with gcc and clang, in C and C++, at each
level of optimisation, with what distributions switch on for safety, with optimisation at link time, and with
sanitizers; on other processors too, in an emulator.  Where it cannot be so, the use of dill_go () does not compile, and
the message tells of dill_spawn ().

The program is the one that meson.build here builds, in plain C over dillipc/coroutine/ alone: switch-check.c and
go-*.c. Each pair of flags meets in both compilers, and each flag each level.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import concurrent.futures
import functools
import os
import pathlib
import platform
import shutil
import tempfile

import tap
from installation import INCLUDES, SOURCE_DIR

HERE = SOURCE_DIR / "tests" / "coroutine"
LIBRARY_PART = SOURCE_DIR / "dillipc" / "coroutine"
RUNTIME = [HERE / "flow.c", HERE / "go-runtime.c", LIBRARY_PART / "announce.c", LIBRARY_PART / "context.c"]
CHECKS = [HERE / name for name in ("go-arguments.c", "go-check.c", "go-starters.c", "switch-check.c")]
CXX_CHECKS = HERE / "go-check-cxx.cc"
COMMON = ["-D_GNU_SOURCE", "-DWITH_ASSEMBLY", "-I", HERE, *INCLUDES]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Wno-psabi", "-Werror"]
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
STANDARDS = ("-std=gnu11", "-std=gnu17")
CXX_STANDARDS = ("-std=c++11", "-std=c++14", "-std=c++17", "-std=c++20", "-std=gnu++17")
RUN_LIMIT = 60  # seconds that no program comes near

# What is either on or off, in columns of an orthogonal array of eight rows and strength two; see rows().
FLAGS = (
    ("-fomit-frame-pointer", "-fno-omit-frame-pointer"),
    ("-fstack-protector-all", "-fno-stack-protector"),
    ("-fstack-clash-protection", None),
    ("-fcf-protection=full", "-fcf-protection=none"),
    ("-D_FORTIFY_SOURCE=2", None),
    ("-flto", None),
)

# Compilers' names for other processors, those of the assembly and of the emulator, and levels to try.
FOREIGN = {
    "aarch64-linux-gnu": ("aarch64", "qemu-aarch64", LEVELS),
    "arm-linux-gnueabihf": ("arm", "qemu-arm", ("-O0", "-O2")),
    "i686-linux-gnu": ("x86", "qemu-i386", ("-O0", "-O2")),
    "riscv64-linux-gnu": ("riscv64", "qemu-riscv64", ("-O0", "-O2")),
}

scratch = tempfile.TemporaryDirectory(prefix="dillipc-")
workers = concurrent.futures.ThreadPoolExecutor(max_workers=2)


def require(*commands):
    for command in commands:
        if not shutil.which(command):
            raise tap.Skip("there is no " + command)


def rows(half):
    """Four of the eight rows: in each half every flag is on twice, and in both together each pair in all four ways."""
    for i in range(4):
        b, c = i >> 1, i & 1
        columns = (b, half ^ b, c, half ^ c, b ^ c, half ^ b ^ c)
        yield [pair[0] if on else pair[1] for pair, on in zip(FLAGS, columns) if on or pair[1]]


def adapted(flags, compiler, level, processor):
    """What a compiler calls these flags, or needs for them."""
    flags = list(flags)
    if level == "-O0" and "-D_FORTIFY_SOURCE=2" in flags:
        flags.remove("-D_FORTIFY_SOURCE=2")  # glibc warns that it does nothing
    if "-flto" in flags and compiler == "clang":
        flags.append("-fuse-ld=lld")
    if processor not in ("x86_64", "x86"):
        protection = {"-fcf-protection=full": "standard", "-fcf-protection=none": "none"}
        flags = [
            "-mbranch-protection=" + protection[flag] if flag in protection else flag
            for flag in flags
            if processor == "aarch64" or flag not in protection
        ]
    return flags


def run(program, emulator=()):
    output = tap.output_of(*emulator, program, timeout=RUN_LIMIT)
    assert "\nnot ok" not in output and "\n1.." in output, output


def work(name, needs, function):
    """A test case that another thread is at while the cases before it are reported."""
    future = workers.submit(lambda: (require(*needs), function()))
    tap.case(name)(future.result)


def new_program():
    handle, name = tempfile.mkstemp(dir=scratch.name)
    os.close(handle)
    return pathlib.Path(name)


def add_c(compiler, options, needs=(), target=None):
    processor, emulator, _ = FOREIGN.get(target, (platform.machine(), None, None))
    command = [compiler]
    if target:
        command = [target + "-gcc"] if compiler == "gcc" else [compiler, "--target=" + target]

    def build_and_run():
        program = new_program()
        tap.output_of(
            *command, *options, *WARNINGS, *COMMON, "-U_FORTIFY_SOURCE", "-o", program,
            *RUNTIME, *CHECKS, LIBRARY_PART / ("switch-%s.S" % processor), "-lm",
        )  # fmt: skip
        run(program, [emulator, "-L", "/usr/" + target] if target else ())

    needs = [command[0], *needs]
    if target:
        needs += [emulator, target + "-gcc"]  # with which its C library comes
    if "-fuse-ld=lld" in options:
        needs.append("ld.lld")
    work(" ".join([*command, *options]), needs, build_and_run)


@functools.lru_cache(maxsize=None)
def runtime_objects(compiler, sanitizer):
    directory = tempfile.mkdtemp(dir=scratch.name)
    sources = [*RUNTIME, LIBRARY_PART / ("switch-%s.S" % platform.machine())]
    tap.output_of(compiler, "-O2", *sanitizer, *WARNINGS, *COMMON, "-c", *sources, cwd=directory)
    return sorted(pathlib.Path(directory).iterdir())


def add_cxx(compiler, options, sanitizer=()):
    c_compiler = {"g++": "gcc", "clang++": "clang"}[compiler]

    def build_and_run():
        program = new_program()
        tap.output_of(
            compiler, *options, *sanitizer, *WARNINGS, *COMMON, "-o", program, CXX_CHECKS,
            *runtime_objects(c_compiler, sanitizer),
        )  # fmt: skip
        run(program)

    work(" ".join([compiler, *options, *sanitizer]), [compiler, c_compiler], build_and_run)


# --- Where it works ---

for number, each_level in enumerate(LEVELS):
    for each_compiler in ("gcc", "clang"):
        for index, row in enumerate(rows(number % 2)):
            standard = STANDARDS[(number + index) % 2]
            add_c(each_compiler, [standard, each_level, *adapted(row, each_compiler, each_level, platform.machine())])
        add_c(each_compiler, ["-g", each_level, "-fsanitize=address,undefined", "-fno-sanitize-recover"])
    for each_compiler in ("g++", "clang++"):
        add_cxx(each_compiler, [CXX_STANDARDS[number], each_level])

for each_compiler in ("gcc", "clang"):
    for each_level in ("-O0", "-O2"):
        add_c(each_compiler, ["-g", each_level, "-fsanitize=thread"])
for each_compiler in ("g++", "clang++"):
    add_cxx(each_compiler, ["-O2", "-fstack-protector-all", "-fcf-protection=full"])
    add_cxx(each_compiler, ["-g", "-O1"], ("-fsanitize=address,undefined", "-fno-sanitize-recover"))

# Other ways to say where frames are, or none at all.
for each_options in (
    ["-g0", "-fno-asynchronous-unwind-tables"],
    ["-g", "-fno-asynchronous-unwind-tables"],
    ["-fno-dwarf2-cfi-asm"],
    ["-fexceptions", "-fnon-call-exceptions"],
):
    add_c("gcc", ["-O2", *each_options])
for each_options in (
    ["-g0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
    ["-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
    ["-fno-dwarf2-cfi-asm"],
    ["-fno-dwarf2-cfi-asm", "-fno-integrated-as"],
):
    add_c("clang", ["-O2", *each_options])

# Other opinions on code.
for each_options in (["-Og"], ["-Ofast", "-funroll-loops"], ["-O2", "-finstrument-functions"]):
    add_c("gcc", each_options)
for each_options in (["-Oz"], ["-Ofast", "-funroll-loops"], ["-O2", "-finstrument-functions"]):
    add_c("clang", each_options)

for each_target, (each_processor, _, levels) in FOREIGN.items():
    for number, each_level in enumerate(levels):
        for each_compiler in ("gcc", "clang"):
            row = list(rows(number % 2))[number % 4]
            add_c(each_compiler, [each_level, *adapted(row, each_compiler, each_level, each_processor)],
                  target=each_target)  # fmt: skip

# --- Where it does not ---

USE = """
#include <dillipc/dill-coroutine.h>
void call (int n);
int start (int n);
int start (int n) { return dill_go (call (n)); }
"""
SPAWN = """
#include <dillipc/dill-coroutine.h>
int start (DillFunc call);
int start (DillFunc call) { return dill_spawn (call, NULL); }
"""


def compile_text(text, command, headers):
    source = pathlib.Path(tempfile.mkdtemp(dir=scratch.name), "use.c")
    source.write_text(text)
    tap.output_of(*command, *headers, "-c", "-o", source.with_suffix(".o"), source)


def add_refusal(what, *command, headers=INCLUDES, needs=()):
    def check_refusal():
        compile_text(SPAWN, command, headers)
        try:
            compile_text(USE, command, headers)
        except AssertionError as failure:
            assert "dill_spawn" in str(failure), failure
        else:
            assert False, "it compiles"

    work("%s is told of dill_spawn ()" % what, [command[0], *needs], check_refusal)


def headers_of_another_clang():
    """The headers, as a clang would read them that does not know the pragma."""
    top = pathlib.Path(tempfile.mkdtemp(dir=scratch.name))
    text = (SOURCE_DIR / "dillipc" / "dill-go.h").read_text()
    assert "clang __debug captured" in text
    (top / "dillipc").mkdir()
    (top / "dillipc" / "dill-go.h").write_text(text.replace("clang __debug captured", "clang __debug unknown"))
    return ["-I", top, *INCLUDES]


def headers_of_no_processor():
    """What glibc's headers want to find on processors that this machine has no glibc for."""
    top = pathlib.Path(tempfile.mkdtemp(dir=scratch.name))
    (top / "gnu").mkdir()
    for name in ("stubs-32.h", "stubs-64-v2.h"):
        (top / "gnu" / name).write_text("")
    return ["-I", top, "-isystem", "/usr/include/" + platform.machine() + "-linux-gnu", *INCLUDES]


add_refusal("old gcc", "gcc", "-U__GNUC__", "-D__GNUC__=7")
add_refusal("a compiler that is called gcc", "gcc", "-D__EDG__=1")
add_refusal("another processor", "clang", "--target=powerpc64le-linux-gnu", headers=headers_of_no_processor())
add_refusal("a clang that has another opinion on its pragmas", "clang", headers=headers_of_another_clang())
add_refusal("SafeStack", "clang", "-fsanitize=safe-stack")
add_refusal("SafeStack in C++", "clang++", "-x", "c++", "-fsanitize=safe-stack")
# The headers of the C library for that processor come with its gcc.
add_refusal(
    "a shadow call stack",
    *("clang", "--target=aarch64-linux-gnu", "-fsanitize=shadow-call-stack", "-ffixed-x18"),
    needs=["aarch64-linux-gnu-gcc"],
)
add_refusal("C++98", "g++", "-x", "c++", "-std=c++98")
add_refusal("C++98 by clang", "clang++", "-x", "c++", "-std=c++98")


@tap.case("who includes it as C in C++ can use it")
def included_as_c():
    require("g++")
    compile_text('extern "C" {%s}' % USE, ["g++", "-x", "c++"], INCLUDES)


tap.run()
