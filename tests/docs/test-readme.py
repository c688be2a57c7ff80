"""README.md: its programs, built as printed with the installed library, run with each other.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import hashlib
import re
import subprocess
import threading

import tap
from installation import SOURCE_DIR, Installation

README = (SOURCE_DIR / "README.md").read_text(encoding="utf-8")
LIMIT = 30  # seconds that nothing here comes near


def blocks(language):
    return re.findall(r"^```%s\n(.*?)^```$" % language, README, re.MULTILINE | re.DOTALL)


class Server:
    """The server, running for the length of a "with" block."""

    def __init__(self, program, path, environment):
        self.process = subprocess.Popen(
            [program, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment
        )
        self.guard = threading.Timer(LIMIT, self.process.kill)
        self.guard.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guard.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for_tick(self):
        """The timer ticks only while the main loop turns; a server that is dead gives the empty line."""
        line = self.process.stdout.readline()
        assert line == b"tick\n", line


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
            length = len([line for line in source.splitlines() if line.strip()])
            assert length <= 35, "the %s has %d lines" % (name, length)
            programs[name] = installed.build(name, source)

    @tap.case("the client prints what the server has computed")
    def run():
        data = README.encode() * 100
        with Server(programs["server"], path, installed.environment) as server:
            server.wait_for_tick()
            client = start_client(programs["client"], path, installed.environment)
            output, _ = client.communicate(data, timeout=LIMIT)
        assert client.returncode == 0
        assert output.decode() == hashlib.sha256(data).hexdigest() + "\n", output

    @tap.case("the server ticks, and serves others, while a client keeps it waiting")
    def tick():
        # A killed server leaves its file behind.
        path.unlink(missing_ok=True)
        with Server(programs["server"], path, installed.environment) as server:
            server.wait_for_tick()
            slow = start_client(programs["client"], path, installed.environment)
            server.wait_for_tick()
            quick = start_client(programs["client"], path, installed.environment)
            output, _ = quick.communicate(b"quick", timeout=LIMIT)
            assert output.decode() == hashlib.sha256(b"quick").hexdigest() + "\n", output
            assert slow.poll() is None, "it did not wait"
            output, _ = slow.communicate(b"slow", timeout=LIMIT)
            assert output.decode() == hashlib.sha256(b"slow").hexdigest() + "\n", output

    tap.run()
