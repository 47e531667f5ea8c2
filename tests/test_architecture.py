"""The source keeps to the rules of architecture.py, and architecture.py sees each broken rule."""
import pathlib
import tempfile
import unittest

import architecture

ROOT = pathlib.Path(__file__).resolve().parent.parent


def faults_with(name, text, told="base/ engine/ fiber/ transport/ socket/ framing/ serve/ cli/"):
    """The faults of a house with this one file."""
    with tempfile.TemporaryDirectory() as root:
        path = pathlib.Path(root, "src", name)
        path.parent.mkdir(parents=True)
        path.write_text(text)
        document = pathlib.Path(root, "doc", "architecture.md")
        document.parent.mkdir()
        document.write_text(told)
        return architecture.faults_of(root)


class TheSource(unittest.TestCase):
    def test_keeps_to_its_floors(self):
        self.assertEqual(architecture.faults_of(ROOT), [])


class TheChecker(unittest.TestCase):
    def assert_one_fault(self, name, text, part):
        faults = faults_with(name, text)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(f"src/{name}:1: ", faults[0])
        self.assertIn(part, faults[0])

    def assert_no_fault(self, name, text):
        self.assertEqual(faults_with(name, text), [])

    def test_sees_a_floor_that_reaches_up(self):
        self.assert_one_fault("engine/a.c", '#include "fiber/scheduler.h"\n', "reaches up")
        self.assert_one_fault("base/a.h", '#include "engine/engine.h"\n', "reaches up")

    def test_lets_a_floor_reach_down(self):
        self.assert_no_fault("fiber/a.c", '#include "fiber/b.h"\n#include "base/error.h"\n')

    def test_sees_an_include_without_its_floor(self):
        self.assert_one_fault("socket/a.c", '#include "socket.h"\n', "floor/file.h")
        self.assert_one_fault("socket/a.c", '#include "../base/error.h"\n', "floor/file.h")

    def test_sees_the_command_reach_into_the_library(self):
        self.assert_one_fault("cli/a.c", '#include "socket/socket.h"\n', "public words")
        self.assert_no_fault("cli/a.c", '#include <salut.h>\n#include "cli/a.h"\n')

    def test_sees_a_network_header_above_the_engine(self):
        self.assert_one_fault("transport/a.c", "#include <sys/epoll.h>\n", "belongs to the engine")
        self.assert_one_fault("socket/a.c", "#include <netinet/tcp.h>\n", "belongs to the engine")
        self.assert_no_fault("socket/a.c", "#include <netinet/in.h>\n#include <sys/un.h>\n")
        self.assert_no_fault("engine/a.c", "#include <sys/epoll.h>\n")

    def test_sees_a_system_call_outside_the_engine(self):
        self.assert_one_fault("socket/a.c", "n = recv(fd, buffer, size, 0);\n", "recv()")
        self.assert_one_fault("cli/a.c", "if (!connect (fd, a, n))\n", "connect()")
        self.assert_one_fault("fiber/a.c", "return !epoll_wait(fd, e, 1, 0);\n", "epoll_wait()")
        self.assert_no_fault("engine/a.c", "n = recv(fd, buffer, size, 0);\n")

    def test_knows_other_names_from_system_calls(self):
        self.assert_no_fault("socket/a.c", "salut_send(s, data, size);\nwe_listen(s);\n"
                             "e->calls->bind(e);\ncalls.connect(e);\nint connect;\n")
        self.assert_no_fault("socket/a.c", "/* recv(2),\n * send(2) */ // bind(2)\n"
                             'char *s = "say \\"send(2)";\n')

    def test_sees_printing_below_the_command(self):
        self.assert_one_fault("serve/a.c", 'printf("bonjour");\n', "printf()")
        self.assert_one_fault("base/a.c", 'write(STDERR_FILENO, "x", 1);\n', "write()")
        self.assert_no_fault("serve/a.c", 'snprintf(text, 3, "x");\nwrite(fd, text, 1);\n')
        self.assert_no_fault("cli/a.c", 'printf("bonjour");\n')

    def test_sees_a_folder_that_is_no_floor(self):
        self.assertIn("no such floor", " ".join(faults_with("attic/a.c", "", told="attic/")))

    def test_sees_a_folder_without_a_word_in_the_document(self):
        self.assertIn("no word about src/base/", " ".join(faults_with("base/a.c", "", told="")))


if __name__ == "__main__":
    unittest.main()
