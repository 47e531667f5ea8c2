"""Programs with one call to the system refused, and whether they bear it.

A subject is a program of build/fail with what happens around it: what it is told, what its peer
sees. It is run once undisturbed, and then again with the first call of a kind refused, the second,
the third, until a run doesn't come to the call. Each run must end in time, and either as the
undisturbed one (its output the same to the letter) or with status 1, nothing wrong said, and a
sentence on standard error that names the failure. No crash, no leak, no hang, no lie.
"""
import contextlib
import errno
import multiprocessing
import os
import pathlib
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import BUILD, PATIENCE_SECONDS, SOURCE, enter_new_network, ours

HERE = pathlib.Path(__file__).parent
PROGRAMS = BUILD / "fail"

SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
ENVIRONMENT = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
               "UBSAN_OPTIONS": "print_stacktrace=1", "LC_ALL": "C"}


def read_calls():
    """The calls that can be refused, each with its failures, and the names of all."""
    text = (HERE / "calls.def").read_text(encoding="utf-8")
    lines = re.findall(r"^(CALL|TRACK)\((\w+)(?:, ([^)]*))?\)", text, re.MULTILINE)
    return {name: failures.split(", ") for kind, name, failures in lines if kind == "CALL"}, \
        [name for _, name, _ in lines]


CALLS, NAMES = read_calls()


# ---- What a failure is called ------------------------------------------------------------------

def read_reasons():
    """The library's own words for errno, by name."""
    text = (SOURCE / "src" / "base" / "error.c").read_text(encoding="utf-8")
    found = re.findall(r'case (E\w+):\s*return ((?:"[^"]*"\s*)+);', text)
    return {name: "".join(re.findall(r'"([^"]*)"', said)) for name, said in found}


REASONS = read_reasons()
UNKNOWN_NAME = "no host has that name"
NO_LOOKUP = "the name can't be looked up just now"
NO_MEMORY = ["Cannot allocate memory", "memory"]
OTHER_REASONS = {
    "EAI_AGAIN": [NO_LOOKUP], "EAI_FAIL": [NO_LOOKUP], "EAI_NONAME": [UNKNOWN_NAME],
    "EAI_MEMORY": NO_MEMORY, "EAI_SYSTEM": [REASONS["EMFILE"]], "ENOMEM": NO_MEMORY,
}


def reasons(call, failure):
    """Any of these words names it."""
    if failure == "ENOSPC" and call == "epoll_ctl":  # which isn't about a disk
        failure = "ENOBUFS"
    if failure == "EAGAIN":  # of threads and maps; in the library's words it is about waiting
        return ["no more threads", "Resource temporarily unavailable", *NO_MEMORY,
                *reasons(call, "ENOBUFS")]
    if failure in OTHER_REASONS:
        return OTHER_REASONS[failure]
    number = getattr(errno, failure)
    if failure in ("ENOTCONN", "ECONNRESET"):  # the command's own words
        return [REASONS[failure], "broke off", "the other end is gone"]
    if failure == "ETIMEDOUT":  # the system gave the peer up: a send after that is told EPIPE
        return [REASONS[failure], os.strerror(number), REASONS["EPIPE"]]
    known = [REASONS.get(failure, os.strerror(number)), os.strerror(number)]
    return [*known, "another program is using that path"] if failure == "EADDRINUSE" else known


# ---- One run -----------------------------------------------------------------------------------

class Outcome:
    """How a run ended."""

    def __init__(self, status, stdout, stderr, seen, left, report):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        self.seen, self.left = seen, left
        values = struct.unpack(f"{len(report) // 8}q", report)
        self.met = dict(zip(NAMES, values))
        self.refused = bool(values[len(NAMES)]) if values else False
        self.sockets = values[len(NAMES) + 4] if values else 0


class Subject:
    """A program, and what it does when nothing fails."""

    status = 0  # of an undisturbed run

    def __init__(self, name, *command, peer=None, status=0, hides=None):
        self.name, self.arguments, self.peer, self.status = name, command, peer, status
        self.hides = hides  # a pattern of what differs from run to run

    def command(self):
        return ours(PROGRAMS / self.arguments[0], *self.arguments[1:])

    def environment(self, wish):
        patient = os.environ.get("TSAN_OPTIONS", "")
        hasty = {"TSAN_OPTIONS": f"{patient}:atexit_sleep_ms=0"}  # a second of each run otherwise
        return {"SALUT_FAIL": wish, **hasty} if wish else hasty

    def replay(self, wish):
        """A command that does it again, where the program needs nobody else."""
        if self.peer:
            return f"tests/fail/run {self.name} {wish}"
        return shlex.join(["env", f"SALUT_FAIL={wish}", *map(str, self.command())])

    def hidden(self, text):
        return re.sub(self.hides, "*", text) if self.hides else text

    def run(self, wish=None):
        with tempfile.TemporaryDirectory() as directory, \
             tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, \
             tempfile.NamedTemporaryFile() as report:
            environment = {**ENVIRONMENT, **os.environ, **self.environment(wish),
                           "SALUT_FAIL_REPORT": report.name}
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, cwd=directory, env=environment)
            try:
                seen = self.peer(process, out) if self.peer else None
                status = process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                seen, status = None, "hangs"
            out.seek(0)
            err.seek(0)
            report.seek(0)
            return Outcome(status, self.hidden(out.read().decode()),
                           self.hidden(err.read().decode()), seen,
                           sorted(os.listdir(directory)), report.read())


# ---- Whether it was borne ----------------------------------------------------------------------

def names_failure(text, call, failure):
    return any(words in text for words in reasons(call, failure))


def fault(undisturbed, outcome, call, failure):
    """What is wrong with it, or None."""
    if outcome.status == "hangs":
        return "it hangs"
    if SANITIZER.search(outcome.stderr):
        return "a sanitizer complains"
    if outcome.status == undisturbed.status:
        return fault_of_success(undisturbed, outcome, call, failure)
    if isinstance(outcome.status, int) and outcome.status < 0:
        return f"it crashes: {signal.Signals(-outcome.status).name}"
    if outcome.status != 1:
        return f"it ends with status {outcome.status}"
    if not outcome.stderr.endswith("\n"):
        return "it fails and doesn't say why"
    if not names_failure(outcome.stderr, call, failure):
        return f"its sentence doesn't name the failure ({' or '.join(reasons(call, failure))})"
    if not undisturbed.stdout.startswith(outcome.stdout) and \
            not names_failure(outcome.stdout, call, failure):
        return "it fails, and has said something else before"
    return None


def fault_of_success(undisturbed, outcome, call, failure):
    told = names_failure(f"{outcome.stdout}{outcome.stderr}{outcome.seen}", call, failure)
    if outcome.status == 0 and outcome.sockets != undisturbed.sockets:
        return f"it ends well with {outcome.sockets} sockets open, not {undisturbed.sockets}"
    if outcome.left != undisturbed.left:
        return None if told else f"it ends well and leaves {outcome.left}"
    if (outcome.stdout, outcome.seen) != (undisturbed.stdout, undisturbed.seen) and not told:
        return "it ends well, and did something else"
    if outcome.stderr != undisturbed.stderr and not told:
        return "it ends well, with another complaint"
    return None


class Finding:
    def __init__(self, subject, wish, what, outcome):
        self.text = (f"{subject.name}: {what}\n"
                     f"    {subject.replay(wish)}\n"
                     f"    status {outcome.status}, saw {outcome.seen!r}, left {outcome.left}\n"
                     + "".join(f"    | {line}\n" for line in outcome.stdout.splitlines())
                     + "".join(f"    ! {line}\n" for line in outcome.stderr.splitlines()[:40]))


def numbers(count, most):
    """1 to count, or so many of them, the first and the last among them."""
    if count <= most:
        return range(1, count + 1)
    dense = most // 2
    return sorted({*range(1, dense + 1),
                   *(dense + (count - dense) * i // (most - dense) for i in range(1, most - dense + 1))})


def refuse_each(subject, call, failure, most):
    """The first call of this kind refused, the second and so on, until a run doesn't come to it:
    that may be later than in the undisturbed run. most: no more runs than about that."""
    undisturbed = reference(subject)
    count = undisturbed.met.get(call, 0)
    refused, findings = 0, []

    def once(number):
        nonlocal refused
        wish = f"{call}:{number}:{failure}"
        outcome = subject.run(wish)
        if not outcome.refused and outcome.status != "hangs":
            return False
        refused += 1
        what = fault(undisturbed, outcome, call, failure)
        if what:
            findings.append(Finding(subject, wish, what, outcome))
        return True

    for number in numbers(count, most):
        once(number)
    while refused < most and once(count + 1):
        count += 1
    return refused, findings


known = {}


def reference(subject):
    if subject.name not in known:
        outcome = subject.run()
        if (outcome.status, SANITIZER.search(outcome.stderr)) != (subject.status, None):
            raise AssertionError(f"{subject.name}: undisturbed it ends with {outcome.status}, "
                                 f"and says {outcome.stdout!r} and {outcome.stderr!r}")
        known[subject.name] = outcome
    return known[subject.name]


# ---- The others in the play --------------------------------------------------------------------

def connected(process, address, family=socket.AF_INET):
    """A client of the program; None when it has ended."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        s = socket.socket(family)
        s.settimeout(PATIENCE_SECONDS)
        try:
            s.connect(address)
            return s
        except OSError:
            s.close()
        if process.poll() is not None:
            return None
        time.sleep(0.001)
    raise subprocess.TimeoutExpired(process.args, PATIENCE_SECONDS)


def said(process, out, pattern):
    """The match of this in what it has said; None when it has ended without."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        over = process.poll() is not None
        found = re.search(pattern, os.pread(out.fileno(), 65536, 0).decode())
        if found or over:
            return found
        time.sleep(0.001)
    raise subprocess.TimeoutExpired(process.args, PATIENCE_SECONDS)


def heard(s, most=65536):
    """All that comes until the other end is done, or so many bytes."""
    came = b""
    try:
        while len(came) < most and (piece := s.recv(most - len(came))):
            came += piece
    except ConnectionResetError:
        came += b" (broken off)"
    except TimeoutError:
        raise subprocess.TimeoutExpired("peer", PATIENCE_SECONDS) from None
    return came


def told(s, text):
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.sendall(text)


def greets_serveur(process, _):
    client = connected(process, ("127.0.0.1", 63000))
    if client:
        with client:
            told(client, "Salut le serveur !".encode())
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            heard(client)


def asks_echo(process, out):
    found = said(process, out, r"listening on 127\.0\.0\.1:(\d+)\n")
    seen = []
    for number in range(2 if found else 0):
        client = connected(process, ("127.0.0.1", int(found[1])))
        if client:
            with client:
                told(client, b"salut %d" % number)
                seen.append(heard(client, 7))
    if found:
        process.terminate()
    return seen


def chats(process, out):
    found = said(process, out, r"listening on 127\.0\.0\.1:(\d+)\n")
    seen = b""
    client = found and connected(process, ("127.0.0.1", int(found[1])))
    if client:
        with client:
            told(client, b"salut\n")
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            seen = re.sub(rb"\d+:", b"*:", heard(client))
    if found:
        process.terminate()
    return seen


def speaks_to_serve(process, out):
    found = said(process, out, r"Waiting on 127\.0\.0\.1:(\d+)\n")
    client = found and connected(process, ("127.0.0.1", int(found[1])))
    if client:
        with client:
            told(client, b"one\ntwo\nthree")
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            heard(client)


def speaks_to_path(process, out):
    client = said(process, out, "Waiting on") and \
        connected(process, f"/proc/{process.pid}/cwd/door", socket.AF_UNIX)
    if client:
        with client:
            told(client, b"one\n")
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            heard(client)


def sends_datagram(process, out):
    found = said(process, out, r"Waiting on udp:127\.0\.0\.1:(\d+)\n")
    if not found:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", int(found[1])))
        with contextlib.suppress(ConnectionRefusedError):
            s.send(b"a datagram\n")


class Served(Subject):
    """A program that connects to a server which is there before it."""

    def __init__(self, name, *command, port=0):
        super().__init__(name, *command)
        self.port, self.server = port, None
        self.peer = self.hears

    def run(self, wish=None):
        with socket.create_server(("127.0.0.1", self.port)) as self.server:
            self.server.settimeout(0.001)
            outcome = super().run(wish)
        self.server = None
        return outcome

    def command(self):
        port = self.server.getsockname()[1] if self.server else self.port
        return ours(PROGRAMS / self.arguments[0],
                    *(argument.replace("PORT", str(port)) for argument in self.arguments[1:]))

    def hears(self, process, _):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            over = process.poll() is not None
            try:
                client = self.server.accept()[0]
            except TimeoutError:
                if over:
                    return b""
                continue
            with client:
                client.settimeout(PATIENCE_SECONDS)
                return heard(client)
        raise subprocess.TimeoutExpired(process.args, PATIENCE_SECONDS)


PORT_IN_TEXT = r"\b\d{5}\b"


def scenario_names():
    command = ours(PROGRAMS / "scenarios")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def subjects():
    return [
        *(Subject(name, "scenarios", name) for name in scenario_names()),
        # As the course's own program, it says who came before it looks whether anybody did.
        Subject("serveur", "serveur", peer=greets_serveur, hides=r"\('.*', \d+\)|:\d+"),
        Served("client", "client", port=63000),
        Subject("timeout", "timeout"),
        Subject("udp", "udp"),
        Subject("unix", "unix"),
        Subject("echo_many", "echo_many", "0", peer=asks_echo, status=-signal.SIGTERM,
                hides=PORT_IN_TEXT),
        Subject("chat", "chat", "0", peer=chats, hides=PORT_IN_TEXT),
        Subject("salut_serve", "salut", "serve", "--once", "127.0.0.1:0", peer=speaks_to_serve,
                hides=PORT_IN_TEXT),
        Subject("salut_serve_path", "salut", "serve", "--once", "unix:door", peer=speaks_to_path),
        Subject("salut_serve_udp", "salut", "serve", "--once", "udp:127.0.0.1:0",
                peer=sends_datagram, hides=PORT_IN_TEXT),
        Served("salut_send", "salut", "send", "localhost:PORT", "Salut", "le serveur !"),
    ]


# ---- All of it ---------------------------------------------------------------------------------

def refuse_one(task):
    return refuse_each(*task)


def tasks_of(subject, most, every):
    undisturbed = reference(subject)
    return [(subject, call, failure, most) for call, possible in CALLS.items()
            if undisturbed.met[call] for failure in (possible if every else possible[:1])]


def refuse_all(all_subjects, most, every, tell=None):
    """How many calls were refused in all, and what was found. every: with each failure that a
    call can have, else with its first. tell: called with each finding as it is made."""
    refused, findings = 0, []
    tasks = [task for subject in all_subjects for task in tasks_of(subject, most, every)]
    # The greeting programs' port is fixed: each process has a network of its own, or there is one.
    jobs = len(os.sched_getaffinity(0)) if enter_new_network() else 1
    with multiprocessing.Pool(jobs, enter_new_network) as pool:
        for count, found in pool.imap_unordered(refuse_one, tasks):
            refused += count
            findings += found
            for finding in found if tell else []:
                tell(finding)
    return refused, findings


# ---- The test programs -------------------------------------------------------------------------

TEST_CALLS_MAX = 6  # refused of each kind
TEST_SECONDS = 4  # beyond its own time: what it waits for was refused
SLOW_TEST_SECONDS = 10  # such a test would take hours

FAILED_TEST = "error: Failure!"  # in cmocka's words
LIBRARYS_FAULT = re.compile(r"\S*/src/\S+: (\w+: Assertion .* failed|runtime error: .*)")
SANITIZERS_FAULT = re.compile(r"ERROR: \w+Sanitizer: .*")
FRAME = re.compile(r"#\d+ 0x\w+ in \w+ (/\S+)")


def own_fault(text):
    """What the library did wrong before a test failed: that leaves by longjmp(), and the test's
    fibers go on in its dead frame. Of a sanitizer's report, the first frame that has a source."""
    text = text.partition(FAILED_TEST)[0]
    if found := LIBRARYS_FAULT.search(text):
        return found[0]
    if (found := SANITIZERS_FAULT.search(text)) and (frame := FRAME.search(text, found.end())) \
            and pathlib.Path(frame[1]).is_relative_to(SOURCE / "src"):
        return f"{found[0]}\n    in {frame[0]}"
    return None


def tasks_of_test(name):
    begin = time.monotonic()
    undisturbed = Subject(name, name).run()
    seconds = time.monotonic() - begin
    if undisturbed.status not in (0, 77) or seconds > SLOW_TEST_SECONDS:
        print(f"{name} is left out: status {undisturbed.status} after {seconds:.1f} s", flush=True)
        return []
    return [(name, f"{call}:{number}:{possible[0]}", 2 * seconds + TEST_SECONDS)
            for call, possible in CALLS.items()
            for number in numbers(undisturbed.met[call], TEST_CALLS_MAX)]


def refuse_in_test(task):
    """The library's fault, with the command that shows it again, or None."""
    name, wish, patience = task
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as out:
        process = subprocess.Popen(ours(PROGRAMS / name), stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=out, cwd=directory, start_new_session=True,
                                   env={**os.environ, **ENVIRONMENT, "SALUT_FAIL": wish})
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children too
        process.wait()
        out.seek(0)
        found = own_fault(out.read().decode(errors="replace"))
    return f"{found}\n    SALUT_FAIL={wish} {PROGRAMS / name}" if found else None


def refuse_tests(names, tell):
    """How many calls were refused, and how many faults of the library's were seen."""
    tasks = [task for name in names for task in tasks_of_test(name)]
    died = 0
    with multiprocessing.Pool(2 * len(os.sched_getaffinity(0)), enter_new_network) as pool:
        for text in pool.imap_unordered(refuse_in_test, tasks):
            if text:
                died += 1
                tell(text)
    return len(tasks), died
