"""README.md: its programs, built as printed with the installed library, run with each other.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import hashlib
import re
import socket
import subprocess
import threading
import time

import tap
from installation import SOURCE_DIR, Installation

README = (SOURCE_DIR / "README.md").read_text(encoding="utf-8")
LIMIT = 30  # seconds that nothing here comes near


def blocks(language):
    return re.findall(r"^```%s\n(.*?)^```$" % language, README, re.MULTILINE | re.DOTALL)


class Server:
    """The server, running for the length of a "with" block."""

    def __init__(self, program, path, environment):
        # One that was killed has left its file behind.
        path.unlink(missing_ok=True)
        self.path = path
        self.process = subprocess.Popen([program, path], stdin=subprocess.DEVNULL, env=environment)
        self.guard = threading.Timer(LIMIT, self.process.kill)
        self.guard.start()

    def __enter__(self):
        self.connect().close()
        return self

    def __exit__(self, *_):
        self.guard.cancel()
        self.process.kill()
        self.process.wait()

    def connect(self):
        """A connection to it, as soon as it listens."""
        while True:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(LIMIT)
            try:
                connection.connect(str(self.path))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                assert self.process.poll() is None, "the server has ended"
                time.sleep(0.001)


def read_all(connection):
    data = b""
    while chunk := connection.recv(4096):
        data += chunk
    return data


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


def start_client(program, path, environment):
    return subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


@tap.case("begins with the two commands")
def commands():
    first = blocks("sh")[0]
    scripts = re.findall(r"^sh (\S+)", first, re.MULTILINE)
    assert README.index(first) < 50, "they do not come first"
    assert scripts == ["docs/demo.sh", "tests/run.sh"], scripts
    assert all((SOURCE_DIR / name).is_file() for name in scripts)


@tap.case("links to files that exist")
def links():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    missing = [target for target in targets if not (SOURCE_DIR / target).exists()]
    assert targets and not missing, missing


with Installation() as installed:
    programs = {}
    path = installed.scratch / "digest.socket"

    @tap.case("shows a server and a client that compile as printed")
    def build():
        server, client = blocks("c")
        for name, source in (("server", server), ("client", client)):
            length = len(source.splitlines())
            assert length <= 30, "the %s has %d lines" % (name, length)
            programs[name] = installed.build(name, source)

    @tap.case("the client prints what the server has computed")
    def run():
        data = README.encode() * 100
        with Server(programs["server"], path, installed.environment):
            client = start_client(programs["client"], path, installed.environment)
            output, _ = client.communicate(data, timeout=LIMIT)
        assert client.returncode == 0
        assert output.decode() == digest_of(data) + "\n", output

    @tap.case("the server serves others while a client keeps it waiting")
    def wait():
        with Server(programs["server"], path, installed.environment) as server, server.connect() as slow:
            slow.sendall(b"sl")
            quick = start_client(programs["client"], path, installed.environment)
            output, _ = quick.communicate(b"quick", timeout=LIMIT)
            assert output.decode() == digest_of(b"quick") + "\n", output
            slow.sendall(b"ow")
            slow.shutdown(socket.SHUT_WR)
            assert read_all(slow).decode() == digest_of(b"slow")

    tap.run()
