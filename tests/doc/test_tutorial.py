"""The tutorials and the README: each program in them compiles without a warning, each terminal
shows what the text says, each sentence quoted is one that the library says.

A fenced block of C or Python is a program; its first line names its file. A fenced block of text
whose first line is "$ ./program ..." is a terminal. Terminals with only a line that ends in ':'
between them run at the same time, in their order; "^C" is an interrupt, when the terminals after it
have ended. A sentence is a quotation: "> `...`".
"""
import pathlib
import re
import shlex
import sys
import unittest

import documents
from documents import EMULATOR, SOURCE, Terminal

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = {"c": re.compile(r"/\* ([\w-]+\.c)\b"), "python": re.compile(r"# ([\w-]+\.py)\b")}


def normal(text):
    """Text without what differs between two runs or two machines: ports, which all have five
    digits here, and what `localhost` has beside 127.0.0.1."""
    text = re.sub(r"\[::1\]:\d+(, |: connection refused \([^)]*\); )", "", text)
    text = re.sub(r", \[::1\]:\d+", "", text)
    return re.sub(r"\b[1-6]\d{4}\b", "PORT", text)


class Command:
    def __init__(self, line):
        self.line = line
        self.lines = []
        self.interrupted_after = None  # so many lines

    def expected(self):
        return "".join(line + "\n" for line in self.lines)


def commands_of(block):
    """The commands of a terminal, each with the lines that it shows."""
    commands = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line[2:]))
        elif line == "^C":
            commands[-1].interrupted_after = len(commands[-1].lines)
        else:
            commands[-1].lines.append(line)
    return commands


def is_caption(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return not lines or (len(lines) == 1 and lines[0].endswith(":"))


class Document:
    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.programs = {}  # file name: source
        self.scenes = []    # lists of terminals, each a list of commands
        self.nameless = []
        previous_end = None
        for block in FENCE.finditer(self.text):
            language, body = block.group(1), block.group(2)
            if language in NAME:
                name = NAME[language].match(body)
                if name:
                    self.programs[name.group(1)] = body
                else:
                    self.nameless.append(body)
                previous_end = None
            elif language == "text" and body.startswith("$ "):
                between = previous_end is not None and self.text[previous_end:block.start()]
                if between and is_caption(between):
                    self.scenes[-1].append(commands_of(body))
                else:
                    self.scenes.append([commands_of(body)])
                previous_end = block.end()
        self.sentences = re.findall(r"^> `(.*)`$", self.text, re.MULTILINE)


class Stage:
    """Where the programs of a document are compiled and run, always with the port of now."""

    def __init__(self, directory, programs):
        self.directory = pathlib.Path(directory)
        self.programs = programs
        self.port = documents.FIXED_PORT
        self.port_of = {}  # program: the port it was compiled with
        self.last_status = None

    def build(self, name):
        """The compiler's words, "" if none."""
        source = self.directory / name
        source.write_text(
            self.programs[name].replace(str(documents.FIXED_PORT), str(self.port)))
        self.port_of[name] = self.port
        return documents.complaints_about(source, source.with_suffix("")) if name.endswith(".c") else ""

    def build_for(self, scene):
        used = {pathlib.Path(word).name for terminal in scene for command in terminal
                for word in shlex.split(command.line)}
        for name in self.programs:
            if used & {name, name.removesuffix(".c")} and self.port_of.get(name) != self.port:
                self.build(name)

    def command(self, line):
        words = shlex.split(line)
        count = next(i for i, word in enumerate(words) if "=" not in word)
        variables, words = words[:count], words[count:]
        program = [sys.executable, "-u"] if words[0] == "python3" else [*EMULATOR, words[0]]
        return ["env", *variables, *program, *words[1:]]

    def start(self, command):
        terminal = Terminal(self.command(command.line), self.directory)
        terminal.wait_for_lines(min(1, len(command.lines)))
        return terminal

    def finish(self, terminal, command):
        """What the terminal showed."""
        if command.interrupted_after is not None:
            terminal.wait_for_lines(command.interrupted_after)
            terminal.interrupt()
        self.last_status = terminal.end()
        return terminal.shown

    def play(self, scene):
        """[(command, what was shown)] in the document's order. Each scene has its own network, or
        port: one where Python's server was first rests a minute before others may have it."""
        self.port = documents.agreed_port()
        self.build_for(scene)
        *others, last = scene
        running = [(commands[0], self.start(commands[0])) for commands in others]
        shown = []
        for command in last:
            if command.line == "echo $?":
                shown.append((command, f"{self.last_status}\n"))
            else:
                shown.append((command, self.finish(self.start(command), command)))
        before = [(command, self.finish(terminal, command))
                  for command, terminal in reversed(running)]
        return before[::-1] + shown


class OfADocument:
    """The tests of one document; `path` is set by its class."""

    @classmethod
    def setUpClass(cls):
        cls.document = Document(SOURCE / cls.path)
        cls.place = documents.working_directory()
        cls.addClassCleanup(cls.place.cleanup)
        cls.stage = Stage(cls.place.name, cls.document.programs)
        cls.complaints = {name: cls.stage.build(name) for name in cls.document.programs}

    def test_every_program_has_a_name(self):
        self.assertEqual(self.document.nameless, [])

    def test_every_program_compiles_without_a_warning(self):
        self.assertGreater(len(self.complaints), 1)
        for name, words in self.complaints.items():
            with self.subTest(name):
                self.assertEqual(words, "")

    def test_every_program_is_run_by_a_terminal(self):
        lines = [command.line for scene in self.document.scenes
                 for terminal in scene for command in terminal]
        for name in self.document.programs:
            program = name if name.endswith(".py") else "./" + name.removesuffix(".c")
            with self.subTest(name):
                self.assertTrue(any(program in shlex.split(line) for line in lines))

    def test_every_terminal_that_others_wait_for_shows_when_it_is_ready(self):
        for scene in self.document.scenes:
            for terminal in scene[:-1]:
                with self.subTest(terminal[0].line):
                    self.assertEqual(len(terminal), 1)
                    self.assertGreater(len(terminal[0].lines), 0)

    def test_every_terminal_shows_what_the_text_says(self):
        self.assertGreater(len(self.document.scenes), 0)
        for scene in self.document.scenes:
            with self.subTest(" | ".join(terminal[0].line for terminal in scene)):
                for command, shown in self.stage.play(scene):
                    self.assertEqual(normal(shown), normal(command.expected()), command.line)


class OfATutorial(OfADocument):
    def test_every_quoted_sentence_is_one_that_the_library_says(self):
        program = self.stage.directory / "sentences"
        source = pathlib.Path(__file__).with_name("sentences.c")
        self.assertEqual(documents.complaints_about(source, program), "")
        # Without a network of our own, a name that doesn't exist would be asked of somebody.
        alone = documents.agreed_port() == documents.FIXED_PORT
        status, shown = documents.run([*EMULATOR, str(program), *["alone"] * alone],
                                      self.stage.directory)
        self.assertEqual(status, 0, shown)
        said = {normal(line) for line in shown.splitlines()}
        self.assertGreater(len(self.document.sentences), 10)
        for sentence in self.document.sentences:
            with self.subTest(sentence):
                if "looked up just now" in sentence and not alone:
                    self.skipTest("needs a network namespace")
                self.assertIn(normal(sentence), said)


class WithTheExamples:
    def test_its_server_and_client_are_those_of_the_examples(self):
        for name in ("serveur.c", "client.c"):
            example = (SOURCE / "examples" / name).read_text(encoding="utf-8")
            self.assertEqual(self.document.programs[name], example)


class TheFrenchTutorial(OfATutorial, WithTheExamples, unittest.TestCase):
    path = "doc/tutorial.fr.md"


class TheEnglishTutorial(OfATutorial, unittest.TestCase):
    path = "doc/tutorial.en.md"

    def test_it_has_the_structure_of_the_french_one(self):
        french = Document(SOURCE / TheFrenchTutorial.path)

        def shape(document):
            headings = re.findall(r"^(#+) ", document.text, re.MULTILINE)
            scenes = [[len(terminal) for terminal in scene] for scene in document.scenes]
            return headings, len(document.programs), scenes, document.sentences

        self.assertEqual(shape(self.document), shape(french))


class TheReadme(OfADocument, WithTheExamples, unittest.TestCase):
    path = "README.md"


if __name__ == "__main__":
    unittest.main(verbosity=2)
