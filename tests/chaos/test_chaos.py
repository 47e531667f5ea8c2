"""Real faults, between two network namespaces: each conversation of talk.c ends intact, or with the
errno and the sentence that its words promise.

    test_chaos.py                                   every case, side by side
    test_chaos.py Weather.test_loss_of_10_percent   one
"""
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import EMULATOR, SLOW, WARNINGS, compiled, ours
from network import Network, alone, lacks

HERE = pathlib.Path(__file__)
INSIDE = "SALUT_CHAOS_PROGRAMS"  # set for a case's own process: where relay and talk lie

# What each conversation goes on for once the fault is there; fewer where each takes long.
FEW = {"bulk": 1 << 20, "lines": 20, "messages": 20, "crowd": 5, "datagrams": 50}
MANY = FEW if SLOW else {"bulk": 4 << 20, "lines": 200, "messages": 200, "crowd": 20,
                         "datagrams": 100}
RATE_BYTES = 1000 * 1000  # a second
PULLED_SECONDS, STOPPED_SECONDS = 5, 10  # the faults' own
BRIEF_SECONDS = 1  # for what is meant to end in vain
IDLE_SECONDS = 5  # the same, but not before the first answer, however slow this machine
# All cases at once, since they mostly wait; fewer where their programs are heavy.
SIDE_BY_SIDE = 5 if SLOW else 50

# One of each kind, where a program takes seconds to begin: the faults are the system's in any case.
EMULATED = ("Weather.test_loss_of_10_percent", "RelayWeather.test_loss_and_all_of_these",
            "Event.test_own_cable_is_pulled_and_put_back",
            "Event.test_peer_is_killed_and_another_takes_its_place",
            "GoneForGood.test_peer_whose_cable_ends_at_us", "Nobody.test_packets_vanish")


def program(name):
    return pathlib.Path(os.environ[INSIDE]) / name


def count(what, said):
    """How many datagrams were repeated, say."""
    return int(re.search(rf"(\d+) {what}", said["datagrams"])[1])


class Case(unittest.TestCase):
    def setUp(self):
        self.network = Network()

    def serve(self, *idle_seconds, port=0):
        address = self.network.there.address
        command = ours(program("talk"), "serve", f"{address}:{port}", *idle_seconds)
        self.server = self.enterContext(self.network.there.start(command))
        self.address = f"{address}:{self.server.line()}"
        self.peer = re.escape(self.address)

    def talk(self, what, number, *seconds, address=None):
        command = ours(program("talk"), what, address or self.address, number, *seconds)
        return self.enterContext(self.network.here.start(command))

    def under_way(self, counts, *seconds):
        """A client for each conversation, which has had its first answer."""
        clients = {what: self.talk(what, number, *seconds) for what, number in counts.items()}
        for what, client in clients.items():
            self.assertEqual(client.line(), "under way", f"{what}: {client.stderr()}")
        return clients

    def assert_intact(self, clients):
        """They end so, once they are told that the fault is there. What each said."""
        said = {}
        for client in clients.values():
            client.process.send_signal(signal.SIGUSR1)
        for what, client in clients.items():
            said[what] = client.rest()
            self.assertEqual((client.stderr(), client.status()), ("", 0), f"{what}: {said[what]}")
            self.assertRegex(said[what], "(?m)^intact: ")
            print(f"{what}: {said[what]}", end="")
        return said

    def assert_server_saw_nothing(self):
        self.server.stop()
        self.assertEqual((self.server.rest(), self.server.stderr(), self.server.status()),
                         ("", "", 0))

    def converse(self, counts):
        self.serve()
        said = self.assert_intact(self.under_way(counts))
        self.assert_server_saw_nothing()
        return said

    def assert_fails(self, client, outcomes):
        """Each of its conversations ends like one of these: an errno's name and a sentence. What
        it said."""
        said = client.rest()
        self.assertEqual((client.stderr(), client.status()), ("", 1), said)
        lines = said.removeprefix("under way\n").splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, f"^({outcomes})$")
        print(*sorted(set(lines)), sep="\n")
        return said


# ---- What lies under a conversation from its beginning -------------------------------------------

class Weather(Case):
    def setUp(self):
        super().setUp()
        self.network.join()

    def test_good(self):
        self.converse(MANY)

    def test_loss_of_10_percent(self):
        if self.network.can_filter():
            self.network.lose(10)
            self.converse(FEW)
            self.assertGreater(min(self.network.dropped()), 0)
        elif self.network.can_queue("netem", "loss", "10%"):
            self.network.queue("netem", "loss", "10%")
            self.converse(FEW)
        else:
            self.skipTest("neither nft's numgen nor tc's netem is here to lose packets")

    def test_rate_of_8_megabits(self):
        discipline = "tbf", "rate", "8mbit", "burst", "16kb", "latency", "200ms"
        if not self.network.can_queue(*discipline):
            self.skipTest("tc's tbf isn't here to slow packets down")
        self.network.queue(*discipline)
        began = time.monotonic()
        self.converse(MANY)
        self.assertGreater(time.monotonic() - began, MANY["bulk"] / RATE_BYTES)

    def test_packets_of_576_bytes(self):
        self.network.limit_packets(576)
        self.converse(MANY)


class NetemWeather(Case):
    def under(self, *faults):
        self.network.join()
        if not self.network.can_queue("netem", *faults):
            self.skipTest("tc's netem isn't here (RelayWeather does the same without)")
        self.network.queue("netem", *faults)
        return self.converse(FEW)

    def test_delay_of_100_ms_give_or_take_80(self):
        self.assertGreater(count("overtaken", self.under("delay", "100ms", "80ms")), 0)

    def test_reordering(self):
        self.assertGreater(count("overtaken", self.under("delay", "20ms", "reorder", "25%")), 0)

    def test_duplication(self):
        self.assertGreater(count("repeated", self.under("duplicate", "20%")), 0)


class RelayWeather(Case):
    def under(self, *faults):
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            self.skipTest("/dev/net/tun isn't here for us")
        self.enterContext(self.network.join_by_relay(program("relay"), *faults))
        return self.converse(FEW)

    def test_delay_of_100_ms_give_or_take_80(self):
        said = self.under("delay", "100", "jitter", "80")
        self.assertGreater(count("overtaken", said), 0)

    def test_reordering(self):
        said = self.under("delay", "20", "reorder", "25")
        self.assertGreater(count("overtaken", said), 0)

    def test_duplication(self):
        said = self.under("duplicate", "20")
        self.assertGreater(count("repeated", said), 0)

    def test_loss_and_all_of_these(self):
        said = self.under("delay", "20", "jitter", "20", "loss", "3", "duplicate", "5")
        self.assertGreater(count("overtaken", said), 0)


# ---- What happens in the middle of one -----------------------------------------------------------

class Event(Case):
    def setUp(self):
        super().setUp()
        self.network.join()
        self.serve()

    def patient_too(self):
        """And one that has less time than the fault takes."""
        return self.under_way(MANY) | self.under_way({"patient": 20}, BRIEF_SECONDS)

    def assert_intact_but_late(self, clients):
        said = self.assert_intact(clients)
        self.assertIn(f"late: recv_line from {self.address}: no answer in time\n", said["patient"])
        self.assert_server_saw_nothing()

    def test_cable_of_the_peer_is_pulled_and_put_back(self):
        clients = self.patient_too()
        self.network.pull_cable(self.network.there)
        time.sleep(PULLED_SECONDS)
        self.network.put_cable_back(self.network.there)
        self.assert_intact_but_late(clients)

    def test_own_cable_is_pulled_and_put_back(self):
        """No way leads to the peer any more: streams outlive it, nothing new can begin."""
        clients = self.patient_too()
        self.assert_intact({"datagrams": clients.pop("datagrams")})
        self.network.pull_cable(self.network.here)
        self.assert_fails(self.talk("lines", 1),
                          f"ENETUNREACH connect to {self.peer}: no route to that network")
        time.sleep(PULLED_SECONDS)
        self.network.put_cable_back(self.network.here)
        self.assert_intact_but_late(clients)

    def test_peer_is_stopped_and_goes_on(self):
        clients = self.patient_too()
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        self.server.process.send_signal(signal.SIGCONT)
        self.assert_intact_but_late(clients)

    def test_packets_shrink(self):
        clients = self.under_way(MANY)
        self.network.limit_packets(576)
        self.assert_intact(clients)
        self.assert_server_saw_nothing()

    def test_peer_is_killed_and_another_takes_its_place(self):
        clients = self.under_way(MANY | {"idle": 1})
        self.server.process.kill()
        gone = r"the peer (is gone|broke the connection off)"
        for client in clients.values():
            self.assert_fails(client, "|".join((
                rf"ECONNRESET \w+ (from|to) {self.peer}: the peer broke the connection off",
                rf"EPIPE send\w* to {self.peer}: {gone}",
                rf"EPIPE send\w* to {self.peer}: the connection broke in an earlier send "
                rf"\({gone}\)",
                r"END the peer was done after \d+ answers",
                rf"EPROTO recv_\w+ from {self.peer}: the peer ended in the middle of a "
                r"(line|message), after \d+ bytes of it",
                rf"ECONNREFUSED (connect|send) to {self.peer}: connection refused \(.*\)")))
        self.serve(port=self.address.rpartition(":")[2])
        self.assert_intact(self.under_way(MANY))
        self.assert_server_saw_nothing()


class GoneForGood(Case):
    """A machine without power: nobody says that it is gone, packets vanish."""
    def setUp(self):
        super().setUp()
        self.network.join()
        self.network.here.set("tcp_retries2", 4)  # or it would try for a quarter of an hour

    def assert_is_given_up(self, client):
        """By the system, which says why once and EPIPE from then on."""
        said = self.assert_fails(client, "|".join((
            rf"ETIMEDOUT \w+ (from|to) {self.peer}: no answer in time",
            rf"EHOSTUNREACH \w+ (from|to) {self.peer}: no route to that host",
            rf"EPIPE send to {self.peer}: the peer is gone")))
        self.assertRegex(said, "(?m)^(ETIMEDOUT|EHOSTUNREACH)")

    def test_peer_whose_cable_ends_at_us(self):
        self.serve()
        clients = self.under_way({"bulk": 1, "idle": 1})
        bounded = self.under_way({"lines": 1, "messages": 1}, BRIEF_SECONDS)
        self.network.pull_cable(self.network.there)
        for client in bounded.values():
            self.assert_fails(client, rf"ETIMEDOUT recv_\w+ from {self.peer}: no answer in time")
        for client in clients.values():
            self.assert_is_given_up(client)

    def test_peer_behind_a_switch(self):
        self.serve()
        client = self.under_way({"bulk": 1})["bulk"]
        self.network.forget(self.network.there)
        self.assert_is_given_up(client)

    def test_client_of_a_server_that_bounds_idleness(self):
        self.serve(IDLE_SECONDS)
        client = self.talk("idle", 1)
        self.assertEqual(client.line(), "under way")
        self.network.pull_cable(self.network.here)
        self.assertRegex(self.server.line(),
                         rf"^lost a client: recv_line from 10\.63\.0\.1:\d+: no answer in time$")


# ---- Nobody to talk with -------------------------------------------------------------------------

class Nobody(Case):
    def setUp(self):
        super().setUp()
        self.network.join()

    def assert_connect_fails(self, address, outcome, *seconds):
        """How long it took."""
        began = time.monotonic()
        client = self.talk("lines", 1, *seconds, address=address)
        self.assert_fails(client, outcome.replace("ADDRESS", re.escape(address)))
        took = time.monotonic() - began
        print(f"after {took:.2f} s")
        return took

    def test_packets_vanish(self):
        if not self.network.can_filter():
            self.skipTest("nft isn't here to drop packets")
        self.network.drop("tcp dport 9")
        self.network.here.set("tcp_syn_retries", 1)  # or the system would try for two minutes
        timed_out = "ETIMEDOUT connect to ADDRESS: no answer in time"
        took = self.assert_connect_fails("10.63.0.2:9", timed_out, BRIEF_SECONDS)
        self.assertGreaterEqual(took, BRIEF_SECONDS)
        self.assert_connect_fails("10.63.0.2:9", timed_out)

    def test_no_machine_has_that_address(self):
        self.assert_connect_fails("10.63.0.3:9",
                                  "EHOSTUNREACH connect to ADDRESS: no route to that host")

    def test_no_way_leads_there(self):
        self.assert_connect_fails("192.0.2.1:9",
                                  "ENETUNREACH connect to ADDRESS: no route to that network")

    def test_nobody_listens(self):
        self.assert_connect_fails("10.63.0.2:9",
                                  r"ECONNREFUSED connect to ADDRESS: connection refused \(.*\)")


# ---- Each case in a process of its own, side by side ---------------------------------------------

def cases(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from cases(one)
        else:
            yield one.id().removeprefix("__main__.")


def build_relay(directory):
    """For the machine, not for the build: it is a part of the cable."""
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", *WARNINGS,
                    str(HERE.with_name("relay.c")), "-o", f"{directory}/relay"], check=True)


def run_alone(name):
    return subprocess.run([sys.executable, str(HERE), name], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def run_side_by_side():
    """Whether all went well."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    names = EMULATED if EMULATOR else list(cases(tests))
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        done = list(pool.map(run_alone, names))
    failed = [name for name, one in zip(names, done) if one.returncode]
    for name, one in zip(names, done):
        print(f"\n==== {name}\n{one.stdout}", end="")
    print(f"\n{len(names) - len(failed)} cases went well, {len(failed)} failed:", *failed)
    return not failed


def main():
    if INSIDE in os.environ:
        unittest.main(verbosity=2)
    missing = lacks()
    if missing:
        print(f"skipped: {missing}")
        return 77
    if os.getpid() != 1:
        os.execvp("unshare", alone([sys.executable, *sys.argv]))
    with tempfile.TemporaryDirectory() as directory:
        compiled(HERE.with_name("talk.c"), directory)
        build_relay(directory)
        os.environ[INSIDE] = directory
        if len(sys.argv) > 1:
            return subprocess.run([sys.executable, *sys.argv], check=False).returncode
        return 0 if run_side_by_side() else 1


if __name__ == "__main__":
    sys.exit(main())
