"""The example program dill-sealed, as its users run it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import subprocess
import tempfile

import tap

PROGRAM = pathlib.Path(os.environ["BUILD_DIR"]) / "docs" / "examples" / "dill-sealed"

# Nothing here takes longer, on however busy a machine.
LIMIT = 60


class Server:
    """One that listens in a directory of its own, and ends with the "with" block."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="dillipc-")
        self.socket = pathlib.Path(self.directory.name) / "socket"
        self.process = subprocess.Popen(
            [PROGRAM, "serve", self.socket, self.key(b"secret")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout.readline() == b"listening on %s\n" % bytes(self.socket)
        return self

    def key(self, content):
        path = pathlib.Path(self.directory.name) / "key"
        path.write_bytes(content)
        return path

    def client(self, lines, key=b"secret"):
        return subprocess.run(
            [PROGRAM, "send", self.socket, self.key(key)],
            input=lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False,
        )  # fmt: skip

    def __exit__(self, *_):
        try:
            self.output, self.errors = self.process.communicate(timeout=LIMIT)
        finally:
            self.process.kill()
            self.directory.cleanup()


@tap.case("lines come back in capitals, of one client after the other")
def lines():
    with Server() as server:
        for _ in range(2):
            result = server.client(b"hello\n\nworld " + 2000 * b"x" + b"\n")
            assert result.returncode == 0 and result.stderr == b"", result
            assert result.stdout == b"HELLO\n\nWORLD " + 2000 * b"X" + b"\n", result.stdout
    assert server.process.returncode == 0 and server.errors == b"", server.errors


@tap.case("who has another key is cut off, and nobody else")
def stranger():
    with Server() as server:
        result = server.client(b"hello\n", key=b"guess")
        assert result.returncode != 0 and result.stdout == b"", result
        assert server.client(b"hello\n").stdout == b"HELLO\n"
    assert server.process.returncode == 0 and b"cut off" in server.errors, server.errors


@tap.case("the server leaves no socket file behind")
def socket_file():
    with Server() as server:
        socket = server.socket
        assert socket.is_socket()
        server.process.stdin.close()
        server.process.wait(LIMIT)
        assert server.process.returncode == 0 and not socket.exists()
        server.process.stdin = None


tap.run()
