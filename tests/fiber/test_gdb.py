"""gdb shows all of a fiber's frames: deep in a fiber, and at each instruction of the switch."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["SALUT_BUILD_DIR"])
PROGRAM = BUILD / "tests" / "test_backtrace"
BY_UCONTEXT = "SALUT_SWITCH:STRING=ucontext" in (BUILD / "CMakeCache.txt").read_text()

# What runs inside gdb: prints the names of all frames, and why the walk ended there.
WALK = """
import gdb, json

def walk():
    frame, names = gdb.newest_frame(), []
    while True:
        names.append(frame.name() or "?")
        older = frame.older()
        if older is None:
            break
        frame = older
    end = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
    print("walk:" + json.dumps({"frames": names, "end": end}), flush=True)

gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("set breakpoint pending off")
"""

# The switch has about 30 instructions; a walk within it begins with its name.
STEP_THROUGH = """
def step_through():
    walk()
    while gdb.newest_frame().name() == "context_switch":
        gdb.execute("stepi", to_string=True)
        walk()
"""

# "no reason" is main(), where gdb stops by itself.
GOOD_ENDS = ("outermost", "no reason")


def walks(*script):
    """Runs the program under gdb with this script; each walk that it printed."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(WALK + STEP_THROUGH + "\n".join(script) + "\n")
        file.flush()
        # the leak checker can't work under a debugger
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
        done = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off",
                               "-x", file.name, str(PROGRAM)],
                              capture_output=True, text=True, env=environment,
                              stdin=subprocess.DEVNULL, check=False)
    found = [json.loads(line[5:]) for line in done.stdout.splitlines()
             if line.startswith("walk:")]
    if not found:
        raise AssertionError(f"gdb walked nowhere:\n{done.stdout}\n{done.stderr}")
    return found


class Gdb(unittest.TestCase):
    def assert_ends_well(self, walk):
        self.assertIn(walk["end"], GOOD_ENDS, walk)

    def test_shows_a_fiber_from_its_depth_to_its_beginning(self):
        walk, = walks('gdb.execute("break deep_in_a_fiber")', 'gdb.execute("run")', "walk()")
        self.assertEqual(walk["frames"][:3],
                         ["deep_in_a_fiber", "middle_of_a_fiber", "outermost_of_a_fiber"])
        self.assertEqual(walk["frames"][3], "fiber_begin")
        if not BY_UCONTEXT:
            self.assertEqual(walk["frames"][4:], ["context_begin"])
        self.assert_ends_well(walk)

    def step_through(self, nth):
        """The walks at each instruction of the program's nth switch: within it, and after."""
        found = walks('gdb.execute("break *context_switch")', 'gdb.execute("run")',
                      *['gdb.execute("continue")'] * (nth - 1), "step_through()")
        inside = [walk for walk in found if walk["frames"][0] == "context_switch"]
        self.assertGreater(len(inside), 20)
        for walk in found:
            self.assert_ends_well(walk)
        return inside, found[-1]

    @unittest.skipIf(BY_UCONTEXT, "left out: the switch is the system's")
    def test_shows_the_frames_at_each_instruction_of_a_switch_to_a_new_fiber(self):
        inside, after = self.step_through(1)
        before = [walk for walk in inside if "salut_join" in walk["frames"]]
        behind = [walk for walk in inside if "salut_join" not in walk["frames"]]
        for walk in before:
            self.assertEqual(walk["frames"][-1], "main")
        for walk in behind:
            self.assertEqual(walk["frames"], ["context_switch", "context_begin"])
        self.assertTrue(before and behind)
        self.assertEqual(after["frames"], ["context_begin"])

    @unittest.skipIf(BY_UCONTEXT, "left out: the switch is the system's")
    def test_shows_the_frames_at_each_instruction_of_a_switch_back(self):
        inside, after = self.step_through(2)
        before = [walk for walk in inside if "salut_join" not in walk["frames"]]
        behind = [walk for walk in inside if "salut_join" in walk["frames"]]
        for walk in before:
            self.assertEqual(walk["frames"][-1], "context_begin")
            self.assertIn("fiber_begin", walk["frames"])
        for walk in behind:
            self.assertEqual(walk["frames"][-1], "main")
        self.assertTrue(before and behind)
        self.assertEqual(after["frames"][-1], "main")


def missing():
    """Why gdb can't be asked here; None when it can."""
    if os.environ.get("SALUT_EMULATOR"):
        return "the program runs under an emulator"
    if not shutil.which("gdb"):
        return "gdb isn't here"
    done = subprocess.run(["gdb", "-nx", "-batch", "-ex", "python print('fine')", "-ex", "start",
                           "/bin/true"], capture_output=True, text=True, check=False)
    if "fine" not in done.stdout:
        return "this gdb has no Python"
    if re.search(r"ptrace: |Operation not permitted", done.stderr):
        return f"gdb may not trace here: {done.stderr.strip()}"
    return None


if __name__ == "__main__":
    reason = missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
