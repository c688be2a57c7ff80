"""Runs the programs of the benchmarks: servers and clients as processes of their own, on processors of their own.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE = 120  # seconds that nothing here takes


class Missing(Exception):
    """A program that was not built: its library is not installed."""


class Bench:
    """The built programs, and a directory for sockets."""

    def __init__(self, programs):
        self.programs = pathlib.Path(programs)
        self.directory = tempfile.TemporaryDirectory(prefix="dillipc-")
        self.n_sockets = 0
        cpus = sorted(os.sched_getaffinity(0))
        self.cpus = (cpus[0], cpus[min(1, len(cpus) - 1)])

    def program(self, name):
        path = self.programs / name
        if not path.exists():
            raise Missing(name)
        return path

    def pin(self, command, cpu):
        return ["taskset", "-c", str(self.cpus[cpu]), *map(str, command)]

    def socket(self):
        self.n_sockets += 1
        return pathlib.Path(self.directory.name, "s%d" % self.n_sockets)

    def start(self, name, work, size, option="", prefix=(), **options):
        path = self.socket()
        command = [*prefix, self.program(name), work, path, size] + ([option] if option else [])
        server = subprocess.Popen(self.pin(command, 0), stdout=subprocess.PIPE, text=True, **options)
        assert server.stdout.readline() == "ready\n", name
        return server, path

    @staticmethod
    def stop(server):
        server.kill()
        server.wait()
        server.stdout.close()

    def output(self, name, arguments, cpu=0):
        """What a program prints."""
        command = self.pin([self.program(name), *arguments], cpu)
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=PATIENCE).stdout

    def client(self, path, work, size, active, idle, seconds, two_cpus, program="client"):
        if program == "client":
            arguments = [work, path, size, active, idle, seconds]
        else:
            arguments = [work, path, size, seconds]
        return float(self.output(program, arguments, 1 if two_cpus else 0))

    def rate(self, system, work, size, seconds, active=1, idle=0, two_cpus=False):
        """Operations in a second, and what one takes of the server: seconds of processor time, and context switches."""
        program, _, option = system.partition(":")
        server, path = self.start(program, work, size, option)
        try:
            pair = program if program.startswith("pair-") else "client"
            # To connect the idle ones takes time too, which is not what is measured.
            before = self.usage(server) if idle == 0 else None
            rate = self.client(path, work, size, active, idle, seconds, two_cpus, pair)
            if before is None:
                return rate, None
            return rate, [(end - begin) / (rate * seconds) for begin, end in zip(before, self.usage(server))]
        finally:
            self.stop(server)

    @staticmethod
    def usage(server):
        """Of all threads: processor time in seconds, and context switches."""
        seconds = switches = 0
        for task in pathlib.Path("/proc", str(server.pid), "task").iterdir():
            seconds += int((task / "schedstat").read_text().split()[0]) * 1e-9
            switches += sum(map(int, re.findall(r"voluntary_ctxt_switches:\s*(\d+)", (task / "status").read_text())))
        return seconds, switches

    def system_calls(self, system, work, size, operations=2000):
        """System calls of the server for one operation, counted by strace; None without that."""
        if not shutil.which("strace"):
            return None
        program, _, option = system.partition(":")
        log = self.socket()
        counts = []
        # What comes before and after the operations is the same in both runs.
        for seconds in (0.3, 0.9):
            server, path = self.start(program, work, size, option, ("strace", "-f", "-qq", "-c", "-o", log))
            try:
                rate = self.client(path, work, size, 1, 0, seconds, False)
            finally:
                subprocess.run(["pkill", "-KILL", "-P", str(server.pid)], check=False)
                server.wait()
                server.stdout.close()
            total = re.search(r"^ *100\.00\s+\S+\s+(?:\S+\s+)?(\d+)(?:\s+\d+)?\s+total$", log.read_text(), re.MULTILINE)
            counts.append((rate * seconds, int(total.group(1))))
        (few, some), (many, more) = counts
        return (more - some) / (many - few)

    def allocations(self, system, work, size, seconds=0.3):
        """Allocations of the server for one operation, in its steady state."""
        program, _, option = system.partition(":")
        environment = dict(os.environ, LD_PRELOAD=str(self.program("libcount-malloc.so")))
        server, path = self.start(program, work, size, option, env=environment, stderr=subprocess.PIPE)
        try:
            self.client(path, work, size, 1, 0, 0.1, False)
            before = self.ask(server)
            rate = self.client(path, work, size, 1, 0, seconds, False)
            return (self.ask(server) - before) / (rate * seconds)
        finally:
            server.stderr.close()
            self.stop(server)

    @staticmethod
    def ask(server):
        server.send_signal(signal.SIGUSR1)
        return int(server.stderr.readline())

    def alone(self, system, work, size, operations):
        """Nanoseconds of one operation of a server and its client in one thread."""
        return float(self.output("alone", [work, self.socket(), size, system, operations]))

    def coroutines(self, *arguments):
        """The figures of the program coroutines, by name."""
        lines = self.output("coroutines", arguments).splitlines()
        return {name: float(value) for name, value in (line.split() for line in lines)}


def describe_machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    glib = subprocess.run(["pkg-config", "--modversion", "glib-2.0"], stdout=subprocess.PIPE, text=True, check=False)
    return "%d processors (%s), Linux %s, GLib %s, %s" % (
        len(os.sched_getaffinity(0)),
        cpu.group(1) if cpu else os.uname().machine,
        os.uname().release,
        glib.stdout.strip(),
        time.strftime("%Y-%m-%d"),
    )
