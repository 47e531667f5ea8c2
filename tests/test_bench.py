"""The benchmark: each kind of work runs, here with the programs that need no peer installed, and
leaves a table, the JSON and (with gnuplot) the plots. No figure is looked at."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("SALUT_SOURCE_DIR", Path(__file__).resolve().parent.parent))
BUILD = os.environ.get("SALUT_BUILD_DIR", ROOT / "build")
CASES = {"echo-1", "echo-50", "lines", "messages-64", "messages-1024",
         "messages-65536", "bulk", "churn", "first-byte", "memory-40", "memory-80", "memory-deep",
         "switch", "life", "datagrams", "workers", "workers-busy"}


WORKS = ("echo", "lines", "messages", "bulk", "churn", "first_byte", "memory", "fibers",
         "datagrams", "workers")


def bench(*words):
    return subprocess.run([sys.executable, "-B", str(ROOT / "bench/run"), *words],
                          capture_output=True, text=True, timeout=110)


class TheBenchmark(unittest.TestCase):
    def test_each_work_runs_and_leaves_its_results(self):
        with tempfile.TemporaryDirectory() as directory:
            done = bench("--rounds", "1", "--seconds", "0.1", "--warmup", "0.05",
                         "--connections", "1,50", "--idle", "40,80", "--build", str(BUILD),
                         "--output", directory, "--peers", "salut,epoll,hand,raw", *WORKS)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            results = json.loads(Path(directory, "results.json").read_text())
            # On a busy machine a program may not get its core at all in a window so short. That
            # is said, and is the only thing that may go wrong.
            starved = [text for text in results["failures"] if "in the measured window" in text]
            self.assertEqual(results["failures"], starved)
            self.assertEqual((done.returncode, done.stderr), (1 if starved else 0, ""))
            cases = {case["case"] for case in results["cases"]}
            if starved:
                print("busy:", *starved, sep="\n")
            else:
                self.assertEqual(cases, CASES)
            for case in results["cases"]:
                self.assertIn(case["title"], done.stdout)
                for row in case["rows"]:
                    self.assertIn("median", row["figures"]["value"])
                if case["case"].startswith("echo"):
                    self.assertGreater(case["latencies_at_requests_a_second"], 0)
                    for name in ("p50", "p99", "p99.9", "rate"):
                        self.assertIn(name, case["rows"][0]["figures"])
            table = Path(directory, "results.txt").read_text()
            self.assertIn("Fewer than 5 rounds: a try, not a measurement.", table)
            self.assertIn("| work | peer |", Path(directory, "results.md").read_text())
            plots = {path.stem for path in Path(directory, "plots").glob("*.svg")}
            if shutil.which("gnuplot"):
                self.assertLessEqual(cases, plots)
                self.assertTrue(starved or "echo-50-latency" in plots)

    def test_its_help_names_every_work(self):
        words = bench("--help").stdout
        for work in WORKS:
            self.assertIn(work, words)

    def test_what_it_does_not_know_is_refused(self):
        self.assertEqual(bench("nonsense").returncode, 2)
        self.assertEqual(bench("--peers", "nobody").returncode, 2)


if __name__ == "__main__":
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: the benchmark needs two cores")
        sys.exit(77)
    unittest.main(verbosity=2)
