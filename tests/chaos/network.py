"""Two hosts, each a network namespace of its own, a cable between them, and what befalls it.

Everything here lives in one PID namespace (see alone()) and the network namespaces have no name,
so that all of it is gone when the test ends, however it ends.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import CLONE_NEWNET, PATIENCE_SECONDS, Running, unshare

DEVICE = "chaos"  # each host's end of the cable
RELAY_SEED = "63000"

os.environ["PATH"] += ":/usr/sbin:/sbin"  # where an ordinary user's PATH doesn't lead


def attempt(*command, **more):
    """Whether it works, without a word."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False, **more).returncode == 0


def alone(command):
    """The command that runs this one as root of a PID namespace, which dies with it; None where
    the system allows no namespaces."""
    for user in ([], ["--user", "--map-root-user"]):
        apart = ["unshare", *user, "--pid", "--mount-proc", "--fork", "--kill-child"]
        if attempt(*apart, "unshare", "--net", "ip", "link", "add", "type", "veth"):
            return [*apart, *command]
    return None


def lacks():
    """What is missing here, as a sentence; None when all is there."""
    for tool, package in ("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"):
        if not shutil.which(tool):
            return f"there is no {tool} here (Debian's package is {package})"
    if not alone([]):
        return "this system doesn't allow us network namespaces joined by a veth pair"
    return None


BY_CHANCE = "numgen random mod 100"


def rules(what):
    return f"""
        table inet chaos {{
            chain incoming {{
                type filter hook prerouting priority raw
                {what} counter drop
            }}
        }}"""


class Host:
    def __init__(self, address):
        self.address = address
        unshare(CLONE_NEWNET)
        self.namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.path = f"/proc/self/fd/{self.namespace}"
        self.do("ip", "link", "set", "lo", "up")

    def inside(self, command):
        return ["nsenter", f"--net={self.path}", "--", *command]

    def do(self, *command, input=""):
        """Makes a change to this host; what the command says."""
        done = subprocess.run(self.inside(command), input=input, capture_output=True, text=True,
                              check=False, pass_fds=[self.namespace], timeout=PATIENCE_SECONDS)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} {input}: {done.stderr}")
        return done.stdout

    def can(self, *command):
        return attempt(*self.inside(command), pass_fds=[self.namespace])

    def start(self, command, *more_descriptors):
        return Running(self.inside(command), pass_fds=[self.namespace, *more_descriptors])

    def set(self, option, value):
        """net.ipv4.OPTION, of this host alone."""
        self.do("sh", "-c", f"echo {value} >/proc/sys/net/ipv4/{option}")


class Network:
    """here and there, not yet joined."""

    def __init__(self):
        self.here, self.there = Host("10.63.0.1"), Host("10.63.0.2")
        self.hosts = self.here, self.there

    def join(self):
        """By a cable without fault. What TCP hands down in one piece travels in packets all the
        same, so that each has a fate of its own."""
        self.here.do("ip", "link", "add", "name", DEVICE, "type", "veth", "peer", "name", DEVICE,
                     "netns", str(os.getpid()))  # where we are is there
        for host in self.hosts:
            host.do("ip", "link", "set", DEVICE, "gso_max_segs", "1")
        self.bring_up()

    def bring_up(self):
        for host in self.hosts:
            host.do("ip", "address", "add", f"{host.address}/24", "dev", DEVICE)
            host.do("ip", "link", "set", DEVICE, "up")

    def join_by_relay(self, relay, *faults):
        """By the cable that relay.c makes; the running relay, to be stopped."""
        running = self.here.start([relay, self.there.path, RELAY_SEED, *faults],
                                  self.there.namespace)
        if running.line() != "ready":
            raise AssertionError(f"relay: {running.stderr()}")
        self.bring_up()
        return running

    # ---- Faults --------------------------------------------------------------------------------

    def can_filter(self):
        """Whether nft is here, and this kernel has what lose() needs."""
        if not shutil.which("nft"):
            return False
        try:
            Host("10.63.0.9").do("nft", "-f", "-", input=rules(f"{BY_CHANCE} < 10"))
        except AssertionError:
            return False
        return True

    def drop(self, what):
        """Each host drops the packets of this nftables expression as they come in, fragments one
        by one."""
        for host in self.hosts:
            host.do("nft", "-f", "-", input=rules(what))

    def lose(self, percent):
        self.drop(f"iifname {DEVICE} {BY_CHANCE} < {percent}")

    def dropped(self):
        """How many packets each host has dropped."""
        return [int(re.search(r"packets (\d+)", host.do("nft", "list", "ruleset"))[1])
                for host in self.hosts]

    def queue(self, *discipline):
        """Has packets leave both hosts as tc-DISCIPLINE(8) says."""
        for host in self.hosts:
            host.do("tc", "qdisc", "add", "dev", DEVICE, "root", *discipline)

    def can_queue(self, *discipline):
        """Whether this kernel has it."""
        return self.here.can("tc", "qdisc", "add", "dev", "lo", "root", *discipline)

    def limit_packets(self, size):
        for host in self.hosts:
            host.do("ip", "link", "set", DEVICE, "mtu", str(size))

    @staticmethod
    def pull_cable(host):
        host.do("ip", "link", "set", DEVICE, "down")

    @staticmethod
    def put_cable_back(host):
        host.do("ip", "link", "set", DEVICE, "up")

    def forget(self, host):
        """This host leaves the network; the others' cables stay."""
        host.do("ip", "address", "flush", "dev", DEVICE)
        for other in self.hosts:
            other.do("ip", "neighbour", "flush", "dev", DEVICE)

