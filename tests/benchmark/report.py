"""Tables and plots of the benchmarks' results.

Relies on gnuplot for the plots.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
import subprocess

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PLOTS = DOCS / "performance"

# What is aimed at for the program coroutines: name, unit, the most it may be, and the same in bare switches.
SPEEDS = [
    ("yield_ns", "yield ()", 15, 3),
    ("go_ns", "go () and hclose ()", 45, 9),
    ("channel_ns", "channel message", 45, 9),
]


class Results:
    def __init__(self, machine, n_rounds, seconds):
        self.machine, self.n_rounds, self.seconds = machine, n_rounds, seconds
        # Rows: what was done, ratios of rates and of work for a second of processor time, microseconds of that, and
        # context switches.
        self.rows, self.costs, self.missing = [], {}, set()
        self.alone, self.connection = {}, {}
        # Medians of all rounds, and the lowest of each.
        self.speed, self.speed_at_best = {}, {}
        self.many, self.timers, self.handles, self.idle = {}, {}, {}, {}


def verdict(good):
    return "reached" if good else "**missed**"


def ratio(summary):
    return "%.2f (%.2f–%.2f)" % summary


def beside_epoll(work, summaries, system, form):
    """For one operation; nothing for streams, whose operations are bytes."""
    if system not in summaries or work.work not in ("echo", "accept"):
        return ""

    return "%s, %s" % (form % summaries[system][0], form % summaries["server-epoll"][0])


def main_table(results):
    yield (
        "| work | epoll, per second | dillipc | goal | | bare | by processor time of the server | µs of that, and epoll's |"
        " context switches, and epoll's |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for work, summaries, cpu, cpu_us, switches in results.rows:
        rate = summaries.get("rate", (0,))[0]
        shown = [system for system in summaries if "dillipc" in system]
        for system in shown:
            goal = work.goals.get(system)
            option = system.partition(":")[2]
            yield "| %s%s | %s | %s | %s | %s | %s | %s | %s | %s |" % (
                work.name,
                " (%s)" % {"main": "on the main stack", "spin": "with dill_set_spin (15)"}[option] if option else "",
                "{:,.0f}".format(rate),
                ratio(summaries[system]),
                "≥ %.2f" % goal if goal else "",
                verdict(summaries[system][0] >= goal) if goal else "",
                ratio(summaries["server-bare"]) if "server-bare" in summaries else "",
                ratio(cpu[system]) if system in cpu else "",
                beside_epoll(work, cpu_us, system, "%.1f"),
                beside_epoll(work, switches, system, "%.2f"),
            )


def others_table(results):
    names = []
    for _, summaries, *_ in results.rows:
        names += [name for name in summaries if name not in names and name not in ("rate", "server-epoll")]
    yield "| work | " + " | ".join(name.replace("server-", "") for name in names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for work, summaries, *_ in results.rows:
        cells = ["%.2f" % summaries[name][0] if name in summaries else "" for name in names]
        yield "| %s | %s |" % (work.name, " | ".join(cells))


def alone_table(results):
    yield "| work | epoll, ns | dillipc |"
    yield "|---|---|---|"
    for name, (base, summary) in results.alone.items():
        yield "| %s | %s | %s |" % (name, "{:,.0f}".format(base), ratio(summary))


def costs_table(results):
    yield "| system | system calls, echo | allocations | system calls, accept | allocations |"
    yield "|---|---|---|---|---|"
    for system, works in results.costs.items():
        cells = []
        for calls, allocations in (works["echo"], works["accept"]):
            cells += ["—" if calls is None else "%.2f" % calls, "%.2f" % allocations]
        yield "| %s | %s |" % (system.replace("server-", ""), " | ".join(cells))


def speed_table(results):
    jump, best = results.speed["jump_ns"], results.speed_at_best["jump_ns"]

    def figures(key):
        """In nanoseconds, and in jumps: median, and the lowest."""
        low = results.speed_at_best[key]
        return "%.1f (%.1f)" % (results.speed[key], low), "%.1f (%.1f)" % (results.speed[key] / jump, low / best)

    yield "| what | ns: median (lowest) | goal | | in switches of others' kind | goal | |"
    yield "|---|---|---|---|---|---|---|"
    yield "| a switch of others' kind: registers, control words, a jump | %s | | | %s | | |" % figures("jump_ns")
    yield "| a bare switch of the library's, between two places | %s | | | %s | | |" % figures("switch_ns")
    for key, name, most, in_switches in SPEEDS:
        value = results.speed[key]
        ns, switches = figures(key)
        yield "| %s | %s | ≤ %d | %s | %s | ≤ %d | %s |" % (
            name, ns, most, verdict(value <= most), switches, in_switches, verdict(value / jump <= in_switches),
        )  # fmt: skip


def many_table(results):
    yield "| coroutines | start, µs | memory, bytes | page tables, bytes | mappings | cancel, µs |"
    yield "|---|---|---|---|---|---|"
    for n, figures in results.many.items():
        yield "| {:,} | {:.2f} | {:,.0f} | {:,.0f} | {:.0f} | {:.2f} |".format(
            n, figures["start_us"], figures["bytes_each"], figures["page_table_bytes_each"], figures["mappings"],
            figures["cancel_us"],
        )  # fmt: skip
    n, figures = max(results.many.items())
    each = figures["bytes_each"] + figures["page_table_bytes_each"]
    yield ""
    yield "Goals, at {:,}: at most 5 KiB each ({:,.0f} bytes: {}), at most 1,000 mappings ({:.0f}: {}),".format(
        n, each, verdict(each <= 5120), figures["mappings"], verdict(figures["mappings"] <= 1000)
    )
    yield "cancelled in at most 1 µs each (%.2f µs: %s). Stacks of 256 KiB of address space, with guards." % (
        figures["cancel_us"], verdict(figures["cancel_us"] <= 1),
    )  # fmt: skip


def connection_line(results):
    each = results.connection["heap_bytes_each"]
    yield "An idle connection with a coroutine that waits in `brecv` takes %.0f bytes of the heap (goal: at most 512: %s)," % (
        each, verdict(each <= 512),
    )  # fmt: skip
    yield "beside the program's %d bytes for it and the coroutine's stack." % results.connection["storage_bytes"]


def slope(points):
    """The exponent of growth between the first point from 1,000 on and the last: 0 is constant, 1 linear."""
    import math

    points = [(n, value) for n, value in points if n >= 1000 and value > 0]
    (n0, v0), (n1, v1) = points[0], points[-1]
    return math.log(v1 / v0) / math.log(n1 / n0) if n1 > n0 else 0.0


def curves(results):
    """Name, title, unit, and points of each plot."""
    yield "coroutines", "one of N coroutines", "µs", {
        "start": [(n, figures["start_us"]) for n, figures in results.many.items()],
        "cancel": [(n, figures["cancel_us"]) for n, figures in results.many.items()],
    }
    yield "timers", "one of N coroutines that sleep", "µs", {
        "start": [(n, figures["start_us"]) for n, figures in results.timers.items()],
        "wake": [(n, figures["wake_us"]) for n, figures in results.timers.items()],
    }
    yield "handles", "one of N handles", "µs", {
        "make": [(n, figures["make_us"]) for n, figures in results.handles.items()],
        "close": [(n, figures["close_us"]) for n, figures in results.handles.items()],
    }
    yield "connections", "a round trip, with N idle connections", "µs", {
        system.replace("server-", ""): [(n, 1e6 / rates[system]) for n, rates in results.idle.items()]
        for system in ("server-epoll", "server-dillipc")
    }


def slopes_table(results):
    yield "| what | from 1,000 on it grows with N to the power of |"
    yield "|---|---|"
    for _, title, _, lines in curves(results):
        for name, points in lines.items():
            yield "| %s: %s | %.2f |" % (title, name, slope(points))


def text(results):
    lines = ["Measured on %s; %d rounds of %.2f s.\n" % (results.machine, results.n_rounds, results.seconds)]
    for title, table in (
        ("## Against the epoll loop", main_table),
        ("## Against others", others_table),
        ("## Server and client in one thread, one operation at a time", alone_table),
        ("## System calls and allocations of the server for one operation", costs_table),
        ("## Coroutines", speed_table),
        ("### Very many", many_table),
        ("### Idle connections", connection_line),
        ("### Growth", slopes_table),
    ):
        lines += [title, "", *table(results), ""]
    if results.missing:
        lines.append("Left out, since they were not built: %s.\n" % ", ".join(sorted(results.missing)))
    return "\n".join(lines)


def plot(name, title, unit, lines):
    blocks = []
    for number, (line, points) in enumerate(lines.items()):
        rows = "\n".join("%d %g" % point for point in points)
        blocks.append("$data%d << end\n%s\nend\n" % (number, rows))
    parts = ", ".join(
        "$data%d with linespoints pointtype 7 pointsize 0.5 title '%s'" % (number, line)
        for number, line in enumerate(lines)
    )
    script = "".join(blocks) + (
        "set terminal svg size 640,360 font 'sans,12' background 'white'\n"
        "set output '%s'\nset logscale x\nset yrange [0:]\nset key left top\nset grid\n"
        "set title '%s'\nset xlabel 'N'\nset ylabel '%s'\nplot %s\n"
    ) % (PLOTS / (name + ".svg"), title, unit, parts)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def write(results):
    PLOTS.mkdir(exist_ok=True)
    for name, title, unit, lines in curves(results):
        plot(name, title, unit, lines)
    page = DOCS / "performance.md"
    begin, _, _ = page.read_text(encoding="utf-8").partition("<!-- measured -->")
    plots = "\n".join("![%s](performance/%s.svg)" % (title, name) for name, title, _, _ in curves(results))
    page.write_text(begin + "<!-- measured -->\n\n" + text(results) + "\n" + plots + "\n", encoding="utf-8")
