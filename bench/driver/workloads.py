"""The kinds of work: what is started, what is measured, and in which order.

Every figure comes from rounds that are interleaved between the peers (A B C A B C ...); in each
round a peer's program is started afresh. Each function here is one kind of work and gives its
cases to the bench; WORKS at the end lists them."""
import contextlib
import json
import mmap
import statistics
import sys
import tempfile
import time
from collections import Counter

from driver.machine import Failure, Program
from driver.peers import PEERS

PATIENCE_SECONDS = 20
IDLE_BASE = 10          # connections held before memory is first read: first use isn't the figure
IDLE_COUNTS = (1000, 15000)
CHURN_CONNECTIONS = 16  # at once: enough that the server never waits for the load
GATHER_BYTES = 65536
HANDLER_WORK_US = 500   # beside it the load takes little: a fiftieth of what two workers do
DEEP_BYTES = 40000      # of stack, touched once by each connection
DEEP_CONNECTIONS = 1000
DEEP_SECONDS = 4        # of silence, after which such a stack should be small again


class Row:
    """One peer's program in a case, with arguments if it takes some."""

    def __init__(self, program, label=None, arguments=(), connections_max=None):
        self.program = program
        self.peer = program.partition("_")[0]
        self.label = label or PEERS[self.peer].title
        self.arguments = [str(word) for word in arguments]
        self.connections_max = connections_max  # with more it doesn't end in bounded time


POLLING = Row("st_echo", connections_max=1000)  # poll reads them all for each event


class Case:
    """One line of comparison: the same work by several peers. A round gives each a dictionary of
    figures, of which "value" is what the case is about."""

    def __init__(self, name, title, measure, baseline=None, more_is_better=False):
        self.name, self.title, self.measure = name, title, measure
        self.baseline = baseline  # the label that the others are a multiple of
        self.more_is_better = more_is_better
        self.rate = None          # requests a second of the latencies' open loop
        self.samples = {}         # label: [figures of each round]
        self.histograms = {}      # label: Counter of nanoseconds

    def values(self, label, figure="value"):
        return [round[figure] for round in self.samples[label] if figure in round]


class Bench:
    def __init__(self, options, workshop, load, server_core, load_core):
        self.options = options
        self.workshop = workshop
        self.load_program = load
        self.server_core, self.load_core = server_core, load_core
        self.cases = []
        self.failures = []
        self.waits = []  # the share of each run that a server was ready but didn't have its core

    def rows(self, *rows):
        """Those of these rows whose peer was asked for and whose program can be built."""
        rows = [row if isinstance(row, Row) else Row(row) for row in rows]
        return [row for row in rows
                if (not self.options.peers or row.peer in self.options.peers)
                and self.workshop.command(row.program)]

    def rounds(self, cases, rows, step):
        """The interleaved rounds. step(row) measures once and returns the figures of each case
        (None: it has none). A row that fails is out of these cases, and named."""
        rows = list(rows)
        for number in range(self.options.rounds):
            for row in list(rows):
                self.progress(f"{cases[0].title}: round {number + 1} of {self.options.rounds}, "
                              f"{row.label}")
                try:
                    results = step(row)
                except Failure as failure:
                    self.failures.append(f"{cases[0].title}, {row.label}: {failure}")
                    rows.remove(row)
                    for case in cases:
                        case.samples.pop(row.label, None)
                        case.histograms.pop(row.label, None)
                    continue
                for case, figures in zip(cases, results):
                    if figures is None:
                        continue
                    samples = case.samples.setdefault(row.label, [])
                    if len(samples) <= number:
                        samples.append({})
                    histogram = figures.pop("histogram", None)
                    if histogram:
                        case.histograms.setdefault(row.label, Counter()).update(histogram)
                    samples[number].update(figures)
        self.progress("")
        return rows

    def done(self, *cases):
        self.cases += [case for case in cases if case.samples]

    def progress(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text[:110]}", end="", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def server(self, row, cores=None):
        """The row's server, and its port."""
        command = self.workshop.command(row.program) + row.arguments
        with Program(command, cores or {self.server_core}) as server:
            server.port = int(server.read_line(PATIENCE_SECONDS))
            yield server

    def load(self, work, server, connections, *arguments):
        """One run of the load generator against a server: what it measured."""
        options = self.options
        argv = [self.load_program, work, "--port", server.port, "--server", server.pid,
                "--connections", connections, "--seconds", options.seconds,
                "--warmup", options.warmup, *arguments]
        seconds_max = options.warmup + options.seconds + PATIENCE_SECONDS + connections * 0.002
        with Program(argv, {self.load_core}) as load:
            waited, began = server.waited_ns(), time.monotonic_ns()
            try:
                measured = json.loads(load.read_to_end(seconds_max))
            except Failure as failure:
                if server.process.poll() is not None:
                    server.fail(f"ended with status {server.process.returncode}")
                raise failure
        if server.cores == {self.server_core}:
            self.waits.append((server.waited_ns() - waited) /
                              (time.monotonic_ns() - began))
        if not measured["requests"]:
            raise Failure("no request was answered in the measured window")
        measured["histogram"] = Counter(dict(measured["histogram"]))
        return measured


# ---- Figures ----------------------------------------------------------------------------------


def percentile(histogram, share):
    """The value, in microseconds, that this share of the counts doesn't exceed."""
    wanted = share * sum(histogram.values())
    seen = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= wanted:
            return value / 1000
    return float("nan")


def latencies(histogram):
    return {"p50": percentile(histogram, 0.5), "p99": percentile(histogram, 0.99),
            "p99.9": percentile(histogram, 0.999), "histogram": histogram}


def cpu_and_rate(measured):
    return {"value": measured["server_cpu_ns"] / measured["requests"] / 1000,
            "rate": measured["requests"] / measured["seconds"],
            "load_cpu_us": measured["load_cpu_ns"] / measured["requests"] / 1000}


def two_digits(number):
    return float(f"{number:.1e}")


# ---- The kinds of work ------------------------------------------------------------------------


def echo_case(bench, case, rows, connections):
    """Closed loop for CPU and throughput, then an open loop at one rate for the latencies."""

    def closed(row):
        with bench.server(row) as server:
            measured = bench.load("echo", server, connections)
        figures = cpu_and_rate(measured)
        for name in ("p50", "p99", "p99.9"):
            figures[f"closed_{name}"] = latencies(measured["histogram"])[name]
        return [figures]

    def opened(row):
        with bench.server(row) as server:
            return [latencies(bench.load("echo", server, connections, "--rate", case.rate)
                              ["histogram"])]

    rows = bench.rounds([case], rows, closed)
    if not rows:
        return
    slowest = min(statistics.median(case.values(row.label, "rate")) for row in rows)
    case.rate = bench.options.rate or two_digits(slowest / 2)
    bench.rounds([case], rows, opened)
    bench.done(case)


def echo(bench):
    """TCP echo of 64 bytes: the server's CPU a request, requests a second, latency"""
    rows = bench.rows("salut_echo", "epoll_echo", "libuv_echo", "libevent_echo", POLLING,
                      "go_echo", "asyncio_echo", "uvloop_echo")
    most = bench.options.descriptors - 100
    for connections in sorted({min(count, most) for count in bench.options.connections}):
        plural = "s" if connections > 1 else ""
        case = Case(f"echo-{connections}", f"echo, 64 B, {connections:,} connection{plural}",
                    "server CPU a request, µs", PEERS["epoll"].title)
        able = [row for row in rows
                if not row.connections_max or connections <= row.connections_max]
        echo_case(bench, case, able, connections)


def lines(bench):
    """A line for a line, 64 bytes, against plain echo: what lines cost"""
    rows = bench.rows(Row("salut_echo", "salut, recv and send"),
                      Row("salut_line", "salut, recv_line and send_line"))
    case = Case("lines", "a line for a line, 64 B, 50 connections", "server CPU a request, µs",
                "salut, recv and send")
    echo_case(bench, case, rows, 50)


def flow(bench, case, rows, size, unit):
    """A sender on one core, a receiver on the other, until both are killed: what the receiver
    counted in the window, divided by `unit`."""

    def step(row):
        command = bench.workshop.command(row.program)
        with tempfile.NamedTemporaryFile(dir=bench.workshop.directory) as file, \
                contextlib.ExitStack() as stack:
            file.truncate(mmap.PAGESIZE)
            page = stack.enter_context(mmap.mmap(file.fileno(), mmap.PAGESIZE))
            receiver = stack.enter_context(
                Program([*command, "receive", size, *row.arguments], {bench.server_core},
                        {"BENCH_COUNTER": file.name}))
            port = receiver.read_line(PATIENCE_SECONDS)
            sender = stack.enter_context(
                Program([*command, "send", size, *row.arguments, port], {bench.load_core}))

            def look():
                count = int.from_bytes(page[:8], sys.byteorder)
                return count, time.monotonic_ns(), sender.cpu_ns() + receiver.cpu_ns()

            deadline = time.monotonic() + PATIENCE_SECONDS
            while look()[0] == 0:
                if time.monotonic() > deadline:
                    raise Failure("nothing arrived")
                time.sleep(0.001)
            time.sleep(bench.options.warmup)
            before = look()
            time.sleep(bench.options.seconds)
            after = look()
        count, ns, cpu_ns = (b - a for a, b in zip(before, after))
        if not count:
            raise Failure("nothing arrived in the measured window")
        return [{"value": count / ns * 1e9 / unit, "both_cpu_us": cpu_ns / count / 1000}]

    bench.rounds([case], rows, step)
    bench.done(case)


def messages(bench):
    """Framed messages one way, of 64 B, 1 KiB and 64 KiB: messages a second"""
    for size, text in ((64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB")):
        rows = bench.rows(
            Row("salut_messages", "salut, gathered", [GATHER_BYTES]),
            Row("salut_messages", "salut, each by itself", [0]),
            "hand_messages", "zeromq_messages", "nng_messages")
        case = Case(f"messages-{size}", f"messages one way, {text}", "thousand messages a second",
                    PEERS["zeromq"].title, more_is_better=True)
        flow(bench, case, rows, size, 1000)


def bulk(bench):
    """Bytes one way, in writes of 256 KiB: gigabytes a second"""
    case = Case("bulk", "bulk one way, 256 KiB writes", "GB a second", PEERS["raw"].title,
                more_is_better=True)
    flow(bench, case, bench.rows("salut_bulk", "raw_bulk"), 256 * 1024, 1e9)


def churn(bench):
    """Connections accepted, greeted and closed: CPU a connection, connections a second"""
    case = Case("churn", f"accept, greet, close; {CHURN_CONNECTIONS} at once",
                "server CPU a connection, µs", PEERS["epoll"].title)

    def step(row):
        with bench.server(row) as server:
            return [cpu_and_rate(bench.load("greet", server, CHURN_CONNECTIONS))]

    bench.rounds([case], bench.rows("salut_greet", "epoll_greet", "libuv_greet", "go_greet"), step)
    bench.done(case)


def first_byte(bench):
    """From connect to the first byte of the greeting, one connection at a time"""
    case = Case("first-byte", "connect to the first byte, one at a time", "median, µs",
                PEERS["epoll"].title)

    def step(row):
        with bench.server(row) as server:
            measured = bench.load("greet", server, 1)
        figures = latencies(measured["histogram"])
        return [{**figures, "value": figures["p50"],
                 "rate": measured["requests"] / measured["seconds"]}]

    bench.rounds([case], bench.rows("salut_greet", "epoll_greet", "libuv_greet", "go_greet"), step)
    bench.done(case)


def workers(bench):
    """salut_serve with one worker and with two: what they cost, and what they bring"""
    allowed = bench.options.cores
    cores = allowed - {bench.load_core} if len(allowed) > 2 else allowed
    bare = Case("workers", "echo, 64 B, 50 connections, workers", "server CPU a request, µs",
                "salut_serve, 1 worker")
    busy = Case("workers-busy", f"echo with {HANDLER_WORK_US} µs of work in the handler, "
                "50 connections, workers", "requests a second", "salut_serve, 1 worker",
                more_is_better=True)

    def step(row):
        with bench.server(row, cores) as server:
            return [cpu_and_rate(bench.load("echo", server, 50))]

    def busy_step(row):
        with bench.server(row, cores) as server:
            figures = cpu_and_rate(bench.load("echo", server, 50))
        # of one core; what the load takes, no worker can have where there are only two
        figures["load_share"] = figures["load_cpu_us"] * figures["rate"] / 1e6
        return [{**figures, "value": figures["rate"]}]

    def rows(work):
        return bench.rows(Row("salut_serve", "salut_serve, 1 worker", [1, *work]),
                          Row("salut_serve", "salut_serve, 2 workers", [2, *work]))

    bench.rounds([bare], rows([]), step)
    bench.rounds([busy], rows([HANDLER_WORK_US]), busy_step)
    bench.done(bare, busy)


def memory(bench):
    """Resident memory of the server for each idle connection"""
    most = bench.options.descriptors - 100
    counts = sorted({min(count, most) for count in bench.options.idle or IDLE_COUNTS})
    cases = [Case(f"memory-{count}", f"memory, {count:,} idle connections", "KiB a connection")
             for count in counts]
    rows = bench.rows("salut_echo", "epoll_echo", "libuv_echo", "libevent_echo",
                      POLLING,
                      "go_echo", "asyncio_echo", "uvloop_echo")

    def step(row):
        with bench.server(row) as server, \
                Program([bench.load_program, "hold", "--port", server.port],
                        {bench.load_core}) as load:

            def grow(count):
                load.write_line(count)
                load.read_line(PATIENCE_SECONDS + count * 0.002)
                return server.memory_kib()

            resident, tables = grow(IDLE_BASE)
            results = []
            for count in counts:
                if row.connections_max and count > row.connections_max:
                    results.append(None)
                    continue
                now_resident, now_tables = grow(count)
                results.append({"value": (now_resident - resident) / (count - IDLE_BASE),
                                "page_tables_kib": (now_tables - tables) / (count - IDLE_BASE)})
            return results

    bench.rounds(cases, rows, step)
    bench.done(*cases)
    deep_memory(bench)


def deep_memory(bench):
    case = Case("memory-deep", f"memory, {DEEP_CONNECTIONS:,} connections that went deep once, "
                f"{DEEP_SECONDS} s later", "KiB a connection")

    def step(row):
        with bench.server(row) as server, \
                Program([bench.load_program, "hold", "--port", server.port],
                        {bench.load_core}) as load:
            resident = []
            for count in (IDLE_BASE, DEEP_CONNECTIONS):
                load.write_line(count)
                load.read_line(PATIENCE_SECONDS)
                resident.append(server.memory_kib()[0])
            time.sleep(DEEP_SECONDS)
            at_once, later = resident[1] - resident[0], server.memory_kib()[0] - resident[0]
        added = DEEP_CONNECTIONS - IDLE_BASE
        return [{"value": later / added, "at_once_kib": at_once / added}]

    bench.rounds([case], bench.rows(
        Row("salut_deep", "salut, never deep", [0]),
        Row("salut_deep", f"salut, {DEEP_BYTES:,} bytes deep", [DEEP_BYTES])), step)
    bench.done(case)


def timed_alone(bench, cases, rows):
    """Programs that run alone and print a line for each case they have a figure for."""

    def step(row):
        command = bench.workshop.command(row.program) + row.arguments
        with Program(command, {bench.server_core}) as program:
            output = dict(line.split() for line in program.read_to_end(60).splitlines())
        return [{"value": float(output[name])} if name in output else None for name in cases]

    bench.rounds(list(cases.values()), rows, step)
    bench.done(*cases.values())


def fibers(bench):
    """A switch between fibers, and a fiber's life (start, run, join), in nanoseconds"""
    switch = Case("switch", "a switch between two fibers", "CPU, ns", PEERS["context"].title)
    life = Case("life", "a fiber's life: start, run, join", "CPU, ns", PEERS["st"].title)
    rows = bench.rows("salut_fibers", Row("salut_switch", "salut, the switch alone"),
                      "context_fibers", "fiber_fibers", "st_fibers", "go_fibers")

    timed_alone(bench, {"switch": switch, "life": life}, rows)


def datagrams(bench):
    """UDP datagrams of 64 B, one and many a call: nanoseconds of CPU for both ends of one"""
    case = Case("datagrams", "a datagram of 64 B sent and received", "CPU, ns",
                "by hand, one a call")
    rows = bench.rows(Row("raw_datagrams", "by hand, one a call", ["one"]),
                      Row("raw_datagrams", "by hand, sendmmsg and recvmmsg", ["batch"]),
                      Row("salut_datagrams", "salut, one a call", ["one"]),
                      Row("salut_datagrams", "salut, cut by the system", ["segments"]))
    timed_alone(bench, {"datagram": case}, rows)


def simulator(bench):
    """The simulated network: an operation, an hour of sleep, an hour of 100 connections"""
    cases = {"operation": Case("operation", "an operation on the simulated network", "CPU, ns"),
             "idle_hour": Case("idle_hour", "an hour of 3600 sleeps, simulated", "CPU, ms"),
             "hour": Case("hour", "an hour of 100 connections that speak once a minute, simulated",
                          "CPU, ms")}
    timed_alone(bench, cases, bench.rows("salut_simulator"))


WORKS = {work.__name__: work
         for work in (echo, lines, messages, bulk, churn, first_byte, memory, fibers, datagrams,
                      workers, simulator)}
