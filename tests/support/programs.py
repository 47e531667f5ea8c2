"""Programs as a person sees them: built, started in a terminal, read a line at a time, stopped.

Whoever needs a fixed port (the two greeting programs have 63000) asks for a network of its own.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import time
import tty
import unittest

SOURCE = pathlib.Path(os.environ.get("SALUT_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("SALUT_BUILD_DIR", SOURCE / "build"))
COMPILER = os.environ.get("SALUT_CC", "cc")
EMULATOR = shlex.split(os.environ.get("SALUT_EMULATOR", ""))
CACHE = (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")
FLAGS = shlex.split(re.search(r"^CMAKE_C_FLAGS:\w+=(.*)$", CACHE, re.MULTILINE)[1])
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]

# True where programs run many times slower than a user's would.
SLOW = bool(EMULATOR) or any(flag.startswith("-fsanitize") for flag in FLAGS)

# How long a test waits for what should come at once, before it says that it didn't come.
PATIENCE_SECONDS = 100


def compiled(source, directory):
    """The program that this C file makes, with the build's own compiler, flags and library."""
    program = pathlib.Path(directory) / source.stem
    command = [COMPILER, "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", *FLAGS, *WARNINGS,
               f"-I{SOURCE / 'include'}", str(source), f"-L{BUILD}", "-lsalut",
               f"-Wl,-rpath,{BUILD}", "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    return program


def ours(program, *arguments):
    """The command that runs one of the programs of this build."""
    return [*EMULATOR, str(program), *map(str, arguments)]


def run(command, **more):
    """What a program that ends by itself did: returncode, stdout, stderr."""
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, **more)


class Running:
    """A program that runs in a terminal, so that each line shows as soon as it is printed."""

    def __init__(self, command, **more):
        self.command = command
        self.terminal, other_end = pty.openpty()
        tty.setraw(other_end)  # a newline is a newline
        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=other_end,
                                        stderr=self.complaints, **more)
        os.close(other_end)
        self.said = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.terminal)
        self.complaints.close()

    def stderr(self):
        self.complaints.seek(0)
        return self.complaints.read().decode()

    def wait_for_stderr(self, words):
        """Until it has complained so."""
        end = time.monotonic() + PATIENCE_SECONDS
        while words not in self.stderr():
            if time.monotonic() > end:
                raise AssertionError(f"stderr lacks {words!r}: {self.stderr()}")
            time.sleep(0.01)

    def read(self):
        """What it says next; nothing at its end."""
        if not select.select([self.terminal], [], [], PATIENCE_SECONDS)[0]:
            raise AssertionError(f"{shlex.join(self.command)} says nothing more; so far: "
                                 f"{self.said!r}, and on stderr: {self.stderr()}")
        try:
            return os.read(self.terminal, 65536)
        except OSError:  # EIO: the program has closed its end of the terminal
            return b""

    def line(self):
        """Its next line, without the newline; what is left at its end."""
        while b"\n" not in self.said:
            more = self.read()
            if not more:
                break
            self.said += more
        line, _, self.said = self.said.partition(b"\n")
        return line.decode()

    def rest(self):
        """All that it still says until it ends."""
        while more := self.read():
            self.said += more
        said, self.said = self.said, b""
        return said.decode()

    def status(self):
        """How it ended."""
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self):
        """Ends a program that would run for ever."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_SECONDS)


# ---- A network where every port is free --------------------------------------------------------

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def become_somebody_in_a_new_user_namespace():
    """There, everybody may have a network; files go on belonging to who we are."""
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    pathlib.Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    pathlib.Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    pathlib.Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def enter_new_network():
    """Moves this process into a network of its own that has only a loopback interface, and that
    the programs it starts share. False where the system doesn't allow it."""
    try:
        unshare(CLONE_NEWNET)
    except PermissionError:
        try:
            become_somebody_in_a_new_user_namespace()
        except OSError:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    return True


def bound_when_free(s, address):
    """Binds it once nobody else holds that address."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            s.bind(address)
            return s
        time.sleep(0.1)
    raise unittest.SkipTest(f"{address!r} is somebody else's")


def have_port(port, test, rested=False):
    """Port `port` of localhost is this test's alone until it ends; rested: also for a program
    that doesn't ask for SO_REUSEADDR."""
    if enter_new_network():
        return
    # An abstract name is a lock that nobody can leave behind.
    lock = bound_when_free(socket.socket(socket.AF_UNIX), f"\0salut-tests-port-{port}")
    test.addCleanup(lock.close)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound_when_free(probe, ("127.0.0.1", port))
    if rested:
        try:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise unittest.SkipTest(f"port {port} rests after an earlier test") from error


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
