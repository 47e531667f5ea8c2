"""What salut serve shows of what a client says, byte by byte."""
import re
import socket
import struct
import sys
import unittest

from harness import CommandTest, port_of


class WhatIsShown(CommandTest):
    """A client of ours says it in pieces of our choice."""

    def setUp(self):
        super().setUp()
        self.server = self.serve("localhost:0")
        self.client, self.name = self.connect(self.server)

    def say(self, data):
        self.client.sendall(data)

    def assert_shown(self, *lines):
        self.assertEqual([self.server.out.line() for _ in lines],
                         [f"{self.name}: {line}" for line in lines])

    def assert_left(self):
        self.assertEqual(self.server.out.line(), f"{self.name} left")

    def test_each_line_has_its_line(self):
        self.say(b"one\ntwo\r\n\nfour")
        self.assert_shown("one", "two", "", "four")

    def test_a_piece_without_newline_is_shown_at_once_and_its_newline_only_ends_it(self):
        self.say(b"Sal")
        self.assert_shown("Sal")
        self.say(b"ut\n")
        self.assert_shown("ut")
        self.say(b"twice")
        self.assert_shown("twice")
        self.say(b"\nnext\n")
        self.assert_shown("next")
        self.say(b"three\r")
        self.assert_shown("three")
        self.say(b"\n\n")
        self.assert_shown("")

    def test_a_character_split_between_two_receives_is_shown_whole(self):
        for text in "é", "€", "😀":
            data = text.encode()
            for cut in range(1, len(data)):
                self.say(b"a" + data[:cut])
                self.assert_shown("a")
                self.say(data[cut:] + b"\n")
                self.assert_shown(text)

    def test_a_character_never_finished_is_marked(self):
        self.say("caf€".encode()[:-1])
        self.assert_shown("caf")
        self.client.close()
        self.assert_shown(r"\xe2\x82")
        self.assert_left()

    def test_controls_and_turns_of_direction_are_escaped(self):
        self.say("a\x1b[31mb\x07\x00\x7f\rc\td\\\n\x9b5n\u202eevil\u2066\u2028\u061c\ufeff\n"
                 .encode())
        self.assert_shown(r"a\x1b[31mb\x07\x00\x7f\rc" "\t" r"d" "\\",
                          r"\u009b5n\u202eevil\u2066\u2028\u061c\ufeff")

    def test_what_is_not_utf8_is_marked(self):
        for data, shown in ((b"\xff", r"\xff"), (b"\xc0\xaf", r"\xc0\xaf"), (b"\x80z", r"\x80z"),
                            (b"\xe0\x80\x80", r"\xe0\x80\x80"), (b"\xed\xa0\x80", r"\xed\xa0\x80"),
                            (b"\xf4\x90\x80\x80", r"\xf4\x90\x80\x80"), (b"\xf5", r"\xf5"),
                            (b"\xe2\x28", r"\xe2("), (b"\xf0\x9f\x98x", r"\xf0\x9f\x98x"),
                            (b"\xc3\xc3\xa9", r"\xc3é")):
            with self.subTest(data=data):
                self.say(data + b"\n")
                self.assert_shown(shown)

    def test_every_character_that_is_harmless_is_shown_as_it_is(self):
        text = "Ça va ? Ω 日本語 עברית 😀 \U0010fffd \ue000 ~"
        self.say(text.encode() + b"\n")
        self.assert_shown(text)

    def test_a_client_killed_in_the_middle_of_a_line_has_its_half_line_shown(self):
        killed = self.start(sys.executable, "-c", f"""
import socket, signal
client = socket.create_connection(("127.0.0.1", {port_of(self.server.address)}))
client.sendall(b"half a li")
print(client.getsockname()[1], flush=True)
signal.pause()""")
        name = f"127.0.0.1:{killed.out.line()}"
        self.assertEqual(self.server.out.line(), f"{name} connected")
        self.assertEqual(self.server.out.line(), f"{name}: half a li")
        killed.process.kill()
        self.assertEqual(self.server.out.line(), f"{name} left")

    def test_a_client_that_breaks_off_is_no_end_of_the_server(self):
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        self.assertEqual(self.server.out.line(), f"{self.name} broke off")
        self.send(self.server.address, "next")
        self.assertRegex(self.server.out.line(), " connected$")
        self.assertRegex(self.server.out.line(), ": next$")

    def test_a_line_without_end_takes_no_memory(self):
        def memory_kib():
            with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
                return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])

        def say_and_drain(pieces):
            for _ in range(pieces):
                self.say(b"x" * 16384)
                shown = 0
                while shown < 16384:
                    line = self.server.out.line().removeprefix(f"{self.name}: ")
                    self.assertEqual(line, "x" * len(line))
                    shown += len(line)

        say_and_drain(20)
        before = memory_kib()
        say_and_drain(300) # 5 MB
        self.assertLess(memory_kib() - before, 1024)


if __name__ == "__main__":
    unittest.main()
