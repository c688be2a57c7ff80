"""Measures dillipc against a plain epoll loop, and against what else there is, in one run.

usage: run.py [--quick] [--write] PROGRAMS

PROGRAMS is the folder of the built programs (tests/benchmark in a build of type release).  With --quick it ends within a
minute and says little about the machine's usual behaviour.  With --write the tables and plots go to docs/performance.md
and docs/performance/; otherwise the tables are printed.

Systems take turns, and what counts is the ratio to the epoll loop of the same turn: its median, and the quarters.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import argparse
import resource
import statistics
import sys

import report
from measure import Bench, Missing, describe_machine

YARDSTICK = "server-epoll"
BARE = "server-bare"
STREAMS = [YARDSTICK, "server-dillipc", "server-blocking", "server-gsource", "server-gio", "server-uv"]
# With so many nanoseconds of work in each answer, to tell what work costs.
WORKING = [BARE + ":100", BARE + ":400"]
ONE = [YARDSTICK, BARE, *WORKING, "server-dillipc", "server-dillipc:main", "server-dillipc:spin"] + STREAMS[2:]
TWO = [YARDSTICK, BARE, "server-dillipc", "server-dillipc:spin"] + STREAMS[2:]
ACCEPTING = [YARDSTICK, BARE] + STREAMS[1:]
LOOPS = [YARDSTICK, BARE, "server-dillipc", "server-gsource", "server-gio", "server-uv"]
FRAMES = [YARDSTICK, "server-dillipc"]
# Those whose turns of the loop do not grow with the connections: the others take minutes to accept ten thousand.
SCALING = [YARDSTICK, BARE, "server-dillipc", "server-uv"]
PAIRS = [YARDSTICK, "pair-dillipc", "pair-zeromq", "pair-nng", "pair-gdbus"]

SPARE_DESCRIPTORS = 100


class Work:
    """One row of the table: what is done, by which systems, and what is aimed at."""

    def __init__(self, name, systems, goals, work="echo", size=64, slow=False, **options):
        self.name, self.systems, self.goals = name, systems, goals
        self.work, self.size, self.slow, self.options = work, size, slow, options


def descriptor_limit():
    """What bench.h raises it to."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (60000, 60000))
    except (OSError, ValueError):
        pass
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def most_idle(quick):
    """How many idle connections there can be, of the 50,000 that are wanted."""
    return 10000 if quick else min(50000, descriptor_limit() - SPARE_DESCRIPTORS)


def works(quick):
    idle = most_idle(quick)
    return [
        Work("ping-pong, one core", ONE, {"server-dillipc": 0.92, "server-dillipc:main": 0.95}),
        Work("ping-pong, two cores", TWO, {"server-dillipc:spin": 1.4}, two_cpus=True),
        Work("100 active", LOOPS, {"server-dillipc": 1.0}, active=100),
        Work("1,000 active", LOOPS, {"server-dillipc": 1.0}, active=1000),
        Work("1 among 1,000 idle", LOOPS, {"server-dillipc": 0.92}, idle=1000),
        Work("1 among 10,000 idle", SCALING, {"server-dillipc": 0.92}, idle=10000, slow=True),
        Work("1 among {:,} idle".format(idle), SCALING, {"server-dillipc": 0.9}, idle=idle, slow=True),
        Work("accept, echo, close", ACCEPTING, {"server-dillipc": 1.1}, work="accept", size=1),
        Work("stream of 64 KiB pieces", STREAMS, {"server-dillipc": 1.0}, work="sink", size=65536),
        Work("stream of 4 KiB pieces", STREAMS, {"server-dillipc": 1.0}, work="sink", size=4096),
        Work("stream of 256-byte pieces", STREAMS, {"server-dillipc": 1.0}, work="sink", size=256),
        Work("framed messages of 64 bytes", FRAMES, {"server-dillipc": 5.0}, work="frames", size=64),
        Work("both ends, one core", PAIRS, {}),
    ]


def progress(text):
    print("\r\033[K" + text, end="" if text else "\r", file=sys.stderr, flush=True)


def measure_work(bench, work, n_rounds, seconds, missing):
    """Lists by system, a value for each round: ratios of rates, the same of the work done for a second of the server's
    processor time, and for one operation microseconds of that, and context switches of the server."""
    ratios, cpu_ratios, cpu_us, switches = {}, {}, {}, {}
    for number in range(n_rounds):
        base = None
        for system in work.systems:
            progress("%s: round %d of %d: %s" % (work.name, number + 1, n_rounds, system))
            try:
                rate, used = bench.rate(system, work.work, work.size, seconds, **work.options)
            except Missing:
                missing.add(system)
                continue
            if system == YARDSTICK:
                base, used_base = rate, used
            ratios.setdefault(system, []).append(rate / base)
            if used:
                cpu_ratios.setdefault(system, []).append(used_base[0] / used[0])
                cpu_us.setdefault(system, []).append(used[0] * 1e6)
                switches.setdefault(system, []).append(used[1])
            if system == YARDSTICK:
                ratios.setdefault("rate", []).append(rate)
    return ratios, cpu_ratios, cpu_us, switches


def measure_alone(bench, quick):
    """By work: nanoseconds of the epoll loop, and ratios to it."""
    n_rounds, operations = (2, 10000) if quick else (17, 50000)
    results = {}
    for name, work, size in (("ping-pong", "echo", 64), ("accept, echo, close", "accept", 1)):
        progress("in one thread: " + name)
        rounds = []
        for _ in range(n_rounds):
            rounds.append([bench.alone(system, work, size, operations) for system in ("epoll", "dillipc")])
        ratios = [base / each for base, each in rounds]
        results[name] = (statistics.median(base for base, _ in rounds), summary(ratios))
    return results


def summary(values):
    """Median, lower and upper quarter."""
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return statistics.median(values), quarters[0], quarters[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("programs")
    options = parser.parse_args()
    n_rounds, seconds = (2, 0.08) if options.quick else (17, 0.25)
    bench = Bench(options.programs)
    results = report.Results(describe_machine(), n_rounds, seconds)

    speeds = []
    for work in works(options.quick):
        # Now and then, since the neighbours on a host come and go.
        speeds += [bench.coroutines("speed") for _ in range(1 if options.quick else 2)]
        rounds = min(n_rounds, 7) if work.slow else n_rounds
        measured = measure_work(bench, work, rounds, seconds, results.missing)
        results.rows.append((work, *({system: summary(values) for system, values in each.items()} for each in measured)))

    results.alone = measure_alone(bench, options.quick)
    for system in LOOPS:
        progress("counting: " + system)
        try:
            results.costs[system] = {
                work: (bench.system_calls(system, work, 64), bench.allocations(system, work, 64))
                for work in ("echo", "accept")
            }
        except Missing:
            results.missing.add(system)

    progress("coroutines")
    results.speed = {name: statistics.median(each[name] for each in speeds) for name in speeds[0]}
    results.speed_at_best = {name: min(each[name] for each in speeds) for name in speeds[0]}
    top = 100000 if options.quick else 1000000
    results.many = {n: bench.coroutines("many", n) for n in (1, 10, 100, 1000, 10000, 100000, top) if n <= top}
    results.timers = {n: bench.coroutines("timers", n) for n in (1, 10, 100, 1000, 10000, 100000, top) if n <= top}
    results.connection = bench.coroutines("connections", 4000)
    results.handles = {n: bench.coroutines("handles", n) for n in (100, 1000, 10000, 100000)}
    for idle in sorted({1, 10, 100, 1000, 10000, most_idle(options.quick)}):
        progress("one among %d idle" % idle)
        results.idle[idle] = {
            system: bench.rate(system, "echo", 64, seconds, idle=idle)[0] for system in (YARDSTICK, "server-dillipc")
        }
    progress("")

    if options.write:
        report.write(results)
    else:
        print(report.text(results))


main()
