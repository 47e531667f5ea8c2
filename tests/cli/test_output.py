"""When salut serve can't say what it hears, or is told to end."""
import fcntl
import os
import resource
import signal
import socket
import sys
import time
import unittest

from harness import DEADLINE_SECONDS, SALUT, CommandTest, Said, port_of, skip_under_emulator


class StandardOutput(CommandTest):
    def test_a_full_disk_is_a_sentence(self):
        for words in ["serve", "localhost:0"], ["serve", "udp:localhost:0"], ["--help"], \
                     ["--version"], ["send", "--help"]:
            with self.subTest(words=words), open("/dev/full", "wb") as full:
                program = self.start(*SALUT, *words, stdout=full)
                self.assertEqual(program.ends(), 1)
                self.assert_sentence(program.complaint(), "standard output", "No space left")

    @skip_under_emulator("it opens files of its own in the place of what is closed")
    def test_a_closed_one_is_a_sentence_and_no_socket_takes_its_place(self):
        for words in ["serve", "localhost:0"], ["--version"]:
            with self.subTest(words=words):
                program = self.start(*SALUT, *words, stdout=None, prepare=lambda: os.close(1))
                self.assertEqual(program.ends(), 1)
                self.assert_sentence(program.complaint(), "standard output",
                                     "Bad file descriptor")

    def test_send_needs_none(self):
        server = self.serve("localhost:0")
        sender = self.start(*SALUT, "send", server.address, "Salut !", stdout=None,
                            prepare=lambda: os.close(1))
        self.assertEqual((sender.ends(), sender.complaint()), (0, ""))
        self.assertRegex(server.out.line(), " connected$")
        self.assertRegex(server.out.line(), ": Salut !$")

    def test_a_reader_that_left_ends_the_server_which_tidies_up(self):
        path = self.scratch / "socket"
        server = self.serve(f"unix:{path}")
        server.process.stdout.close()
        server.process.stdout = None
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            self.assertEqual(server.ends(), 1)
        self.assert_sentence(server.complaint(), "standard output", "Broken pipe")
        self.assertFalse(path.exists())


class StandardInput(CommandTest):
    def test_a_closed_one_is_a_sentence(self):
        server = self.serve("localhost:0")
        sender = self.start(*SALUT, "send", server.address, stdin=None,
                            prepare=lambda: os.close(0))
        self.assertEqual(sender.ends(), 1)
        self.assert_sentence(sender.complaint(), "standard input", "Bad file descriptor")


class Interrupted(CommandTest):
    def test_a_server_ends_quietly_whatever_its_clients_do(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with self.subTest(signal=number):
                path = self.scratch / "socket"
                server = self.serve(f"unix:{path}")
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
                    self.assertEqual(server.out.line(), "client 1 connected")
                    server.process.send_signal(number)
                    self.assertEqual(server.ends(), 0)
                    self.assertEqual(client.recv(1), b"")
                self.assertEqual((server.out.rest(), server.complaint()), (b"", ""))
                self.assertFalse(path.exists())

    def test_a_server_of_datagrams_ends_quietly(self):
        server = self.serve("udp:localhost:0")
        server.process.send_signal(signal.SIGINT)
        self.assertEqual((server.ends(), server.out.rest(), server.complaint()), (0, b"", ""))

    def test_a_server_for_one_client_says_that_it_was_interrupted(self):
        path = self.scratch / "socket"
        for number in signal.SIGINT, signal.SIGTERM:
            with self.subTest(signal=number):
                server = self.serve("--once", f"unix:{path}")
                server.process.send_signal(number)
                self.assertEqual(server.ends(), -number)
                self.assertFalse(path.exists())

    def test_a_signal_that_was_ignored_stays_so(self):
        server = self.serve("localhost:0",
                            prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        server.process.send_signal(signal.SIGHUP)
        self.send(server.address, "still there ?")
        self.assertRegex(server.out.line(), " connected$")
        self.assertRegex(server.out.line(), ": still there \\?$")

    def test_a_server_whose_output_nobody_reads_ends_all_the_same(self):
        reader, writer = os.pipe()
        unread = Said(reader)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        path = self.scratch / "socket"
        server = self.start(*SALUT, "serve", f"unix:{path}", stdout=writer)
        os.close(writer)
        self.assertEqual(unread.line(), f"Waiting on unix:{path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.setblocking(False)
            said_enough = time.monotonic() + DEADLINE_SECONDS
            while not self.is_stuck(server, client):
                self.assertLess(time.monotonic(), said_enough, "the server reads on and on")
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.ends(), 0)
        self.assertEqual(server.complaint(), "")
        self.assertFalse(path.exists())
        line = rb"client 1: nobody reads this\n"
        self.assertRegex(unread.rest(), rb"\Aclient 1 connected\n(%s)*.*\Z" % line)

    @staticmethod
    def is_stuck(server, client):
        """It sleeps though there is more to read: so it sleeps in writing."""
        try:
            client.send(b"nobody reads this\n" * 1000)
            return False
        except BlockingIOError:
            with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "S"


@skip_under_emulator("it takes minutes for thousands of clients")
class TooMany(CommandTest):
    CLIENTS_MAX = 4096 # as in src/cli/serve.c

    def setUp(self):
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = self.CLIENTS_MAX + 100
        if hard != resource.RLIM_INFINITY and hard < needed:
            why = f"a process may have {hard} descriptors here, and this takes {needed}"
            print(f"skipped: {why}", file=sys.stderr)
            self.skipTest(why)
        if soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_client_too_many_waits_until_another_has_left(self):
        path = self.scratch / "socket"
        server = self.serve(f"unix:{path}")
        clients = []
        for number in range(1, self.CLIENTS_MAX + 2):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.settimeout(DEADLINE_SECONDS)
            client.connect(str(path))
            clients.append(client)
            if number <= self.CLIENTS_MAX:
                self.assertEqual(server.out.line(), f"client {number} connected")
        clients[-1].sendall(b"at last\n")
        for turn in range(20):
            clients[1].sendall(b"%d\n" % turn)
            self.assertEqual(server.out.line(), f"client 2: {turn}")
        clients[0].close()
        self.assertEqual(server.out.line(), "client 1 left")
        self.assertEqual(server.out.line(), f"client {self.CLIENTS_MAX + 1} connected")
        self.assertEqual(server.out.line(), f"client {self.CLIENTS_MAX + 1}: at last")


class OutOfDescriptors(CommandTest):
    @skip_under_emulator("it needs descriptors of its own")
    def test_a_client_waits_until_another_has_left(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))

        server = self.serve("localhost:0", prepare=few)
        clients = []
        for _ in range(30):
            client = socket.create_connection(("127.0.0.1", port_of(server.address)),
                                              DEADLINE_SECONDS)
            self.addCleanup(client.close)
            clients.append(client)
        for client in clients:
            name = f"127.0.0.1:{client.getsockname()[1]}"
            client.close()
            server.out.until(f"{name} left\n".encode())
        self.assertEqual(server.complaint(), "")


if __name__ == "__main__":
    unittest.main()
