"""Our programs talk with others': the course note's own two, in Python, and peers that behave as
peers on a network do."""
import contextlib
import pathlib
import random
import re
import socket
import socketserver
import struct
import sys
import tempfile
import threading
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import (BUILD, PATIENCE_SECONDS, SLOW, Running, compiled, has_ipv6, have_port, ours,
                      run)

HERE = pathlib.Path(__file__).parent
COMMAND = BUILD / "salut"
BULK_BYTES = (2 if SLOW else 50) * 1000 * 1000
CLIENTS = 50 if SLOW else 200

directory = None  # of the programs below, and of Unix paths
programs = {}


def setUpModule():
    global directory
    if SLOW:
        print(f"smaller where all is slow: {BULK_BYTES} bytes each way, {CLIENTS} clients")
    directory = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(directory.cleanup)
    for source in HERE.glob("*.c"):
        programs[source.stem] = compiled(source, directory.name)


def python(program, *arguments):
    return [sys.executable, str(HERE / program), *map(str, arguments)]


def made_here(program, *arguments):
    return ours(programs[program], *arguments)


def connection(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def reset(s):
    """Closes so that the peer is told off instead of told goodbye."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


# ---- The greeting ------------------------------------------------------------------------------

class Greeting(unittest.TestCase):
    """Every server with every client, where one of the two at least is ours."""

    def greets(self, servers, clients, peer, path=None):
        for server in servers:
            for client in clients:
                if server[0] == client[0] == sys.executable:
                    continue
                with self.subTest(server=server, client=client):
                    self.greet_alone(server, client, peer, path)

    def greet_alone(self, server, client, peer, path):
        try:
            if path:
                path.unlink(missing_ok=True)  # Python's server leaves it behind
            else:
                have_port(63000, self, rested=server[0] == sys.executable)
            self.greet(server, client, peer)
        finally:
            self.doCleanups()

    def greet(self, server, client, peer):
        with Running(server) as running:
            self.assertNotEqual(running.line(), "", running.stderr())
            done = run(client)
            self.assertEqual((done.stdout, done.stderr, done.returncode), ("", "", 0))
            said = running.rest()
            self.assertEqual((running.stderr(), running.status()), ("", 0), said)
        if str(COMMAND) in server:
            self.assertIn("Salut le serveur !\n", said)
        else:
            self.assertRegex(said, f"^Connexion de {peer}\nMessage recu: Salut le serveur !\n$")

    @staticmethod
    def by_command(address):
        """What the command does as a server and as a client, where the build has it."""
        if not COMMAND.exists():
            return [], []
        return ([ours(COMMAND, "serve", "--once", address)],
                [ours(COMMAND, "send", address, "Salut le serveur !")])

    def test_at_the_note_s_own_address(self):
        examples = BUILD / "examples"
        servers, clients = self.by_command("localhost:63000")
        self.greets([ours(examples / "serveur"), python("serveur.py"), *servers],
                    [ours(examples / "client"), python("client.py"), *clients],
                    r"\('127\.0\.0\.1', \d+\)")

    @unittest.skipUnless(has_ipv6(), "this system has no IPv6")
    def test_by_ipv6(self):
        address = "[::1]:63000"
        servers, clients = self.by_command(address)
        self.greets([made_here("serveur_at", address), python("serveur.py", "::1"), *servers],
                    [made_here("client_at", address), python("client.py", "::1"), *clients],
                    r"\('::1', \d+(, 0, 0)?\)")

    def test_over_a_unix_path(self):
        path = pathlib.Path(directory.name) / "greeting"
        address = f"unix:{path}"
        servers, clients = self.by_command(address)
        self.greets([made_here("serveur_at", address), python("serveur.py", path), *servers],
                    [made_here("client_at", address), python("client.py", path), *clients],
                    r"(\('', 0\))?", path)


# ---- Many bytes --------------------------------------------------------------------------------

def start_sending(s, data, piece=1 << 20):
    """Sends all of it in pieces, and says that this is all, on another thread."""
    def send():
        for at in range(0, len(data), piece):
            s.sendall(data[at:at + piece])
        s.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def receive_all(s):
    pieces = []
    while piece := s.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def sums(said):
    """{"sent": (count, Adler-32), "received": ...} of what an `exchange` printed."""
    return {way: (int(count), int(adler))
            for way, count, adler in re.findall(r"^(\w+) (\d+) (\d+)$", said, re.MULTILINE)}


class ManyBytes(unittest.TestCase):
    def exchange(self, s, running):
        data = random.Random(63000).randbytes(BULK_BYTES)
        with s:
            sender = start_sending(s, data)
            received = receive_all(s)
            sender.join()
        said = sums(running.rest())
        self.assertEqual((running.stderr(), running.status()), ("", 0))
        self.assertEqual(said, {"sent": (BULK_BYTES, zlib.adler32(received)),
                                "received": (BULK_BYTES, zlib.adler32(data))})
        self.assertEqual(len(received), BULK_BYTES)

    def python_listens(self, listener, address):
        with listener, Running(made_here("exchange", "connect", address, BULK_BYTES)) as running:
            self.exchange(listener.accept()[0], running)

    def test_python_listens(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.python_listens(listener, f"127.0.0.1:{listener.getsockname()[1]}")

    def test_python_listens_at_a_unix_path(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{directory.name}/bulk")
        listener.listen()
        self.python_listens(listener, f"unix:{directory.name}/bulk")

    def test_python_connects(self):
        with Running(made_here("exchange", "listen", "localhost:0", BULK_BYTES)) as running:
            self.exchange(connection(int(running.line())), running)

    def test_ours_with_ours(self):
        with Running(made_here("exchange", "listen", "localhost:0", BULK_BYTES)) as one:
            address = f"localhost:{one.line()}"
            with Running(made_here("exchange", "connect", address, BULK_BYTES)) as other:
                one_said, other_said = sums(one.rest()), sums(other.rest())
                self.assertEqual((one.stderr(), other.stderr()), ("", ""))
        self.assertEqual(one_said["sent"], other_said["received"])
        self.assertEqual(one_said["received"], other_said["sent"])
        self.assertEqual(one_said["sent"][0], BULK_BYTES)


# ---- Peers as they come ------------------------------------------------------------------------

class EchoHandler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    request_queue_size = CLIENTS
    daemon_threads = True


class ClientsOfEchoMany(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Running(ours(BUILD / "examples" / "echo_many", 0)))
        self.port = int(self.server.line().rpartition(":")[2])

    def client(self):
        return self.enterContext(connection(self.port))

    def assert_hears(self, client, words):
        heard = b""
        while len(heard) < len(words) and (piece := client.recv(len(words) - len(heard))):
            heard += piece
        self.assertEqual(heard, words)

    def assert_echo(self, client, words):
        client.sendall(words)
        self.assert_hears(client, words)

    def assert_no_complaint(self):
        self.server.stop()
        self.assertEqual(self.server.stderr(), "")

    def test_many_at_once(self):
        clients = [self.client() for _ in range(CLIENTS)]
        order = list(range(CLIENTS))
        random.Random(63000).shuffle(order)
        for number in order:
            clients[number].sendall(f"I am number {number}".encode())
        for number, client in enumerate(clients):
            self.assert_hears(client, f"I am number {number}".encode())
        self.assert_no_complaint()

    def test_one_byte_at_a_time(self):
        client = self.client()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        words = "Ça va, le serveur ? ".encode() * 20
        for byte in words:
            client.send(bytes([byte]))
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(client), words)
        self.assert_no_complaint()

    def test_half_closes_and_still_hears_everything(self):
        client = self.client()
        words = random.Random(1).randbytes(BULK_BYTES // 10)
        sender = start_sending(client, words)
        heard = receive_all(client)
        sender.join()
        self.assertEqual(heard, words)
        self.assert_no_complaint()

    def test_resets_and_the_others_go_on(self):
        stays, resets = self.client(), self.client()
        self.assert_echo(resets, b"hello")
        port = resets.getsockname()[1]
        reset(resets)
        self.server.wait_for_stderr(f"lost a client: recv from 127.0.0.1:{port}: "
                                    "the peer broke the connection off\n")
        self.assert_echo(stays, b"still here")

    def test_leaves_without_a_word(self):
        for _ in range(10):
            self.client().close()
        self.assert_echo(self.client(), b"still here")
        self.assert_no_complaint()

    def test_never_reads_and_the_others_go_on(self):
        deaf, other = self.client(), self.client()
        deaf.settimeout(0)
        sent, sent_before = 0, -1
        while sent > sent_before:  # until the buffers both ways are full, and the server is stuck
            sent_before = sent
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += deaf.send(bytes(65536))
            for _ in range(20):
                self.assert_echo(other, b"still here")
        reset(deaf)
        self.server.wait_for_stderr("lost a client: ")
        self.assert_echo(other, b"still here")


class ACrowdOfOurs(unittest.TestCase):
    def test_with_a_python_server(self):
        with EchoServer(("127.0.0.1", 0), EchoHandler) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            try:
                done = run(made_here("crowd", f"localhost:{server.server_address[1]}", CLIENTS))
            finally:
                server.shutdown()
                serving.join()
        self.assertEqual((done.stdout, done.stderr), (f"{CLIENTS} answered\n", ""))

    def test_with_a_server_of_ours(self):
        with Running(ours(BUILD / "examples" / "echo_many", 0)) as server:
            address = server.line().removeprefix("listening on ")
            done = run(made_here("crowd", address, CLIENTS))
            server.stop()
            self.assertEqual(server.stderr(), "")
        self.assertEqual((done.stdout, done.stderr), (f"{CLIENTS} answered\n", ""))


class LinesAndMessages(unittest.TestCase):
    def talk(self, data, piece):
        """Sends this so many bytes at a time: what comes back, the server's status and words."""
        with Running(made_here("frames")) as server:
            with connection(int(server.line())) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sender = start_sending(client, data, piece)
                heard = receive_all(client)
                sender.join()
            return heard, server.status(), server.stderr()

    def test_lines_of_any_kind_of_program(self):
        for piece in (1, 1000):
            with self.subTest(piece=piece):
                self.assertEqual(self.talk("unix\nça va ?\r\n\nlast\n".encode(), piece),
                                 ("[unix]\n[ça va ?]\n[]\n[last]\n".encode(), 0, ""))

    def test_messages_among_lines(self):
        for body in (bytes(range(256)) * 300, b"", b"\n"):
            with self.subTest(size=len(body)):
                framed = struct.pack(">I", len(body)) + body
                self.assertEqual(self.talk(b"before\nmessage\n" + framed + b"after\n", 1000),
                                 (b"[before]\n" + framed + b"[after]\n", 0, ""))

    def test_line_that_is_cut_off(self):
        heard, status, said = self.talk(b"whole\ncut", 1000)
        self.assertEqual((heard, status), (b"[whole]\n", 1))
        self.assertRegex(said, "^frames: recv_line.* 3 bytes")


if __name__ == "__main__":
    unittest.main()
