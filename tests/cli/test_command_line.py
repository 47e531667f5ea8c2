"""What the command `salut` says of itself, and to a command line that makes no sense."""
import re
import shlex
import socket
import unittest

from harness import ROOT, SALUT, CommandTest, port_of

HEADER = (ROOT / "include" / "salut.h").read_text(encoding="utf-8")
VERSION = re.search(r'#define SALUT_VERSION "(.*)"', HEADER)[1]


def examples(text, program):
    """The lines of a help text that show the program at work."""
    return [line.strip() for line in text.splitlines()
            if re.match(rf"  (\S+ \| )?{program}\b", line) and "[" not in line]


class Help(CommandTest):
    def help_of(self, *words):
        done = self.run_salut(*words)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def test_help_names_every_word_and_fits_a_terminal(self):
        text = self.help_of("--help")
        for word in "salut serve", "salut send", "--version":
            self.assertIn(word, text)
        for words in ["--help"], ["serve", "--help"], ["send", "--help"]:
            for line in self.help_of(*words).splitlines():
                self.assertLessEqual(len(line), 80, line)
        self.assertEqual(self.help_of("-h"), text)

    def test_version_is_the_headers(self):
        self.assertEqual(self.help_of("--version"), f"salut {VERSION}\n")

    def test_the_examples_of_serve_wait(self):
        shown = examples(self.help_of("serve", "--help"), "salut serve")
        self.assertGreaterEqual(len(shown), 3)
        for example in shown:
            with self.subTest(example=example):
                arguments = shlex.split(example)[2:]
                if not arguments:
                    continue # the port that is its default may be taken while we test
                arguments = [word.replace("63000", "0").replace("/tmp", str(self.scratch))
                             for word in arguments]
                server = self.serve(*arguments)
                server.process.terminate()
                server.ends()

    def test_the_examples_of_send_send(self):
        servers = {kind: self.serve(f"{kind}localhost:0") for kind in ("", "udp:")}
        shown = examples(self.help_of("send", "--help"), "salut send")
        shown += examples(self.help_of("--help"), "salut send")
        self.assertGreaterEqual(len(shown), 4)
        for example in shown:
            with self.subTest(example=example):
                server = servers["udp:" if "udp:" in example else ""]
                command = example.replace("63000", str(port_of(server.address)))
                command = command.replace("salut send", f"{shlex.join(SALUT)} send")
                sender = self.start("sh", "-c", command)
                self.assertEqual((sender.ends(), sender.complaint()), (0, ""))
                self.assertIn("127.0.0.1:", server.out.line())


class WrongCommandLines(CommandTest):
    def assert_wrong(self, *words, says, status=2):
        done = self.run_salut(*words)
        self.assertEqual((done.stdout, done.returncode), (b"", status), done.stderr)
        self.assert_sentence(done.stderr.decode(), *says)

    def test_no_word_is_answered_by_a_short_usage(self):
        done = self.run_salut()
        self.assertEqual((done.stdout, done.returncode), (b"", 2))
        self.assertRegex(done.stderr.decode(), r"\Ausage: salut serve .*\n +salut send .*\n")
        self.assertLessEqual(len(done.stderr.splitlines()), 5)

    def test_unknown_words_and_options_are_named_and_help_is_told_of(self):
        for words, named in ((["foo"], '"foo"'), (["--foo"], "--foo"), (["-x"], "-x"),
                             (["serve", "--foo"], "--foo"), (["serve", "-1"], "-1"),
                             (["serve", "localhost:0", "-y"], "-y"), (["serve", "-xh"], "-x"),
                             (["send", "--foo", "localhost:1"], "--foo"),
                             (["serve", "--once=3"], "--once=3"), (["--version=3"], "no value"),
                             (["serve", "localhost:0", "extra"], '"extra"'),
                             (["send"], "address")):
            with self.subTest(words=words):
                self.assert_wrong(*words, says=[named, "try salut --help"])

    def test_addresses_that_are_none_are_refused(self):
        for address in ("", "localhost", "localhost:", "localhost:abc", "localhost:-1",
                        "localhost:65536", "localhost:+1", "localhost:1 ", "::1", "[::1]",
                        "[::1:1", "udp:", "unix:", "unix:" + "p" * 200, "a b:1",
                        "h" * 254 + ":1"):
            with self.subTest(address=address):
                self.assert_wrong("serve", address, says=[])
        for address in "", "localhost", "localhost:abc", "localhost:65536":
            with self.subTest(address=address):
                self.assert_wrong("send", address, "Salut !", says=[])

    def test_port_0_is_no_destination(self):
        self.assert_wrong("send", "localhost:0", "x", says=["port"])

    def test_what_the_command_line_holds_is_shown_safely(self):
        self.assert_wrong("a\x1b[31m\nb", says=[r"a\x1b[31m\nb"])
        self.assert_wrong("serve", "localhost:\x1b[31m", says=["[31m: the port is a number"])
        self.assert_wrong(b"\xff", says=[r"\xff"])
        self.assert_wrong("serve", "-é", says=[r"-\xc3"])


class TheSystemSaysNo(CommandTest):
    def refused(self, *words):
        done = self.run_salut(*words)
        self.assertEqual((done.stdout, done.returncode), (b"", 1), done.stderr)
        return done.stderr.decode()

    def test_a_port_in_use_is_a_sentence(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.assert_sentence(self.refused("serve", address), address, "in use")

    def test_a_file_in_the_way_of_a_unix_path_is_a_sentence_and_stays(self):
        path = self.scratch / "precious"
        path.write_text("data", encoding="ascii")
        self.assert_sentence(self.refused("serve", f"unix:{path}"), str(path))
        self.assertEqual(path.read_text(encoding="ascii"), "data")

    def test_a_directory_that_is_not_there_is_a_sentence(self):
        self.assert_sentence(self.refused("serve", f"unix:{self.scratch}/none/socket"), "none")


class TheManualPage(CommandTest):
    def test_has_every_option_and_status(self):
        page = (ROOT / "doc" / "man" / "salut.1").read_text(encoding="utf-8")
        for option in "Fl -once", "Fl -help", "Fl -version", "It 0", "It 1", "It 2":
            self.assertIn(option, page)


if __name__ == "__main__":
    unittest.main()
