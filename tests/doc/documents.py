"""What the tests of the documents share: a compiler as strict as we promise, a terminal that shows
what a reader's would, and the words that have to be documented."""
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import tty

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import BUILD, EMULATOR, FLAGS, PATIENCE_SECONDS, SOURCE, enter_new_network  # noqa: F401

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

# The port that the documents' programs agree on.
FIXED_PORT = 63000


def public_headers():
    paths = [SOURCE / "include/salut.h", *sorted((SOURCE / "include/salut").glob("*.h"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def public_functions():
    return re.findall(r"^SALUT_PUBLIC [^;(]*?\b(salut_\w+)\(", public_headers(), re.MULTILINE)


def complaints_about(source, program):
    """Compiles source as a user would, but strictly. The compiler's words, "" if none."""
    command = [os.environ["SALUT_CC"], *STRICT, *FLAGS, f"-I{SOURCE / 'include'}", str(source),
               f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lsalut", "-o", str(program)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.stdout or (f"status {done.returncode}" if done.returncode else "")


def working_directory():
    """A directory that goes away with the object; short, since Unix paths have 107 bytes."""
    return tempfile.TemporaryDirectory(prefix="salut-doc-", ignore_cleanup_errors=True)


def agreed_port():
    """FIXED_PORT, in a network of our own, else a free port; says so."""
    if enter_new_network():
        return FIXED_PORT
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    print(f"no network namespace here: the sources' {FIXED_PORT} becomes {port}", file=sys.stderr)
    return port


class Terminal:
    """A program in a terminal: what it shows, as it comes, whichever stream it comes from."""

    def __init__(self, command, directory):
        ours, its = pty.openpty()
        tty.setraw(its)  # a newline is a newline
        self.shown = ""
        self.change = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL,
                                        stdout=its, stderr=its, start_new_session=True)
        os.close(its)
        self.reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self.reader.start()

    def _read(self, descriptor):
        whole = b""
        while not self.ended:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:  # EIO: the last program that had the terminal has ended
                piece = b""
            whole += piece
            with self.change:
                self.shown = whole.decode(errors="replace")
                self.ended = not piece
                self.change.notify_all()
        os.close(descriptor)

    def wait_for_lines(self, count):
        """Until so many lines are there, or there will be no more."""
        with self.change:
            self.change.wait_for(lambda: self.ended or self.shown.count("\n") >= count,
                                 PATIENCE_SECONDS)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Its status, once it has ended by itself; killed when it doesn't."""
        try:
            status = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            status = f"killed: it still ran after {PATIENCE_SECONDS} s"
        self.reader.join(PATIENCE_SECONDS)
        return status


def run(command, directory):
    """How it ended, and what it showed."""
    terminal = Terminal(command, directory)
    status = terminal.end()
    return status, terminal.shown
