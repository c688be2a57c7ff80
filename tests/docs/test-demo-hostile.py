"""What clients of the example daemon may do wrong, from ignorance or from malice: it harms nobody but themselves.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import random
import resource
import socket
import struct
import tempfile
import threading

import digest_programs
import tap
from digest_programs import LIMIT, Daemon, Peer, scratch, sha256_of_abc

PROTOCOL_ERROR = "Protocol error"
TIMED_OUT = "Connection timed out"


def own_line(reason):
    """What the daemon says when it cuts off this process."""
    return "dill-digestd: client %d of user %d: %s" % (os.getpid(), os.getuid(), reason)


def expect_cut_off(act):
    """Whoever does this is cut off, which is reported; others are served, and no descriptor is lost."""
    with scratch() as top, Daemon(top) as daemon:
        daemon.expect_service()
        with Peer(daemon.socket) as bystander:
            bystander.send("D", b"a")
            bystander.send("A")
            bystander.send("E")
            bystander.receive()
            before = daemon.count_descriptors()
            with Peer(daemon.socket) as peer:
                act(peer)
                peer.expect_cut_off()
            daemon.expect_descriptors(before)
            bystander.send("D", b"abc")
            bystander.send("E")
            assert bystander.receive() == ("R", sha256_of_abc())
        daemon.expect_service()
        daemon.end()
        assert daemon.errors().splitlines() == [own_line(PROTOCOL_ERROR)], daemon.errors()


@tap.case("garbage")
def garbage():
    expect_cut_off(lambda peer: peer.socket.sendall(random.Random(2).randbytes(100_000)))


@tap.case("a frame longer than any may be")
def too_long():
    expect_cut_off(lambda peer: peer.socket.sendall(b"D\xff\xff\xff\xff"))


@tap.case("a frame one byte longer than it may be")
def slightly_too_long():
    expect_cut_off(lambda peer: peer.socket.sendall(b"D" + struct.pack(">I", 65537)))


@tap.case("a frame of no data")
def empty_data():
    expect_cut_off(lambda peer: peer.send("D"))


@tap.case("a payload where there is none")
def payload_of_end():
    expect_cut_off(lambda peer: peer.send("E", b"x"))


@tap.case("a frame that only the daemon sends")
def result():
    expect_cut_off(lambda peer: peer.send("R", bytes(32)))


@tap.case("the end of the stream within a frame")
def half_a_frame():
    for part in (b"D", b"D\0", b"D\0\0\0\5abcd"):

        def act(peer, part=part):
            peer.socket.sendall(part)
            peer.socket.shutdown(socket.SHUT_WR)

        expect_cut_off(act)


@tap.case("the end of the stream within a file")
def half_a_file():
    def act(peer):
        peer.send("D", b"abc")
        peer.socket.shutdown(socket.SHUT_WR)

    expect_cut_off(act)


@tap.case("the end of the stream where a descriptor should come")
def end_for_descriptor():
    def act(peer):
        peer.send("P")
        peer.socket.shutdown(socket.SHUT_WR)

    expect_cut_off(act)


@tap.case("a byte without the descriptor it should bring")
def no_descriptor():
    def act(peer):
        peer.send("P")
        peer.socket.sendall(b"x")

    expect_cut_off(act)


@tap.case("a descriptor in the middle of a file")
def misplaced_descriptor():
    def act(peer):
        peer.send("D", b"abc")
        peer.send("P")

    expect_cut_off(act)


@tap.case("silence: before a frame, within one, and where a descriptor should come")
def silence():
    parts = (b"", b"D\0\0", b"P\0\0\0\0")
    with scratch() as top, Daemon(top, "--timeout=1") as daemon:
        before = daemon.count_descriptors()
        peers = [Peer(daemon.socket) for _ in parts]
        for peer, part in zip(peers, parts):
            peer.socket.sendall(part)
        daemon.expect_service()
        for peer in peers:
            peer.expect_cut_off()
            peer.socket.close()
        daemon.expect_descriptors(before)
        digest_programs.expect_in_time(daemon.end())
        assert daemon.errors().splitlines() == [own_line(TIMED_OUT)] * len(parts), daemon.errors()


@tap.case("a client that never reads its answers")
def deaf():
    with scratch() as top, Daemon(top, "--timeout=1") as daemon, Peer(daemon.socket) as peer:
        try:
            while True:
                peer.socket.sendall(b"E\0\0\0\0" * 1000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        daemon.expect_service()
        assert TIMED_OUT in daemon.errors(), daemon.errors()
        digest_programs.expect_in_time(daemon.end())


@tap.case("clients that connect and vanish")
def vanishing():
    with scratch() as top, Daemon(top, "--max-connections=8") as daemon:
        before = daemon.count_descriptors()
        for _ in range(500):
            with Peer(daemon.socket):
                pass
        daemon.expect_service()
        daemon.expect_descriptors(before)
        assert daemon.errors() == "", daemon.errors()
        account = daemon.end()
        assert account.startswith("connections served: 501\n"), account


@tap.case("descriptors that are not of regular files are refused, one after the other")
def irregular():
    with scratch() as top, Daemon(top) as daemon, Peer(daemon.socket) as peer, tempfile.TemporaryFile() as good:
        os.mkfifo(top / "fifo")
        good.write(b"abc")
        good.flush()
        peer.send("E")
        peer.receive()  # from here on its descriptor counts, too
        before = daemon.count_descriptors()
        for path in (top / "fifo", top, "/dev/zero", "/dev/null"):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            assert peer.pass_descriptor(fd) == ("N", b""), path
            os.close(fd)
        for fd in (*os.pipe(), peer.socket.fileno()):
            assert peer.pass_descriptor(fd) == ("N", b""), fd
        assert peer.pass_descriptor(good.fileno()) == ("R", sha256_of_abc())
        daemon.expect_descriptors(before)
        daemon.expect_service()


@tap.case("descriptors that cannot be read: their errno is the answer")
def unreadable():
    with scratch() as top, Daemon(top) as daemon, Peer(daemon.socket) as peer:
        for flags in (os.O_WRONLY | os.O_CREAT, os.O_PATH):
            fd = os.open(top / "file", flags)
            kind, payload = peer.pass_descriptor(fd)
            assert kind == "F" and os.strerror(struct.unpack(">I", payload)[0]) == "Bad file descriptor", payload
            os.close(fd)
        daemon.expect_service()


@tap.case("a file without an end is given up when its time is over, and holds up nobody")
def endless():
    with scratch() as top, Daemon(top, "--timeout=1") as daemon, Peer(daemon.socket) as peer:
        with open(top / "hole", "w+b") as file:
            file.truncate(1 << 40)
            peer.send("P")
            peer.send_descriptors(file.fileno())
            daemon.expect_service()
            kind, payload = peer.receive()
        assert kind == "F" and os.strerror(struct.unpack(">I", payload)[0]) == TIMED_OUT, payload
        digest_programs.expect_in_time(daemon.end())


@tap.case("descriptors where none are expected, and more than one: closed, not kept")
def surplus():
    with scratch() as top, Daemon(top) as daemon, Peer(daemon.socket) as peer, tempfile.TemporaryFile() as good:
        good.write(b"abc")
        good.flush()
        peer.send("E")
        peer.receive()
        before = daemon.count_descriptors()

        peer.send_descriptors(good.fileno(), data=b"D\0\0\0\3abcE\0\0\0\0")
        assert peer.receive() == ("R", sha256_of_abc())
        daemon.expect_descriptors(before)

        read_end, write_end = os.pipe()
        peer.send("P")
        peer.send_descriptors(good.fileno(), read_end, write_end)
        assert peer.receive() == ("R", sha256_of_abc())
        daemon.expect_descriptors(before)
        os.close(write_end)
        assert os.read(read_end, 1) == b"", "the daemon holds the pipe open"
        os.close(read_end)


@tap.case("more connections than the daemon has descriptors for: some wait, all are served")
def no_descriptor_left():
    with scratch() as top, Daemon(top) as daemon:
        before = daemon.count_descriptors()
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (before + 4, before + 4))
        peers = [Peer(daemon.socket) for _ in range(16)]

        def run(peer):
            peer.send("D", b"abc")
            peer.send("E")
            assert peer.receive() == ("R", sha256_of_abc())
            peer.socket.close()
            served.append(peer)

        served = []
        threads = [threading.Thread(target=run, args=(peer,)) for peer in peers[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        run(peers[0])
        assert len(served) == 16
        daemon.expect_descriptors(before)
        daemon.end()


@tap.case("no descriptor is left for one that is passed: the client is told, and may go on")
def no_room_for_passed():
    with scratch() as top, Daemon(top) as daemon, Peer(daemon.socket) as peer, tempfile.TemporaryFile() as good:
        peer.send("E")
        peer.receive()
        now_open = daemon.count_descriptors()
        old = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (now_open, old[1]))
        kind, payload = peer.pass_descriptor(good.fileno())
        assert kind == "F" and os.strerror(struct.unpack(">I", payload)[0]) == "Too many open files", payload
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, old)
        assert peer.pass_descriptor(good.fileno())[0] == "R"


digest_programs.run_cases()
