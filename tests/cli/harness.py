"""Runs the command `salut` as a person does, and waits for what it says.

Nothing here sleeps: every wait is for a line, a byte or an end, and gives up, with all that was
said, only when something is broken.
"""
import errno
import fcntl
import os
import pathlib
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("SALUT_BUILD_DIR", ROOT / "build"))
EMULATOR = shlex.split(os.environ.get("SALUT_EMULATOR", ""))
SALUT = [*EMULATOR, str(BUILD / "salut")]

# Far beyond what an emulator on a busy machine needs; only a fault waits so long.
DEADLINE_SECONDS = 60
READ_BYTES = 64 * 1024

# A test run in the background has SIGINT ignored, and programs inherit that; ours must hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The texts are compared in English, and a terminal today speaks UTF-8.
ENVIRONMENT = {**{key: value for key, value in os.environ.items()
                  if not key.startswith(("LC_", "LANG"))}, "LC_ALL": "C.UTF-8"}


class Said:
    """What comes out of a descriptor, taken piece by piece."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.pending = b""
        self.last = b"" # what was taken already, the end of it, for the sentence of a failure
        self.ended = False

    def _read_more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
            raise AssertionError(f"waited in vain; said before: {(self.last + self.pending)!r}")
        try:
            piece = os.read(self.descriptor, READ_BYTES)
        except OSError as error: # how a terminal says that nobody has it open any more
            if error.errno != errno.EIO:
                raise
            piece = b""
        self.pending += piece
        self.ended = not piece

    def _take(self, size):
        taken, self.pending = self.pending[:size], self.pending[size:]
        self.last = (self.last + taken)[-4096:]
        return taken

    def line(self):
        """The next line, without its end; None at the end."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self.pending and not self.ended:
            self._read_more(deadline)
        if b"\n" not in self.pending:
            return self._take(len(self.pending)).decode(errors="backslashreplace") or None
        taken = self._take(self.pending.index(b"\n") + 1)
        return taken[:-1].removesuffix(b"\r").decode(errors="backslashreplace")

    def until(self, wanted):
        """Everything up to these bytes and with them."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while wanted not in self.pending:
            if self.ended:
                raise AssertionError(f"{wanted!r} never came; said: {(self.last + self.pending)!r}")
            self._read_more(deadline)
        return self._take(self.pending.index(wanted) + len(wanted))

    def rest(self):
        """Everything to the end."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.ended:
            self._read_more(deadline)
        return self._take(len(self.pending))


class Running:
    """A program that runs. on_terminal: it has a terminal of its own, whose other side is
    self.terminal; else what it prints comes through a pipe, self.out."""

    def __init__(self, *command, on_terminal=False, stdin=subprocess.DEVNULL,
                 stdout=subprocess.PIPE, environment=None, prepare=None):
        self.errors = tempfile.TemporaryFile() # pylint: disable=consider-using-with
        self.terminal = None
        side = None
        if on_terminal:
            self.terminal, side = os.openpty()
            stdin = stdout = side
        self.process = subprocess.Popen( # pylint: disable=consider-using-with
            command, stdin=stdin, stdout=stdout,
            stderr=side if on_terminal else self.errors,
            env={**ENVIRONMENT, **(environment or {})}, start_new_session=on_terminal,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if on_terminal else prepare)
        if on_terminal:
            os.close(side)
        piped = self.process.stdout.fileno() if self.process.stdout else None
        self.out = Said(self.terminal if on_terminal else piped)

    def ends(self):
        """Its exit status; minus the signal that killed it."""
        return self.process.wait(DEADLINE_SECONDS)

    def complaint(self):
        """What it said on standard error."""
        self.errors.seek(0)
        return self.errors.read().decode()

    def close_terminal(self):
        """As the window that is closed, or the line that is cut."""
        os.close(self.terminal)
        self.terminal = None

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.process.stdin:
            self.process.stdin.close()
        if self.terminal is not None:
            self.close_terminal()
        self.errors.close()


class CommandTest(unittest.TestCase):
    """Programs it starts are ended with the test."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory() # pylint: disable=consider-using-with
        self.addCleanup(directory.cleanup)
        self.scratch = pathlib.Path(directory.name)

    def start(self, *command, **more):
        running = Running(*command, **more)
        self.addCleanup(running.end)
        return running

    def serve(self, *arguments, **more):
        """A server that waits already. It has its address, as salut send takes it."""
        server = self.start(*SALUT, "serve", *arguments, **more)
        said = server.out.line()
        if not said or not said.startswith("Waiting on "):
            self.fail(f"said {said!r} and complained {server.complaint()!r}")
        server.address = said.removeprefix("Waiting on ")
        return server

    def connect(self, server):
        """A client of ours, and the name by which the server calls it."""
        client = socket.create_connection(("127.0.0.1", port_of(server.address)), DEADLINE_SECONDS)
        self.addCleanup(client.close)
        name = f"127.0.0.1:{client.getsockname()[1]}"
        self.assertEqual(server.out.line(), f"{name} connected")
        return client, name

    def send(self, address, *message, data=b"", status=0, **more):
        """Sends, to its end, and has what it complained."""
        done = subprocess.run([*SALUT, "send", address, *message], input=data, check=False,
                              capture_output=True, timeout=DEADLINE_SECONDS,
                              env={**ENVIRONMENT, **more})
        self.assertEqual((done.stdout, done.returncode), (b"", status), done.stderr)
        return done.stderr.decode()

    def run_salut(self, *arguments, **more):
        return subprocess.run([*SALUT, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=DEADLINE_SECONDS, check=False, env=ENVIRONMENT, **more)

    def assert_sentence(self, text, *parts):
        """One line without controls that begins with the command's name and holds these."""
        self.assertRegex(text, r"\Asalut: [^\x00-\x1f\x7f-\x9f]+\n\Z")
        for part in parts:
            self.assertIn(part, text)


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def skip_under_emulator(why):
    if EMULATOR:
        print(f"skipped under {EMULATOR[0]}: {why}", file=sys.stderr)
    return unittest.skipIf(EMULATOR, why)
