"""Does each word do what Python's does, on Linux and on the simulated network? Runs the same
behaviours on Python's sockets and on ours and compares the outcomes: they agree, or they differ as
the table here says, for the reason that it gives and that <salut.h> tells its reader. Where the
simulated network differs from Linux, it is wrong.

    python3 test_semantics.py --table     prints the comparison as Markdown
"""
import os
import pathlib
import re
import sys
import tempfile
import typing
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import BUILD, SLOW, SOURCE, compiled, enter_new_network, has_ipv6, ours, run

HERE = pathlib.Path(__file__).parent
NEED_IPV6 = {"peer_by_ipv6", "peer_by_ipv4_at_a_listener_of_both_families",
             "bind_to_every_interface", "bind_to_every_interface_where_somebody_listens",
             "bind_where_somebody_listens_to_every_interface",
             "bind_to_ipv6_where_somebody_listens_by_ipv4",
             "bind_to_every_ipv4_interface_where_somebody_listens_by_ipv6",
             "bind_to_an_ipv6_address_of_another_machine",
             "connect_by_ipv6_where_only_ipv4_is_heard",
             "connect_by_ipv4_where_only_ipv6_is_heard", "connect_to_a_mapped_address",
             "largest_udp_datagram_by_ipv6_and_one_byte_more",
             "udp_by_ipv4_at_a_socket_of_both_families", "udp_to_ipv6_from_ipv4",
             "udp_to_a_mapped_address_from_one_who_speaks_only_ipv6"}

# What the simulated network doesn't have, and why.
NOT_SIMULATED = {
    "descriptors_are_closed_on_exec": "no program is executed there",
    "close_while_a_duplicate_of_the_descriptor_is_open": "no call duplicates descriptors there",
    "unix_bind_where_there_is_no_directory": "all directories exist there (<salut/sim.h>)",
}


class Difference(typing.NamedTuple):
    python: str
    salut: str
    why: str
    documented: str  # words of <salut.h> that say so


DIFFERENCES = {
    "connect_at_timeout_0": Difference(
        "EINPROGRESS", "EAGAIN",
        "one errno for everything that would have to wait",
        "the call would have to wait, and the timeout is 0"),
    "connect_at_timeout_0_and_again_with_time": Difference(
        "EINPROGRESS, 0", "EAGAIN, 0",
        "one errno for everything that would have to wait",
        "the call would have to wait, and the timeout is 0"),
    "send_again_after_a_timeout_in_the_middle": Difference(
        "ETIMEDOUT, ETIMEDOUT", "ETIMEDOUT, EPIPE",
        "after half a message, the next one would be taken for its rest",
        "every later send fails with EPIPE"),
    "send_a_lot_with_a_timeout_to_one_who_reads_when_there_is_no_more_room": Difference(
        "a part", "all",
        "a send that leaves a part unsent loses it in most programs",
        "salut_send() sends everything, as Python's sendall()"),
    "settimeout_negative": Difference(
        "EINVAL", "0",
        "C has no None: a negative timeout is its \"for ever\"",
        "negative is for ever (the default)"),
    "recv_after_a_reset": Difference(
        "ECONNRESET, 0", "ECONNRESET, ECONNRESET",
        "a connection that broke must not look like one that ended well",
        "the peer broke off: every later receive says so too"),
    "send_and_then_recv_after_a_reset": Difference(
        "ECONNRESET, 0", "ECONNRESET, ECONNRESET",
        "a connection that broke must not look like one that ended well",
        "the peer broke off: every later receive says so too"),
    "send_a_lot_to_one_who_breaks_off": Difference(
        "ECONNRESET, EPIPE, 0", "ECONNRESET, EPIPE, ECONNRESET",
        "a connection that broke must not look like one that ended well",
        "the peer broke off: every later receive says so too"),
    "send_to_the_gone_raises_no_signal": Difference(
        "EPIPE, SIG_IGN", "EPIPE, SIG_DFL",
        "a program's signals are its own: the send itself asks for none, where Python ignores "
        "SIGPIPE for the whole process",
        "close-on-exec always, SIGPIPE never"),
    "shutdown_of_a_listener": Difference(
        "0", "ENOTCONN",
        "a listener has no conversation to end; close it",
        "Result: 0, or -1 and ENOTCONN, EINVAL, or salut_send()'s errors"),
    "recv_0_bytes": Difference(
        "0", "EINVAL",
        "0 has to mean that the peer is done",
        "size: room in buffer, 1 to SSIZE_MAX bytes"),
    "send_unconnected": Difference(
        "EPIPE", "ENOTCONN",
        "nothing broke: nothing was connected",
        "ECONNRESET, ENOTCONN, EMSGSIZE (datagram too long; nothing was sent)"),
    "connect_a_listener": Difference(
        "EISCONN", "EOPNOTSUPP",
        "a listener is not connected",
        "EOPNOTSUPP (listening)"),
    "connect_a_bound_socket_where_nobody_listens_and_then_where_somebody_does": Difference(
        "ECONNREFUSED, 0, 0", "ECONNREFUSED, 0, 1",
        "an address that was given stays, also where the system has chosen the port",
        "After a failure the socket is as before and may be connected again"),
    "connect_to_a_mapped_address": Difference(
        "0, ::ffff:127.0.0.1", "0, 127.0.0.1",
        "the peer's address as the peer would write it",
        "is shown as IPv4"),
    "connect_to_port_0": Difference(
        "ECONNREFUSED", "EINVAL",
        "port 0 is no port, so nobody can be listening there",
        "port: 1 to 65535 (Unix kinds: ignored)"),
    "connect_to_no_host": Difference(
        "0", "EINVAL",
        "a host that was left empty by mistake must not mean this machine",
        "host: a name, a numeric address or a Unix path; port: 1 to 65535"),
    "bind_while_the_port_is_in_time_wait": Difference(
        "0, EADDRINUSE", "0, 0",
        "a server can be started again at once",
        "SO_REUSEADDR is on for listeners"),
    "bind_where_somebody_is_who_does_not_listen": Difference(
        "EADDRINUSE", "0",
        "a server can be started again at once; of the two, one can listen",
        "SO_REUSEADDR is on for listeners"),
    "bind_to_every_interface": Difference(
        "0.0.0.0", "::",
        "one listener for IPv6 and IPv4",
        "NULL or \"\" is every interface, IPv6 and IPv4 both"),
    "listen_without_bind": Difference(
        "0, 0.0.0.0", "0, 127.0.0.1",
        "nobody from outside, unless asked for",
        "A socket that was not bound listens on 127.0.0.1"),
    "listen_after_a_bind_that_failed": Difference(
        "EADDRINUSE, 0", "EADDRINUSE, EADDRINUSE",
        "a program that doesn't check must not listen at an address that nobody knows",
        "give the same failure until then"),
    "datagram_longer_than_the_buffer_and_the_one_after_it": Difference(
        "4 hell, 4 next", "EMSGSIZE, 4 next",
        "Python cuts the datagram, and nothing tells",
        "longer than size: it is gone, never silently cut"),
    "udp_recv_after_shutting_down_reading": Difference(
        "0, ETIMEDOUT", "0, 0",
        "with a timeout it is told what Python tells without one",
        "when nothing is there, a receive gives 0"),
    "unix_datagram_that_is_empty_and_one_longer_than_the_buffer": Difference(
        "0, 5, 4, 0, 4 hell, 4 next", "0, 5, 4, 0, EMSGSIZE, 4 next",
        "Python cuts the datagram, and nothing tells",
        "longer than size: it is gone, never silently cut"),
    "udp_send_unconnected": Difference(
        "EDESTADDRREQ", "ENOTCONN",
        "the same errno as for a stream",
        "ECONNRESET, ENOTCONN, EMSGSIZE (datagram too long; nothing was sent)"),
    "udp_recv_unbound": Difference(
        "ETIMEDOUT", "EINVAL",
        "no datagram can reach a socket without an address: waiting would be for ever",
        "EINVAL (no address yet: bind first)"),
    "udp_to_ipv6_from_ipv4": Difference(
        "EAI_ADDRFAMILY", "EAFNOSUPPORT",
        "an address is resolved before it is used",
        "EAFNOSUPPORT (an IPv6 address and an IPv4 socket"),
    "recvfrom_on_a_stream": Difference(
        "5 hello", "EOPNOTSUPP",
        "a stream's bytes have no sender of their own",
        "EBUSY, EOPNOTSUPP (a stream), EINVAL"),
    "sendto_on_a_stream": Difference(
        "5", "EOPNOTSUPP",
        "the system would ignore the address",
        "EOPNOTSUPP (a stream), EAFNOSUPPORT"),
    "unix_path_of_107_and_of_108_bytes": Difference(
        "0, OSError", "0, ENAMETOOLONG",
        "Python's error has no errno",
        "ENAMETOOLONG (path)"),
    "unix_close_unlinks_the_path": Difference(
        "there", "gone",
        "the file would stop the program's next start",
        "A path bound here is unlinked by salut_close()"),
    "unix_send_and_recv_unconnected": Difference(
        "ENOTCONN, EINVAL", "ENOTCONN, ENOTCONN",
        "the same errno as over TCP",
        "every later receive says so too), ENOTCONN"),
    "unix_connect_times_out_when_the_backlog_is_full": Difference(
        "EAGAIN", "ETIMEDOUT",
        "the system gives nothing to wait for, so Python doesn't wait",
        "the time of salut_settimeout() is over (it covers the whole call)"),
    "close_twice": Difference(
        "0, 0", "0, EBADF",
        "a second close is somebody's mistake",
        "EBADF (closed already)"),
    "descriptor_before_bind": Difference(
        "there", "EBADF",
        "the family, and with it the descriptor, is chosen at bind or connect",
        "EBADF (none before bind or connect)"),
    "own_name_when_unbound": Difference(
        "0.0.0.0 0", "EINVAL",
        "there is no address yet, not even of all zeros",
        "EINVAL (no address yet)"),
    "peer_by_ipv4_at_a_listener_of_both_families": Difference(
        "::ffff:127.0.0.1", "127.0.0.1",
        "the peer's address as the peer would write it",
        "An IPv4 client of a socket bound to every interface is shown as IPv4"),
    "udp_by_ipv4_at_a_socket_of_both_families": Difference(
        "5, 5 hello, ::ffff:127.0.0.1, 4", "5, 5 hello, 127.0.0.1, 4",
        "the sender's address as the sender would write it",
        "An IPv4 client of a socket bound to every interface is shown as IPv4"),
    "option_tcp_nodelay_of_both_ends": Difference(
        "0, 0", "1, 1",
        "small messages leave at once; who wants them gathered has salut_set_buffer()",
        "TCP_NODELAY is on"),
    "option_reuseaddr_of_a_listener": Difference(
        "0", "1",
        "a server can be started again at once",
        "SO_REUSEADDR is on for listeners"),
    "decode_a_zero_byte": Difference(
        "3", "EILSEQ",
        "a C string would end there, and the rest would be lost",
        "a NUL byte, which a C string can't hold"),
}


def output_of(command):
    with tempfile.TemporaryDirectory() as directory:
        done = run(command, cwd=directory)
        left = os.listdir(directory)
    if done.returncode or done.stderr:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    if left:
        raise AssertionError(f"{command} left {left} behind")
    return done.stdout


def as_outcomes(lines):
    """What a program printed, as {behaviour: outcome} in its order."""
    return dict(line.split(": ", 1) for line in lines.splitlines())


def outcomes_of(command):
    return as_outcomes(output_of(command))


def simulated_outcomes(count, calm):
    """The same by the seeds 1 to count."""
    said = output_of(ours(BUILD / "tests" / "behaviours_simulated", 1, count, int(calm),
                          *NOT_SIMULATED))
    return {int(seed): as_outcomes(lines)
            for seed, lines in re.findall(r"^seed: (\d+)\n((?:(?!seed: ).*\n)*)", said, re.MULTILINE)}


def joined(outcome):
    """The outcome's words, with what was received in several calls as one text."""
    words = []
    for word in outcome.split(", "):
        received = re.fullmatch(r"\d+ (.+)", word, re.DOTALL)
        if received and words and words[-1].startswith("received "):
            words[-1] += received[1]
        else:
            words.append(f"received {received[1]}" if received else word)
    return words


def in_smaller_pieces(expected, outcome):
    """Whether the outcome is the expected one, but for receives that gave less than was there,
    after which the same calls came less far."""
    if outcome == expected:
        return True
    wanted, found = joined(expected), joined(outcome)
    return (len(found) <= len(wanted) and
            all(here == there or here.startswith("received ") and there.startswith(here)
                for here, there in zip(found, wanted)))


def both_outcomes():
    with tempfile.TemporaryDirectory() as directory:
        program = compiled(HERE / "behaviours.c", directory)
        return (outcomes_of([sys.executable, str(HERE / "behaviours.py")]),
                outcomes_of(ours(program)))


class Semantics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python, cls.salut = both_outcomes()

    def test_both_programs_show_the_same_behaviours(self):
        self.assertEqual(list(self.python), list(self.salut))
        self.assertEqual(set(DIFFERENCES) - set(self.python), set())

    def test_outcomes_agree_or_differ_as_listed(self):
        for name, outcome in self.python.items():
            with self.subTest(name):
                if name in NEED_IPV6 and not has_ipv6():
                    self.skipTest("this system has no IPv6")
                listed = DIFFERENCES.get(name)
                expected = (listed.python, listed.salut) if listed else (outcome, outcome)
                self.assertEqual((outcome, self.salut[name]), expected)

    def expected_of_the_simulated(self):
        return {name: outcome for name, outcome in self.salut.items()
                if name not in NOT_SIMULATED and (name not in NEED_IPV6 or has_ipv6())}

    def test_the_calm_simulated_network_does_what_linux_does(self):
        expected = self.expected_of_the_simulated()
        for seed, outcomes in simulated_outcomes(5 if SLOW else 20, calm=True).items():
            for name in expected:
                with self.subTest(name, seed=seed):
                    self.assertEqual(outcomes[name], expected[name])

    def test_on_the_simulated_network_only_pieces_may_be_smaller(self):
        expected = self.expected_of_the_simulated()
        for seed, outcomes in simulated_outcomes(50 if SLOW else 500, calm=False).items():
            for name in expected:
                with self.subTest(name, seed=seed):
                    self.assertTrue(in_smaller_pieces(expected[name], outcomes[name]),
                                    f"{outcomes[name]} is not {expected[name]}")

    def test_each_listed_difference_is_one(self):
        self.assertEqual([name for name, listed in DIFFERENCES.items()
                          if listed.python == listed.salut], [])

    def test_each_difference_is_told_in_the_header(self):
        header = (SOURCE / "include" / "salut.h").read_text(encoding="utf-8")
        header = " ".join(re.sub(r"^ \*", " ", header, flags=re.MULTILINE).split())
        for name, listed in DIFFERENCES.items():
            with self.subTest(name):
                self.assertIn(listed.documented, header)


def setUpModule():
    enter_new_network()  # where no other program has a port that a behaviour takes for free


def short(outcome):
    words = outcome.split(", ")
    return f"{words[0]}, each time" if len(words) > 4 and len(set(words)) == 1 else outcome


def table():
    python, salut = both_outcomes()
    cells = [("behaviour", "Python", "salut", "why they differ"), ("---",) * 4]
    for name, outcome in python.items():
        why = DIFFERENCES[name].why if name in DIFFERENCES else ""
        cells.append((name.replace("_", " "), short(outcome), short(salut[name]), why))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table())
    else:
        unittest.main()
