"""Servers whose listeners the service manager opened: this script is the service manager."""
import fcntl
import os
import pathlib
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import compiled, ours

FIRST_DESCRIPTOR = 3
ABOVE = 100  # of those that are passed on


class Service:
    """A process that was passed these listeners, as systemd does: descriptors from 3 on, and two
    variables that say so."""

    def __init__(self, test, listeners, *arguments):
        self.child = os.fork()
        self.status = None
        if self.child == 0:
            self.become(ours(test.program, *arguments), [s.fileno() for s in listeners])
        test.addCleanup(self.end)

    @staticmethod
    def become(command, descriptors):
        try:
            # From above, so that none is overwritten before it is copied itself.
            above = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, ABOVE) for descriptor in descriptors]
            for number, descriptor in enumerate(above):
                os.dup2(descriptor, FIRST_DESCRIPTOR + number, inheritable=True)
            environment = dict(os.environ, LISTEN_PID=str(os.getpid()),
                               LISTEN_FDS=str(len(descriptors)))
            os.execvpe(command[0], command, environment)
        finally:
            os._exit(127)

    def stop(self):
        """Its status, after SIGTERM."""
        os.kill(self.child, signal.SIGTERM)
        return self.wait()

    def wait(self):
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        return self.status

    def end(self):
        if self.status is None:
            os.kill(self.child, signal.SIGKILL)
            self.wait()


def listener():
    return socket.create_server(("127.0.0.1", 0))


class InheritedListeners(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        place = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="salut-"))
        cls.place = pathlib.Path(place)
        cls.program = compiled(pathlib.Path(__file__).with_name("inherited_server.c"), place)

    def connect(self, s):
        client = self.enterContext(socket.socket(s.family))
        client.connect(s.getsockname())
        return client

    def asks(self, client, service):
        """The service answers this client, and nobody else does."""
        client.sendall(b"salut\n")
        self.assertEqual(client.makefile("r").readline(), f"salut {service.child}\n")

    def test_are_served(self):
        with listener() as s:
            service = Service(self, [s])
            for _ in range(5):
                with self.connect(s) as client:
                    self.asks(client, service)
            self.assertEqual(service.stop(), 0)

    def test_may_be_several(self):
        with listener() as one, listener() as two, listener() as three:
            service = Service(self, [one, two, three], 1)
            with self.connect(two) as client:
                self.asks(client, service)
            self.assertEqual(service.stop(), 0)

    def test_may_be_unix_sockets_whose_path_stays(self):
        path = self.place / "door"
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
            s.listen()
            service = Service(self, [s])
            with self.connect(s) as client:
                self.asks(client, service)
            self.assertEqual(service.stop(), 0)
            self.assertTrue(path.exists())

    def test_clients_who_came_before_the_service_are_served(self):
        with listener() as s:
            clients = [self.connect(s) for _ in range(10)]
            service = Service(self, [s])
            for client in clients:
                self.asks(client, service)
                client.close()
            self.assertEqual(service.stop(), 0)

    def test_a_restart_loses_nobody(self):
        with listener() as s:
            first = Service(self, [s])
            with self.connect(s) as client:
                self.asks(client, first)
            self.assertEqual(first.stop(), 0)
            waiting = self.connect(s)
            second = Service(self, [s])
            self.asks(waiting, second)
            waiting.close()
            self.assertEqual(second.stop(), 0)


if __name__ == "__main__":
    unittest.main()
