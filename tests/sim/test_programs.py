"""The examples and the command as they are, on the simulated network: each scene of programs.c by
many seeds. SALUT_SEEDS=N: by the seeds 1 to N; a scene by others: programs_simulated SCENE FIRST
COUNT.
"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from programs import BUILD, EMULATOR, SLOW, ours, run

PROGRAM = BUILD / "tests" / "programs_simulated"
SEEDS = int(os.environ.get("SALUT_SEEDS", 20 if EMULATOR else 50 if SLOW else 2000))


class Programs(unittest.TestCase):
    def test_each_scene_goes_as_it_should(self):
        for scene in run(ours(PROGRAM)).stdout.split():
            with self.subTest(scene):
                done = run(ours(PROGRAM, scene, 1, SEEDS))
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                self.assertRegex(done.stdout, rf"^{scene}: [0-9a-f]{{16}}\n$")


if __name__ == "__main__":
    unittest.main()
