"""The command on a terminal of its own: Ctrl-C, a window that is closed, hostile bytes."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from harness import DEADLINE_SECONDS, SALUT, CommandTest, port_of

CTRL_C, CTRL_D = b"\x03", b"\x04"

HOSTILE = b"".join((
    b"\x1b[2J\x1b]0;title\x07", # clears the screen, names the window
    b"\x1b[5n\x1bP$q\"p\x1b\\", # makes the terminal type something
    b"\x9b5n\xc2\x9b5n", # the same in one byte, and in UTF-8
    b"\x0e\x08\x0c\x7f\x00\x85", # another character set, a step back, a page
    "\u202e\u2066\u200f\u061c\u2028\ufeff".encode(),
    b"\rfake: line",
    bytes(range(0x80, 0x100))))


class OnATerminal(CommandTest):
    def serve(self, *arguments, **more):
        return super().serve(*arguments, on_terminal=True, **more)

    def show(self, server, data):
        """All that comes to the terminal because of these bytes."""
        with socket.create_connection(("127.0.0.1", port_of(server.address)),
                                      DEADLINE_SECONDS) as client:
            client.sendall(data)
        return server.out.until(b" left\r\n")

    def test_nothing_that_a_peer_sends_steers_it(self):
        shown = self.show(self.serve("localhost:0"), HOSTILE)
        text = shown.decode() # valid UTF-8, whatever came
        self.assertEqual(re.findall(r"[^\t\r\n\x20-\x7e]", text), [])
        self.assertEqual(text.count("\r"), text.count("\n"))
        self.assertEqual(text.count("\r\n"), 3) # connected, what it said, left
        self.assertIn(r"\x1b[2J\x1b]0;title\x07", text)
        self.assertIn(r"\x9b5n\u009b5n", text)
        self.assertIn(r"\u202e\u2066\u200f\u061c\u2028\ufeff\rfake: line", text)

    def test_nothing_that_the_command_line_holds_steers_it(self):
        program = self.start(*SALUT, "\x1b[31m\u202e", on_terminal=True)
        self.assertEqual(program.out.line(),
                         r'salut: unknown word "\x1b[31m\u202e" (try salut --help)')
        self.assertEqual(program.ends(), 2)

    def test_text_in_utf8_is_shown_also_when_the_locale_says_nothing(self):
        for locale in "C.UTF-8", "C", "POSIX":
            with self.subTest(locale=locale):
                server = self.serve("localhost:0", environment={"LC_ALL": locale})
                self.assertIn("Ça va\r\n".encode(), self.show(server, "Ça va\n".encode()))

    def test_a_terminal_of_another_character_set_gets_ascii_only(self):
        if not shutil.which("localedef"):
            print("skipped: localedef isn't here", file=sys.stderr)
            self.skipTest("localedef isn't here")
        made = subprocess.run(["localedef", "-c", "-i", "en_US", "-f", "ISO-8859-1",
                               str(self.scratch / "en_US.ISO-8859-1")],
                              capture_output=True, text=True, check=False)
        if not (self.scratch / "en_US.ISO-8859-1" / "LC_CTYPE").exists():
            print(f"skipped: no locale could be made: {made.stderr}", file=sys.stderr)
            self.skipTest("no locale could be made")
        server = self.serve("localhost:0", environment={"LC_ALL": "en_US.ISO-8859-1",
                                                        "LOCPATH": str(self.scratch)})
        self.assertIn(b": \\u00c0 \\U0001f600 ok\r\n", self.show(server, "À 😀 ok\n".encode()))

    def test_ctrl_c_ends_the_server_quietly(self):
        server = self.serve("localhost:0")
        os.write(server.terminal, CTRL_C)
        self.assertEqual(server.ends(), 0)
        self.assertIn(server.out.rest(), (b"^C", b""))

    def test_ctrl_c_interrupts_a_sender(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE_SECONDS)
        sender = self.start(*SALUT, "send", f"127.0.0.1:{listener.getsockname()[1]}",
                            on_terminal=True)
        listener.accept()[0].close()
        os.write(sender.terminal, CTRL_C)
        self.assertEqual(sender.ends(), -signal.SIGINT)

    def test_a_closed_terminal_ends_the_server_and_its_path_is_gone(self):
        path = self.scratch / "socket"
        server = self.serve(f"unix:{path}")
        server.close_terminal()
        self.assertEqual(server.ends(), 0)
        self.assertFalse(path.exists())

    def test_what_is_typed_is_sent_line_by_line(self):
        server = CommandTest.serve(self, "localhost:0")
        sender = self.start(*SALUT, "send", server.address, on_terminal=True)
        name = re.fullmatch(r"(\S+) connected", server.out.line())[1]
        for line in "Salut !", "Ça va ?":
            os.write(sender.terminal, line.encode() + b"\n")
            self.assertEqual(server.out.line(), f"{name}: {line}")
        os.write(sender.terminal, CTRL_D)
        self.assertEqual(server.out.line(), f"{name} left")
        self.assertEqual(sender.ends(), 0)


if __name__ == "__main__":
    unittest.main()
