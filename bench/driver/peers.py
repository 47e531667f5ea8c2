"""The peers: what each needs to be here, and how its programs are built.

A peer's programs are peers/<peer>_<work>.<c, cpp, go or py>."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from driver.machine import Failure

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"


class Peer:
    def __init__(self, title, package=None, header=None, libraries=(), command=None, module=None):
        self.title = title          # as the table shows it
        self.package = package      # Debian's name of it; None: nothing to install
        self.header = header        # here if this header is,
        self.libraries = libraries
        self.command = command      # or this command,
        self.module = module        # or this module of Python

    def is_here(self):
        if self.command:
            return shutil.which(self.command) is not None
        if self.module:
            return run_quietly([PYTHON, "-c", f"import {self.module}"])
        if self.header:
            language = "c++" if self.header.startswith("boost/") else "c"
            return run_quietly(["cc", "-fsyntax-only", "-x", language, "-include", self.header,
                                os.devnull])
        return True

    def version(self):
        if not self.package:
            return ""
        query = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", self.package],
                               capture_output=True, text=True)
        return query.stdout if query.returncode == 0 else ""


PEERS = {
    "salut": Peer("salut"),
    "epoll": Peer("epoll by hand"),
    "hand": Peer("by hand"),
    "raw": Peer("raw TCP"),
    "libuv": Peer("libuv", "libuv1-dev", "uv.h", ["-luv"]),
    "libevent": Peer("libevent bufferevent", "libevent-dev", "event2/event.h", ["-levent"]),
    "st": Peer("State Threads (poll)", "libst-dev", "st.h", ["-lst"]),
    "go": Peer("Go net", "golang-go", command="go"),
    "asyncio": Peer("asyncio", "python3", module="asyncio"),
    "uvloop": Peer("uvloop", "python3-uvloop", module="uvloop"),
    "zeromq": Peer("ZeroMQ", "libzmq3-dev", "zmq.h", ["-lzmq"]),
    "nng": Peer("nng", "libnng-dev", "nng/nng.h", ["-lnng"]),
    "context": Peer("Boost.Context", "libboost-context-dev", "boost/context/fiber.hpp",
                    ["-lboost_context"]),
    "fiber": Peer("Boost.Fiber", "libboost-fiber-dev", "boost/fiber/fiber.hpp",
                  ["-lboost_fiber", "-lboost_context"]),
}


def run_quietly(argv):
    try:
        return subprocess.run(argv, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def install(names):
    """Installs what these peers miss, and gnuplot, with apt."""
    packages = [PEERS[name].package for name in names
                if PEERS[name].package and not PEERS[name].is_here()]
    if not shutil.which("gnuplot"):
        packages.append("gnuplot-nox")
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise Failure(f"--install needs apt-get; what is missing: {' '.join(packages)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    print("installing " + " ".join(packages), flush=True)
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode:
        raise Failure("apt-get couldn't install " + " ".join(packages))


class Workshop:
    """Builds programs into a directory, each once."""

    def __init__(self, directory, build):
        self.directory = Path(directory).resolve()
        self.build = Path(build).resolve()
        self.here = {}
        self.commands = {}
        self.left_out = {}  # program or peer: why

    def load(self):
        program = self.directory / "load"
        self.compile(["cc", "-std=gnu11", "-O2", BENCH / "load.c", "-o", program])
        return program

    def command(self, name):
        """The command that runs program <peer>_<work>, or None, with the reason in left_out."""
        if name not in self.commands:
            try:
                self.commands[name] = self.make(name)
            except Failure as failure:
                self.commands[name] = None
                self.left_out.setdefault(name, str(failure))
        return self.commands[name]

    def make(self, name):
        peer_name = name.partition("_")[0]
        peer = PEERS[peer_name]
        if peer_name not in self.here:
            self.here[peer_name] = peer.is_here()
        if not self.here[peer_name]:
            raise Failure(f"{peer.title} isn't installed (package {peer.package})")
        source = next((BENCH / "peers").glob(f"{name}.*"))
        program = self.directory / name
        if source.suffix == ".py":
            return [PYTHON, "-B", str(source)]
        if source.suffix == ".go":
            cache = {"GOCACHE": str(self.directory / "go"), "GO111MODULE": "off"}
            self.compile(["go", "build", "-o", program, source], cache)
        elif source.suffix == ".cpp":
            self.compile(["c++", "-O2", source, "-o", program, *peer.libraries])
        else:
            flags = self.salut_flags(name) if peer_name == "salut" else peer.libraries
            self.compile(["cc", "-std=gnu11", "-O2", source, "-o", program, *flags])
        return [str(program)]

    def salut_flags(self, name):
        if name == "salut_switch":  # below the library's words: from its sources
            assembly = (ROOT / "src/fiber").glob("switch_*.S")
            return [ROOT / "src/fiber/context.c", *assembly, "-I", ROOT / "src"]
        if not (self.build / "libsalut.so").exists():
            raise Failure(f"{self.build} has no libsalut.so: build salut there first, or say "
                          "where it is with --build")
        return ["-I", ROOT / "include", "-L", self.build, f"-Wl,-rpath,{self.build}", "-lsalut"]

    def compile(self, argv, environment=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        argv = [str(word) for word in argv]
        try:
            done = subprocess.run(argv, capture_output=True, text=True,
                                  env=dict(os.environ, **(environment or {})))
        except FileNotFoundError:
            raise Failure(f"there is no {argv[0]} here")
        if done.returncode:
            lines = done.stderr.splitlines()
            why = next((line for line in lines if "error" in line or "undefined" in line),
                       lines[-1] if lines else "")
            raise Failure(f"it doesn't compile: {why.strip()}")

    def versions(self):
        versions = {PEERS[name].title: PEERS[name].version()
                    for name, is_here in self.here.items() if is_here}
        header = (ROOT / "include/salut.h").read_text()
        versions["salut"] = re.search(r'SALUT_VERSION "(.*?)"', header).group(1)
        cache = self.build / "CMakeCache.txt"
        if cache.exists():
            kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache.read_text(), re.M)
            versions["salut"] += f", {kind.group(1) if kind else 'unknown'} build"
        return {title: version for title, version in versions.items() if version}
