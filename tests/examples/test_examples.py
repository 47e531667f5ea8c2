"""The example programs: what each of them prints, to the letter."""
import os
import pathlib
import re
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import (BUILD, COMPILER, PATIENCE_SECONDS, SOURCE, WARNINGS, Running, have_port,
                      ours, run)

EXAMPLES = BUILD / "examples"


def example(name, *arguments):
    return ours(EXAMPLES / name, *arguments)


class TheGreetingPrograms(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        have_port(63000, self)

    def test_greet_each_other(self):
        with Running(example("serveur")) as server:
            self.assertEqual(server.line(), "Serveur en attente...")
            client = run(example("client"))
            self.assertEqual((client.stdout, client.stderr, client.returncode), ("", "", 0))
            self.assertRegex(server.line(), r"^Connexion de \('127\.0\.0\.1', \d+\)$")
            self.assertEqual(server.rest(), "Message recu: Salut le serveur !\n")
            self.assertEqual((server.stderr(), server.status()), ("", 0))

    def test_server_names_the_port_that_the_client_came_from(self):
        with Running(example("serveur")) as server:
            server.line()
            with socket.create_connection(("127.0.0.1", 63000)) as client:
                client.sendall("Ça va ?".encode())
                self.assertEqual(server.line(), f"Connexion de {client.getsockname()}")
                self.assertEqual(server.rest(), "Message recu: Ça va ?\n")

    def test_client_says_that_no_server_is_running(self):
        client = run(example("client"))
        self.assertEqual((client.stdout, client.returncode), ("", 1))
        self.assertRegex(client.stderr, r"^client: connect to localhost:63000 .*is the server "
                                        r"running\?.*\n$")

    def test_second_server_says_that_the_address_is_in_use(self):
        with Running(example("serveur")) as first:
            first.line()
            second = run(example("serveur"))
            self.assertEqual((second.stdout, second.returncode), ("", 1))
            self.assertEqual(second.stderr, "serveur: bind to 127.0.0.1:63000: the address is in "
                             "use (is the same program still running? try another port)\n")

    def test_server_says_what_is_wrong_with_bytes_that_are_not_text(self):
        with Running(example("serveur")) as server:
            server.line()
            with socket.create_connection(("127.0.0.1", 63000)) as client:
                client.sendall(b"Salut \xff !")
                self.assertRegex(server.line(), r"^Connexion de \('127\.0\.0\.1', \d+\)$")
                self.assertEqual((server.rest(), server.status()), ("", 1))
            self.assertEqual(server.stderr(),
                             "serveur: decode: byte 6 (0xff) is not UTF-8 where it stands\n")

    def test_server_can_be_started_again_at_once(self):
        for _ in range(2):
            with Running(example("serveur")) as server:
                self.assertEqual(server.line(), "Serveur en attente...")
                with socket.create_connection(("127.0.0.1", 63000)) as client:
                    client.sendall(b"Salut")
                    server.rest()  # the server has closed first: its side is in TIME_WAIT
                    self.assertEqual(server.status(), 0)


class EchoMany(unittest.TestCase):
    def start(self, *arguments):
        server = self.enterContext(Running(example("echo_many", *arguments)))
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)", server.line())
        self.assertIsNotNone(found, server.stderr())
        return server, int(found[1])

    def test_listens_on_port_63000_if_not_told_otherwise(self):
        have_port(63000, self)
        server, port = self.start()
        self.assertEqual(port, 63000)
        server.stop()
        self.assertEqual(server.stderr(), "")

    def test_answers_each_client_while_the_others_wait(self):
        server, port = self.start(0)
        clients = [self.enterContext(socket.create_connection(("127.0.0.1", port)))
                   for _ in range(3)]
        for number in (2, 0, 1, 0, 2, 1):
            words = f"client {number}".encode()
            clients[number].sendall(words)
            self.assertEqual(clients[number].recv(100), words)
        clients[1].shutdown(socket.SHUT_WR)
        self.assertEqual(clients[1].recv(100), b"")
        clients[0].sendall(b"still here")
        self.assertEqual(clients[0].recv(100), b"still here")
        server.stop()
        self.assertEqual(server.stderr(), "")

    def test_says_that_its_port_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = run(example("echo_many", port))
        self.assertEqual((server.stdout, server.returncode), ("", 1))
        self.assertEqual(server.stderr, f"echo_many: bind to 127.0.0.1:{port}: the address is in "
                         "use (is the same program still running? try another port)\n")


class Guest:
    """Somebody in the chat, known there by the port it came from."""

    def __init__(self, port, test, room_bytes=None):
        self.socket = test.enterContext(socket.socket())
        if room_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        self.name = self.socket.getsockname()[1]
        self.lines = test.enterContext(self.socket.makefile("r", encoding="utf-8", newline="\n"))

    def says(self, text):
        self.socket.sendall(f"{text}\n".encode())

    def hears(self):
        return self.lines.readline()


class Chat(unittest.TestCase):
    def start(self):
        server = self.enterContext(Running(example("chat", 0)))
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)", server.line())
        self.assertIsNotNone(found, server.stderr())
        return server, int(found[1])

    def all_hear(self, guests, line):
        for guest in guests:
            self.assertEqual(guest.hears(), f"{line}\n")

    def newcomer(self, port, others, **more):
        guest = Guest(port, self, **more)
        self.all_hear([*others, guest], f"{guest.name}: (has come)")
        return guest

    def test_everybody_hears_what_anybody_says(self):
        server, port = self.start()
        anna = self.newcomer(port, [])
        ben = self.newcomer(port, [anna])
        cleo = self.newcomer(port, [anna, ben])
        anna.says("Ça va ?")
        self.all_hear([anna, ben, cleo], f"{anna.name}: Ça va ?")
        ben.says("oui")
        self.all_hear([anna, ben, cleo], f"{ben.name}: oui")
        ben.socket.shutdown(socket.SHUT_WR)
        self.all_hear([anna, ben, cleo], f"{ben.name}: (has left)")
        self.assertEqual(ben.hears(), "")
        server.stop()
        self.assertEqual((server.status(), server.stderr()), (0, ""))

    def test_who_never_reads_delays_nobody_and_misses_some(self):
        server, port = self.start()
        anna = self.newcomer(port, [])
        deaf = self.newcomer(port, [anna], room_bytes=4096)
        ben = self.newcomer(port, [anna, deaf])
        rounds = 20000
        for number in range(rounds):
            anna.says(f"{number:0200}")
            self.all_hear([anna, ben], f"{anna.name}: {number:0200}")
        deaf.socket.shutdown(socket.SHUT_WR)
        self.all_hear([anna, ben], f"{deaf.name}: (has left)")
        heard = deaf.lines.readlines()
        self.assertEqual(heard[0], f"{anna.name}: {0:0200}\n")
        self.assertLess(len(heard), rounds)
        server.stop()
        self.assertEqual((server.status(), server.stderr()), (0, ""))


class TheOthers(unittest.TestCase):
    maxDiff = None

    def prints(self, name, *arguments, expected, **more):
        done = run(example(name, *arguments), **more)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (expected, "", 0))

    def test_udp(self):
        self.prints("udp", expected='''\
"salut" was answered by "SALUT"
"" was answered by ""
"le serveur !" was answered by "LE SERVEUR !"
recv: a datagram of 8 bytes came, and the buffer has 5
''')

    def test_unix(self):
        with tempfile.TemporaryDirectory() as directory:
            self.prints("unix", expected='''\
waiting at salut.socket
the host hears: Salut, it's me!
the visitor hears: Come in!
''', cwd=directory)
            self.assertEqual(os.listdir(directory), [])

    def test_unix_at_another_path(self):
        with tempfile.TemporaryDirectory() as directory:
            done = run(example("unix", f"{directory}/door"))
            self.assertEqual(done.stdout.splitlines()[0], f"waiting at {directory}/door")
            self.assertEqual(os.listdir(directory), [])

    def test_timeout(self):
        self.prints("timeout", expected='''\
before asking: recv from an unnamed socket: it would have to wait, and the timeout is 0
asked once: recv from an unnamed socket: no answer in time
asked again: Salut !
''')


class EveryExample(unittest.TestCase):
    sources = sorted((SOURCE / "examples").glob("*.c"))

    def test_is_run_here(self):
        here = pathlib.Path(__file__).read_text(encoding="utf-8")
        self.assertEqual([source.stem for source in self.sources
                          if f'"{source.stem}"' not in here], [])

    def test_is_plain_c_without_a_warning(self):
        for source in self.sources:
            with self.subTest(source.name):
                done = run([COMPILER, "-std=c11", "-O2", *WARNINGS, "-fsyntax-only",
                            f"-I{SOURCE / 'include'}", str(source)])
                self.assertEqual((done.stderr, done.returncode), ("", 0))

    def test_fits_in_a_reader_s_head(self):
        for source in self.sources:
            with self.subTest(source.name):
                lines_max = 99 if source.stem == "chat" else 70
                self.assertLessEqual(len(source.read_text(encoding="utf-8").splitlines()),
                                     lines_max)


if __name__ == "__main__":
    unittest.main()
