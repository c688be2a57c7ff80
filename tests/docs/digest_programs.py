"""Runs dill-digestd and dill-digest for tests, and speaks their protocol byte by byte where a test must misbehave.

Relies on BUILD_DIR, as Meson sets it for test scripts.  The protocol is described in docs/examples/digest-protocol.h.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import array
import contextlib
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import tap

BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])
DIGESTD = BUILD_DIR / "docs" / "examples" / "dill-digestd"
DIGEST = BUILD_DIR / "docs" / "examples" / "dill-digest"

# Nothing here takes longer, on however busy a machine.
LIMIT = 60

# How late a tick of the daemon's loop may be, in milliseconds: the same factors as in test_slowdown () of test-tools.c.
DELAY_MAX = 500 * (5 if "TSAN_OPTIONS" in os.environ else 3 if "ASAN_OPTIONS" in os.environ else 1)


def environment(**changes):
    """What the programs run in: messages are not translated unless a test says so."""
    result = dict(os.environ, LC_ALL="C.UTF-8")
    result.pop("LANGUAGE", None)
    result.update(changes)
    return result


@contextlib.contextmanager
def scratch():
    """An empty directory, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dillipc-") as directory:
        yield pathlib.Path(directory)


class Daemon:
    """A dill-digestd that listens; killed after the "with" block, if it still runs."""

    def __init__(self, directory, *options, **variables):
        self.socket = directory / "socket"
        self._errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [DIGESTD, "--socket=%s" % self.socket, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment(**variables),
        )
        with self._limit():
            self.first_line = self.process.stdout.readline()
        assert self.first_line.endswith("%s\n" % self.socket), self.first_line + self.errors()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._errors.close()

    @contextlib.contextmanager
    def _limit(self):
        """Kills the daemon if it has not done in time what is waited for."""
        limit = threading.Timer(LIMIT, self.process.kill)
        limit.start()
        try:
            yield
        finally:
            limit.cancel()

    def errors(self):
        """All that it has printed on standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def begin_to_end(self, number=signal.SIGTERM):
        """Tells it to end; returns what it says to that."""
        with self._limit():
            self.process.send_signal(number)
            return self.process.stdout.readline()

    def end(self):
        """Tells it to end, and waits until it has; returns its account."""
        assert self.begin_to_end().startswith("draining "), self.errors()
        return self.wait_for_end()

    def wait_for_end(self):
        """Waits until it has ended as it should; returns its account."""
        with self._limit():
            account = self.process.stdout.read()
            self.process.wait()
        assert self.process.returncode == 0, "exit status %d\n%s" % (self.process.returncode, self.errors())
        assert not self.socket.exists(), "the socket file is left behind"
        return account

    def count_descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def expect_descriptors(self, expected):
        """The daemon closes its end of a connection after the client; there is no event to wait for."""
        end = time.monotonic() + LIMIT
        while self.count_descriptors() != expected and time.monotonic() < end:
            time.sleep(0.01)
        links = ["/proc/%d/fd/%s" % (self.process.pid, fd) for fd in os.listdir("/proc/%d/fd" % self.process.pid)]
        open_now = sorted(os.readlink(link) for link in links)
        assert len(open_now) == expected, "%d descriptors expected, open: %s" % (expected, open_now)

    def client(self, *arguments, **options):
        """Runs dill-digest to its end."""
        return run_client(self.socket, *arguments, **options)

    def expect_service(self):
        """A well-behaved client gets its answer."""
        with Peer(self.socket) as peer:
            peer.send("D", b"abc")
            peer.send("E")
            assert peer.receive() == ("R", sha256_of_abc()), "the daemon does not serve any more"


def sha256_of_abc():
    # FIPS 180-4, the one-block example.
    return bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def run_client(socket_path, *arguments, stdin=None, **variables):
    return subprocess.run(
        [DIGEST, "--socket=%s" % socket_path, *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**variables),
        timeout=LIMIT,
        check=False,
    )


def sha256sum(*paths, cwd=None):
    """What the independent tool prints."""
    return subprocess.run(["sha256sum", "--", *paths], stdout=subprocess.PIPE, cwd=cwd, check=True).stdout


class Peer:
    """A client that does what a test wants, good or bad."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # before it has a time-out: such a socket does not wait for room in the backlog
        self.socket.settimeout(LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, payload=b""):
        self.socket.sendall(kind.encode() + struct.pack(">I", len(payload)) + payload)

    def send_descriptors(self, *descriptors, data=b"\0"):
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        assert self.socket.sendmsg([data], [rights]) == len(data)

    def pass_descriptor(self, descriptor):
        """Returns the answer."""
        self.send("P")
        self.send_descriptors(descriptor)
        return self.receive()

    def _receive_exactly(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            assert piece, "the daemon has closed the connection"
            data += piece
        return data

    def receive(self):
        """One frame: its type and its payload."""
        kind, length = struct.unpack(">cI", self._receive_exactly(5))
        return kind.decode(), self._receive_exactly(length)

    def expect_cut_off(self):
        """The daemon closes the connection without a word, or resets it because it has not read all that came."""
        try:
            rest = self.socket.recv(1)
        except ConnectionResetError:
            return
        assert rest == b"", "the daemon answered"


def expect_in_time(account):
    """The main loop was never held up, as the daemon's account tells."""
    match = re.search(r"^ticks: (\d+), one every 10 ms, worst delay (\d+)\.\d ms$", account, re.MULTILINE)
    assert match, account
    ticks, delay = map(int, match.groups())
    assert ticks > 0, account
    assert delay < DELAY_MAX, account


def run_cases():
    """tap.run (), if the programs are built: Meson has these tests only where it has the programs."""
    if not DIGESTD.exists() or not DIGEST.exists():
        print("Bail out! %s and %s are not built" % (DIGESTD, DIGEST))
        sys.exit(1)
    tap.run()
