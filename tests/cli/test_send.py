"""salut send, to servers that are not as kind as salut serve."""
import os
import re
import socket
import subprocess
import unittest

from harness import DEADLINE_SECONDS, SALUT, CommandTest


class Sending(CommandTest):
    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(DEADLINE_SECONDS)
        self.addCleanup(listener.close)
        return listener, f"127.0.0.1:{listener.getsockname()[1]}"

    def accept(self, listener):
        peer, _ = listener.accept()
        peer.settimeout(DEADLINE_SECONDS)
        self.addCleanup(peer.close)
        return peer

    @staticmethod
    def receive_all(peer):
        data = bytearray()
        while piece := peer.recv(65536):
            data += piece
        return bytes(data)

    def test_words_are_joined_by_a_space_and_nothing_is_added(self):
        listener, address = self.listen()
        for words, expected in ((["Salut", "le", "serveur !"], b"Salut le serveur !"),
                                ([""], b""), (["-n", "--", "--help"], b"-n -- --help"),
                                (["é\n"], "é\n".encode())):
            with self.subTest(words=words):
                sender = self.start(*SALUT, "send", address, *words)
                peer = self.accept(listener)
                self.assertEqual(self.receive_all(peer), expected)
                peer.close()
                self.assertEqual(sender.ends(), 0)

    def test_several_megabytes_of_any_bytes_arrive_whole(self):
        listener, address = self.listen()
        data = os.urandom(1024) * 4096
        path = self.scratch / "data"
        path.write_bytes(data)
        with open(path, "rb") as source:
            sender = self.start(*SALUT, "send", address, stdin=source)
        peer = self.accept(listener)
        self.assertEqual(self.receive_all(peer), data)
        peer.close()
        self.assertEqual((sender.ends(), sender.complaint()), (0, ""))

    def test_input_is_sent_as_it_comes(self):
        listener, address = self.listen()
        sender = self.start(*SALUT, "send", address, stdin=subprocess.PIPE)
        peer = self.accept(listener)
        for piece in b"one\n", b"no newline", b"\0\xff":
            sender.process.stdin.write(piece)
            sender.process.stdin.flush()
            self.assertEqual(peer.recv(100), piece)
        sender.process.stdin.close()
        self.assertEqual(peer.recv(100), b"")
        peer.close()
        self.assertEqual(sender.ends(), 0)

    def test_input_that_ends_at_once_connects_and_leaves(self):
        server = self.serve("localhost:0")
        self.send(server.address)
        name = re.fullmatch(r"(\S+) connected", server.out.line())[1]
        self.assertEqual(server.out.line(), f"{name} left")

    def test_a_peer_that_answers_everything_stops_nothing(self):
        listener, address = self.listen()
        path = self.scratch / "data"
        path.write_bytes(b"e" * (8 << 20))
        with open(path, "rb") as source:
            sender = self.start(*SALUT, "send", address, stdin=source)
        peer = self.accept(listener)
        echoed = 0
        while piece := peer.recv(65536):
            peer.sendall(piece)
            echoed += len(piece)
        peer.close()
        self.assertEqual((sender.ends(), echoed), (0, 8 << 20))

    def test_a_peer_that_breaks_off_is_told_of(self):
        listener, address = self.listen()
        sender = self.start(*SALUT, "send", address, "x" * 100)
        peer = self.accept(listener)
        self.assertEqual(peer.recv(10), b"x" * 10)
        peer.close() # with 90 bytes that nobody has read
        self.assertEqual(sender.ends(), 1)
        self.assert_sentence(sender.complaint(), "the peer broke the connection off")

    def test_a_peer_that_is_gone_is_noticed_while_sending(self):
        listener, address = self.listen()
        with open("/dev/zero", "rb") as endless:
            sender = self.start(*SALUT, "send", address, stdin=endless)
        self.accept(listener).close()
        self.assertEqual(sender.ends(), 1)
        self.assert_sentence(sender.complaint(), "send to 127.0.0.1")

    def test_a_peer_that_never_leaves_is_left(self):
        listener, address = self.listen()
        sender = self.start(*SALUT, "send", address, "Salut !")
        peer = self.accept(listener)
        self.assertEqual(self.receive_all(peer), b"Salut !")
        self.assertEqual((sender.ends(), sender.complaint()), (0, ""))

    def test_nobody_there_is_a_sentence(self):
        listener, address = self.listen()
        listener.close()
        self.assert_sentence(self.send(address, "x", status=1), address, "connection refused")
        self.assert_sentence(self.send(f"udp:{address}", "x", status=1), "connection refused")
        self.assert_sentence(self.send(f"unix:{self.scratch}/none", "x", status=1), "none")

    def test_a_directory_as_input_is_a_sentence(self):
        listener, address = self.listen()
        directory = os.open(self.scratch, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        for kind in "", "udp:":
            sender = self.start(*SALUT, "send", f"{kind}{address}", stdin=directory)
            self.assertEqual(sender.ends(), 1)
            self.assert_sentence(sender.complaint(), "can't read standard input: Is a directory")
        listener.close()


if __name__ == "__main__":
    unittest.main()
