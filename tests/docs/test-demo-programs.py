"""The example daemon and its client, as their users run them.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import digest_programs
import tap
from digest_programs import LIMIT, Daemon, Peer, run_client, scratch, sha256_of_abc, sha256sum

# Around the size of a frame, and far beyond it.
SIZES = (0, 1, 65535, 65536, 65537, 5_000_000)

# "sha256sum" escapes some of these; none is valid in every encoding.
NAMES = ("plain", "with space", "-dash", "back\\slash", "new\nline", "carriage\rreturn", "käse", b"latin-\xe4")


def make_tree(top):
    """Files of all sizes and names, and what a walk must leave aside; returns the files in order."""
    noise = random.Random(1)
    inner = top / "a" / "b"
    inner.mkdir(parents=True)
    for size in SIZES:
        (top / ("size-%d" % size)).write_bytes(noise.randbytes(size))
    for name in NAMES:
        path = os.path.join(os.fsencode(inner), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(path)
    (top / "a.c").write_bytes(b"sorted by whole paths, this comes before what is in a/")

    files = sorted(os.path.join(d, f) for d, _, fs in os.walk(os.fsencode(top)) for f in fs)
    os.mkfifo(top / "fifo")
    (top / "link").symlink_to("a.c")
    (top / "circle").symlink_to(".")
    return files


@tap.case("a directory: the digests of all its files, in order, as sha256sum prints them")
def directory():
    with scratch() as top, Daemon(top) as daemon:
        files = make_tree(top / "tree")
        result = daemon.client(top / "tree")
        assert result.returncode == 0 and result.stderr == b"", result
        assert result.stdout == sha256sum(*files), result.stdout
        subprocess.run(["sha256sum", "--check", "--quiet"], input=result.stdout, check=True)
        account = daemon.end()
        assert "connections served: 1\nfiles digested: %d (" % len(files) in account, account


@tap.case("the same with passed descriptors")
def passed():
    with scratch() as top, Daemon(top) as daemon:
        files = make_tree(top / "tree")
        result = daemon.client("--pass-descriptor", top / "tree")
        assert result.returncode == 0 and result.stderr == b"", result
        assert result.stdout == sha256sum(*files), result.stdout


@tap.case("a list of files that ends each with a zero byte")
def listed():
    with scratch() as top, Daemon(top) as daemon:
        files = make_tree(top / "tree")
        files.reverse()
        content = b"".join(name + b"\0" for name in files)
        (top / "list").write_bytes(content)
        for list_name, stdin in ((top / "list", None), ("-", content)):
            result = daemon.client("--files0-from=%s" % list_name, stdin=stdin)
            assert result.returncode == 0 and result.stdout == sha256sum(*files), result


@tap.case("a symbolic link on the command line is followed")
def link():
    with scratch() as top, Daemon(top) as daemon:
        make_tree(top / "tree")
        result = daemon.client(top / "tree" / "link")
        assert result.stdout == sha256sum(top / "tree" / "link"), result
        result = daemon.client(top / "tree" / "circle")
        assert result.returncode == 0 and len(result.stdout.splitlines()) == len(SIZES) + len(NAMES) + 1, result


@tap.case("ten clients at once, and not a descriptor more afterwards")
def several():
    with scratch() as top, Daemon(top) as daemon:
        expected = sha256sum(*make_tree(top / "tree"))
        before = daemon.count_descriptors()
        results = []

        def run(i):
            options = ["--pass-descriptor"] if i % 2 else []
            results.append(daemon.client(*options, top / "tree"))

        threads = [threading.Thread(target=run, args=(i,)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(r.returncode, r.stdout, r.stderr) for r in results] == [(0, expected, b"")] * 10, results
        daemon.expect_descriptors(before)
        digest_programs.expect_in_time(daemon.end())


@tap.case("files that cannot be read are reported, the others digested")
def unreadable():
    with scratch() as top, Daemon(top) as daemon:
        (top / "good").write_bytes(b"abc")
        os.mkfifo(top / "fifo")
        for options in ([], ["--pass-descriptor"]):
            result = daemon.client(*options, top / "missing", top / "fifo", "/dev/null", top / "good")
            assert result.returncode == 1, result
            assert result.stdout == sha256sum(top / "good"), result
            assert result.stderr.decode() == (
                "dill-digest: %s/missing: No such file or directory\n"
                "dill-digest: %s/fifo: not a regular file\n"
                "dill-digest: /dev/null: not a regular file\n" % (top, top)
            ), result


@tap.case("a file that cannot be read to its end is abandoned")
def abandoned():
    # The memory of a process: opening succeeds, reading the page at address 0 does not.
    with scratch() as top, Daemon(top) as daemon:
        (top / "good").write_bytes(b"abc")
        for options in ([], ["--pass-descriptor"]):
            result = daemon.client(*options, "/proc/self/mem", top / "good")
            assert result.returncode == 1 and result.stdout == sha256sum(top / "good"), result
            assert b"/proc/self/mem: Input/output error\n" in result.stderr, result


@tap.case("a passed descriptor's offset is neither used nor moved")
def offset():
    with scratch() as top, Daemon(top) as daemon:
        (top / "file").write_bytes(b"abc")
        with Peer(daemon.socket) as peer, open(top / "file", "rb") as file:
            os.lseek(file.fileno(), 2, os.SEEK_SET)
            assert peer.pass_descriptor(file.fileno()) == ("R", sha256_of_abc())
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 2


@tap.case("output that cannot be written")
def full_output():
    with scratch() as top, Daemon(top) as daemon, open("/dev/full", "wb") as full:
        (top / "file").write_bytes(b"abc")
        command = [digest_programs.DIGEST, "--socket=%s" % daemon.socket, top / "file"]
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=digest_programs.environment(), timeout=LIMIT, check=False
        )
        assert result.returncode == 1, result
        assert result.stderr == b"dill-digest: cannot write the digests: No space left on device\n", result


@tap.case("no daemon, and none that answers")
def no_daemon():
    with scratch() as top, socket.socket(socket.AF_UNIX) as listener:
        result = run_client(top / "socket", "/etc/passwd")
        assert result.returncode == 1 and result.stdout == b"", result
        assert result.stderr == b"dill-digest: cannot connect to %s/socket: No such file or directory\n" % bytes(top)

        listener.bind(str(top / "silent"))
        listener.listen()
        result = run_client(top / "silent", "--timeout=1", "/etc/passwd")
        assert result.returncode == 1 and result.stdout == b"", result
        assert result.stderr == b"dill-digest: lost the connection to %s/silent: Connection timed out\n" % bytes(top)


@tap.case("a daemon that is none: it hangs up, or talks nonsense")
def false_daemon():
    for nonsense, reason in ((b"", "Connection reset by peer"), (b"HTTP/1.1 200 OK\r\n", "Protocol error")):
        with scratch() as top, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(top / "socket"))
            listener.listen()

            def answer():
                connection = listener.accept()[0]
                while b"E\0\0\0\0" not in connection.recv(65536):
                    pass
                connection.sendall(nonsense)
                connection.close()

            thread = threading.Thread(target=answer)
            thread.start()
            result = run_client(top / "socket", "/etc/passwd")
            thread.join()
            assert result.returncode == 1 and result.stdout == b"", result
            assert result.stderr.decode().endswith("%s/socket: %s\n" % (top, reason)), result


@tap.case("the socket file: for its owner alone, taken over from a dead daemon, not from a living one")
def socket_file():
    with scratch() as top:
        with Daemon(top) as daemon:
            assert daemon.socket.stat().st_mode & 0o777 == 0o600
            second = subprocess.run(
                [digest_programs.DIGESTD, "--socket=%s" % daemon.socket],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=digest_programs.environment(),
                timeout=LIMIT, check=False,
            )  # fmt: skip
            assert second.returncode == 1 and second.stdout == "", second
            message = "dill-digestd: cannot listen on %s: Address already in use\n"
            assert second.stderr == message % daemon.socket, second
            daemon.expect_service()
            daemon.process.kill()
            daemon.process.wait()
            assert daemon.socket.exists()
        with Daemon(top) as daemon:
            daemon.expect_service()
            daemon.end()


@tap.case("no more clients than --max-connections at a time; others wait")
def limited():
    with scratch() as top, Daemon(top, "--max-connections=1") as daemon:
        with Peer(daemon.socket) as first, Peer(daemon.socket) as second:
            second.send("E")
            for _ in range(100):
                first.send("E")
                assert first.receive()[0] == "R"
            assert not select.select([second.socket], [], [], 0)[0], "two were served at once"
            first.socket.close()
            assert second.receive()[0] == "R"


@tap.case("SIGTERM during a transfer: no new client, but this one is served to its end")
def drained():
    for number in (signal.SIGTERM, signal.SIGINT):
        with scratch() as top, Daemon(top, "--drain=%d" % LIMIT) as daemon, Peer(daemon.socket) as peer:
            peer.send("D", b"x")
            peer.send("E")
            peer.receive()  # now it is certain that the connection is served
            peer.send("D", b"a")
            assert daemon.begin_to_end(number) == "draining 1 connection\n"
            try:
                Peer(daemon.socket)
            except FileNotFoundError:
                pass
            else:
                raise AssertionError("a new client is accepted")
            peer.send("D", b"bc")
            peer.send("E")
            assert peer.receive() == ("R", sha256_of_abc())
            peer.socket.close()
            assert "files digested: 2 (" in daemon.wait_for_end() and daemon.errors() == "", daemon.errors()


@tap.case("a real transfer outlives SIGTERM")
def drained_client():
    # The daemon still reads the client's first file (a sparse one: 128 MiB of zeros) when the signal comes.
    with scratch() as top, Daemon(top, "--drain=%d" % LIMIT, "--timeout=%d" % LIMIT) as daemon:
        with open(top / "large", "wb") as file:
            file.truncate(128 << 20)
        before = daemon.count_descriptors()
        client = subprocess.Popen(
            [digest_programs.DIGEST, "--socket=%s" % daemon.socket, top / "large"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=digest_programs.environment(),
        )  # fmt: skip
        while daemon.count_descriptors() == before and client.poll() is None:
            time.sleep(0.001)
        assert daemon.begin_to_end() == "draining 1 connection\n"
        output, errors = client.communicate(timeout=LIMIT)
        assert client.returncode == 0 and errors == b"" and output == sha256sum(top / "large"), (output, errors)
        digest_programs.expect_in_time(daemon.wait_for_end())


@tap.case("a client that does not end is cut off after --drain seconds")
def cut_off():
    with scratch() as top, Daemon(top, "--drain=1") as daemon, Peer(daemon.socket) as peer:
        peer.send("E")
        peer.receive()
        start = time.monotonic()
        daemon.end()
        assert 0.9 < time.monotonic() - start < 30
        assert daemon.errors().splitlines()[0] == "dill-digestd: 1 connection was cut off", daemon.errors()
        peer.expect_cut_off()


@tap.case("a second signal cuts the waiting short")
def second_signal():
    with scratch() as top, Daemon(top, "--drain=3600") as daemon, Peer(daemon.socket) as peer:
        peer.send("E")
        peer.receive()
        assert daemon.begin_to_end() == "draining 1 connection\n"
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            daemon.process.send_signal(number)
        daemon.wait_for_end()
        assert daemon.errors().splitlines()[0] == "dill-digestd: 1 connection was cut off", daemon.errors()
        peer.expect_cut_off()


@tap.case("wrong command lines")
def command_lines():
    cases = (
        (digest_programs.DIGESTD, ["--timeout=0"], "--timeout must be from 1 to 86400"),
        (digest_programs.DIGESTD, ["--max-connections=0"], "--max-connections must be from 1 to 4096"),
        (digest_programs.DIGESTD, ["--drain=-1"], "--drain must be from 0 to 86400"),
        (digest_programs.DIGESTD, ["argument"], "no arguments are expected"),
        (digest_programs.DIGEST, [], "no file is given; --help tells more"),
        (digest_programs.DIGEST, ["--timeout=0", "file"], "--timeout must be from 1 to 86400"),
        (digest_programs.DIGEST, ["--files0-from=/nonexistent"], "/nonexistent"),
        (digest_programs.DIGEST, ["--nonsense"], "--nonsense"),
    )
    with scratch() as top:
        for program, arguments, message in cases:
            result = subprocess.run(
                [program, "--socket=%s/socket" % top, *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=digest_programs.environment(),
                timeout=LIMIT, check=False,
            )  # fmt: skip
            assert result.returncode == 1 and result.stdout == "" and message in result.stderr, result


def locale_variables(top, name):
    """The variables that choose a locale, which is made if the system lacks it: without one, nothing is translated."""
    if name in subprocess.run(["locale", "-a"], stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        return {"LC_ALL": name}
    language = name.partition(".")[0]
    if not shutil.which("localedef") or not pathlib.Path("/usr/share/i18n/locales", language).exists():
        raise tap.Skip("there is no locale %s, and nothing to make it from (Debian's package locales)" % name)
    # Status 1 stands for warnings here.
    command = ["localedef", "-i", language, "-f", "UTF-8", top / (language + ".utf8")]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
    return {"LC_ALL": language + ".UTF-8", "LOCPATH": str(top)}


def install_catalogue(top, language):
    """Where the programs find their messages in a language; in a build tree Meson does the same, in po/."""
    if not shutil.which("msgfmt"):
        raise tap.Skip("msgfmt is not installed (Debian's package gettext)")
    directory = top / language / "LC_MESSAGES"
    directory.mkdir(parents=True)
    catalogue = pathlib.Path(os.environ["SOURCE_DIR"], "po", language + ".po")
    subprocess.run(["msgfmt", "-o", directory / "dillipc.mo", catalogue], check=True)
    return {"DILLIPC_LOCALEDIR": str(top)}


def speak(name, listening, draining, refusal):
    with scratch() as top:
        variables = {**locale_variables(top, name), **install_catalogue(top, name.partition("_")[0])}
        with Daemon(top, **variables) as daemon:
            assert daemon.first_line == listening % daemon.socket, daemon.first_line
            result = daemon.client("/dev/null", **variables)
            assert result.stderr.decode() == refusal, result
            assert daemon.begin_to_end() == draining


@tap.case("messages in German")
def german():
    speak(
        "de_DE.utf8",
        "wartet auf Verbindungen unter %s\n",
        "wartet auf das Ende von 0 Verbindungen\n",
        "dill-digest: /dev/null: keine reguläre Datei\n",
    )


@tap.case("messages in French")
def french():
    speak(
        "fr_FR.utf8",
        "à l’écoute sur %s\n",
        "0 connexion reste à terminer\n",
        "dill-digest: /dev/null: ce n’est pas un fichier ordinaire\n",
    )


digest_programs.run_cases()
