"""One seed is one run: in another process, with other addresses and another environment, and in
another build. What is replayed are the scenes of programs.c.

The builds of one source tree compare notes: each leaves what its runs were like in replay.json, and
is compared with those that are there already and came from the same sources.
"""
import ctypes
import hashlib
import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import BUILD, EMULATOR, FLAGS, SOURCE, ours, run

PROGRAM = BUILD / "tests" / "programs_simulated"
SEED = 4711
SEEDS = 10
ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h

# Sanitizers choose whether they can live with random addresses (./check).
CHOOSE_ADDRESSES = not any(flag.startswith("-fsanitize") for flag in FLAGS)


def scenes():
    return run(ours(PROGRAM)).stdout.split()


def with_addresses(random):
    """Called in the child, before the program is loaded."""
    def choose():
        personality = ctypes.CDLL(None).personality
        now = personality(0xffffffff)
        personality(now & ~ADDR_NO_RANDOMIZE if random else now | ADDR_NO_RANDOMIZE)
    return choose if CHOOSE_ADDRESSES else None


class Replay(unittest.TestCase):
    maxDiff = 2000

    def play(self, *arguments, random=True, **environment):
        done = run(ours(PROGRAM, *arguments), env={**os.environ, **environment},
                   preexec_fn=with_addresses(random))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def traces(self, scene, directory, **more):
        """What is printed, the trace and the diagram of a run."""
        text, diagram = pathlib.Path(directory, "text"), pathlib.Path(directory, "diagram")
        printed = self.play(scene, SEED, SALUT_SIM_TRACE=str(text), SALUT_SIM_DIAGRAM=str(diagram),
                            **more)
        return printed, text.read_text(encoding="utf-8"), diagram.read_text(encoding="utf-8")

    def test_the_same_seed_gives_the_same_trace_byte_for_byte(self):
        # a process takes its time to begin under an emulator, so that some scenes must do
        for scene in scenes()[::5 if EMULATOR else 1]:
            with self.subTest(scene), tempfile.TemporaryDirectory() as directory:
                one = self.traces(scene, directory)
                other = self.traces(scene, directory, random=False, TZ="Asia/Kolkata",
                                    LANG="C.UTF-8", PADDING="x" * 5000)
                self.assertEqual(one, other)

    def test_a_trace_and_a_diagram_tell_what_happened(self):
        with tempfile.TemporaryDirectory() as directory:
            _, text, diagram = self.traces("calm_greeting", directory)
        lines = text.splitlines()
        self.assertEqual(lines[0], f"seed {SEED}")
        self.assertRegex(lines[-1], r"^hash [0-9a-f]{16}$")
        for line in lines[1:-1]:
            self.assertRegex(line, r"^ *\d+\.\d{9} \w+( > \w+)?: .+$")
        self.assertIn(" client > server: connect to port 63000\n", text)
        self.assertIn(" client > server: 18 bytes\n", text)
        self.assertEqual(diagram.splitlines()[0], "sequenceDiagram")
        for line in ("participant h1 as server", "participant h2 as client",
                     "h2->>h1: connect to port 63000", "h2->>h1: 18 bytes"):
            self.assertIn(f"    {line}\n", diagram)

    def test_a_trace_changes_nothing(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(self.traces("echo_in_trouble", directory)[0],
                             self.play("echo_in_trouble", SEED))

    def test_another_seed_is_another_run(self):
        self.assertNotEqual(self.play("greeting", SEED), self.play("greeting", SEED + 1))

    def test_the_environment_chooses_the_seed(self):
        self.assertEqual(self.play("greeting_in_trouble", 1, 1000, SALUT_SIM_SEED=str(SEED)),
                         self.play("greeting_in_trouble", SEED))

    def test_all_builds_agree(self):
        notes = {"sources": hash_of_sources(),
                 "runs": {scene: self.play(scene, 1, SEEDS) for scene in scenes()}}
        for other in SOURCE.glob("build*/replay.json"):
            theirs = json.loads(other.read_text(encoding="utf-8"))
            if theirs["sources"] == notes["sources"]:
                with self.subTest(other.parent.name):
                    self.assertEqual(notes["runs"], theirs["runs"])
        leave(notes)


def hash_of_sources():
    files = [file for pattern in ("src/**/*.[chS]", "include/**/*.h", "examples/*.c",
                                  "tests/sim/*.[ch]", "tests/simulated.cmake", "CMakeLists.txt")
             for file in SOURCE.glob(pattern)]
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.read_bytes())
    return total.hexdigest()


def leave(notes):
    """Whole or not at all: another build may look just now."""
    new = BUILD / f"replay.json.{os.getpid()}"
    new.write_text(json.dumps(notes), encoding="utf-8")
    new.replace(BUILD / "replay.json")


if __name__ == "__main__":
    unittest.main()
