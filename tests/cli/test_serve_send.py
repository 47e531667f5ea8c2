"""salut serve and salut send, one against the other, on every kind of address."""
import os
import re
import signal
import socket
import sys
import unittest

from harness import SALUT, CommandTest, port_of


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        print("skipped: this machine has no IPv6", file=sys.stderr)
        return False


class OverEveryAddress(CommandTest):
    def test_a_message_crosses_over_tcp(self):
        server = self.serve("localhost:0")
        self.assertRegex(server.address, r"\A127\.0\.0\.1:\d+\Z")
        self.send(server.address, "Salut le serveur !")
        name = re.fullmatch(r"(127\.0\.0\.1:\d+) connected", server.out.line())[1]
        self.assertEqual(server.out.line(), f"{name}: Salut le serveur !")
        self.assertEqual(server.out.line(), f"{name} left")

    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
    def test_a_message_crosses_over_ipv6(self):
        server = self.serve("[::1]:0")
        self.assertRegex(server.address, r"\A\[::1\]:\d+\Z")
        self.send(server.address, "Salut !")
        name = re.fullmatch(r"(\[::1\]:\d+) connected", server.out.line())[1]
        self.assertEqual(server.out.line(), f"{name}: Salut !")

    def test_a_server_on_every_interface_names_ipv4_clients_as_such(self):
        server = self.serve(":0")
        self.send(f":{port_of(server.address)}", "Salut !")
        self.assertRegex(server.out.line(), r"\A127\.0\.0\.1:\d+ connected\Z")

    def test_clients_of_a_unix_path_are_called_by_number_and_the_path_goes_at_the_end(self):
        path = self.scratch / "socket"
        server = self.serve(f"unix:{path}")
        self.assertEqual(server.address, f"unix:{path}")
        for number in (1, 2):
            self.send(server.address, "Salut !")
            self.assertEqual([server.out.line() for _ in range(3)],
                             [f"client {number} connected", f"client {number}: Salut !",
                              f"client {number} left"])
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.ends(), 0)
        self.assertFalse(path.exists())

    def test_a_message_crosses_by_an_abstract_name(self):
        server = self.serve(f"unix:@salut-test-{os.getpid()}")
        self.send(server.address, "Salut !")
        self.assertEqual(server.out.line(), "client 1 connected")
        self.assertEqual(server.out.line(), "client 1: Salut !")

    def test_each_message_to_udp_is_a_datagram_and_a_line(self):
        server = self.serve("udp:localhost:0")
        self.assertRegex(server.address, r"\Audp:127\.0\.0\.1:\d+\Z")
        self.send(server.address, "Salut !", "", "two\nlines\n")
        lines = [server.out.line() for _ in range(3)]
        name = re.fullmatch(r"(127\.0\.0\.1:\d+): Salut !", lines[0])[1]
        self.assertEqual(lines[1:], [f"{name}: ", rf"{name}: two\nlines"])

    def test_each_line_of_input_to_udp_is_a_datagram(self):
        server = self.serve("udp:localhost:0")
        self.send(server.address, data=b"one\n\nlast\0one")
        lines = [server.out.line().split(": ", 1)[1] for _ in range(3)]
        self.assertEqual(lines, ["one", "", r"last\x00one"])

    def test_the_largest_datagram_crosses_whole(self):
        server = self.serve("udp:localhost:0")
        self.send(server.address, data=b"d" * 65507)
        self.assertEqual(len(server.out.line().split(": ", 1)[1]), 65507)

    def test_a_line_too_long_for_a_datagram_is_refused(self):
        server = self.serve("udp:localhost:0")
        complaint = self.send(server.address, data=b"short\n" + b"l" * 65528 + b"\n", status=1)
        self.assert_sentence(complaint, "line 2 of standard input has more than 65527 bytes")
        complaint = self.send(server.address, data=b"l" * 65508, status=1)
        self.assert_sentence(complaint, "the datagram is too long")


class ManyClients(CommandTest):
    def test_clients_speak_at_the_same_time(self):
        server = self.serve("localhost:0")
        clients = [self.connect(server) for _ in range(50)]
        for turn in range(3):
            for number, (client, name) in enumerate(reversed(clients)):
                client.sendall(f"{turn} {number}\n".encode())
                self.assertEqual(server.out.line(), f"{name}: {turn} {number}")
        for client, _ in clients:
            client.sendall(b"together\n")
        self.assertEqual({server.out.line() for _ in clients},
                         {f"{name}: together" for _, name in clients})
        for client, _ in clients:
            client.close()
        self.assertEqual({server.out.line() for _ in clients},
                         {f"{name} left" for _, name in clients})

    def test_many_commands_send_at_the_same_time(self):
        server = self.serve("localhost:0")
        senders = [self.start(*SALUT, "send", server.address, f"message {i}") for i in range(20)]
        self.assertEqual([sender.ends() for sender in senders], [0] * len(senders))
        lines = [server.out.line() for _ in range(3 * len(senders))]
        said = {line.split(": ", 1)[1] for line in lines if ": " in line}
        self.assertEqual(said, {f"message {i}" for i in range(20)})


class Once(CommandTest):
    def test_the_server_ends_when_the_first_client_has_gone(self):
        server = self.serve("--once", "localhost:0")
        self.send(server.address, "Salut !")
        self.assertRegex(server.out.rest().decode(), r"\A(\S+) connected\n\1: Salut !\n\1 left\n\Z")
        self.assertEqual((server.ends(), server.complaint()), (0, ""))

    def test_the_option_may_follow_the_address(self):
        server = self.serve("localhost:0", "--once")
        self.send(server.address, "Salut !")
        self.assertEqual(server.ends(), 0)

    def test_a_second_client_is_refused_rather_than_kept_waiting(self):
        server = self.serve("--once", "localhost:0")
        client, name = self.connect(server)
        self.assert_sentence(self.send(server.address, "me too", status=1), "connection refused")
        client.close()
        self.assertEqual(server.out.line(), f"{name} left")
        self.assertEqual(server.ends(), 0)

    def test_a_unix_path_is_gone_at_the_end(self):
        path = self.scratch / "socket"
        server = self.serve("--once", f"unix:{path}")
        self.send(server.address, "Salut !")
        self.assertEqual(server.ends(), 0)
        self.assertFalse(path.exists())

    def test_one_datagram_is_enough(self):
        server = self.serve("--once", "udp:localhost:0")
        self.send(server.address, "one")
        self.assertRegex(server.out.line(), ": one$")
        self.assertEqual((server.ends(), server.out.rest()), (0, b""))


if __name__ == "__main__":
    unittest.main()
