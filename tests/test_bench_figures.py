"""
The benchmarks of waiting in their short form, a few hundred phones: each runs to its end and counts what must be so. Nothing here looks
at a time or at a size.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from lib.server import BUILD

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "run")
BENCHES = ["push", "sync", "listing", "ingest", "large", "park", "wake", "storm", "upgrade"]
SMALL = ["--folders", "3"]
PARK = [*SMALL, "--phones", "200", "--small", "80", "--heartbeat-s", "900", "--idle-s", "1", "--churn-s", "1", "--renew-s", "2"]
RUNS = {
    "plain": ("park", [*PARK, "--only", "plain"]),
    "tls": ("park", [*PARK, "--only", "tls"]),
    "held": ("park", [*PARK, "--only", "held"]),
    "renewal": ("park", [*PARK, "--only", "renewal_tls_cpu"]),
    "repings": ("park", [*PARK, "--only", "repings_new_tls_cpu"]),
    "rate": ("park", [*PARK, "--only", "rate"]),
    "wake": ("wake", [*SMALL, "--phones", "200", "--burst", "60", "--rate", "50", "--seconds", "1"]),
    "storm": ("storm", [*SMALL, "--phones", "200", "--spread-ms", "500"]),
    "upgrade": ("upgrade", [*SMALL, "--phones", "150", "--rate", "20", "--kills", "1"]),
}


class Figures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """All at once: they wait for clocks more than for a CPU."""
        cls.folder = tempfile.mkdtemp(prefix="bellhop-test-")
        cls.runs = {}
        for name, (program, options) in RUNS.items():
            with open(os.path.join(cls.folder, f"{name}.err"), "w", encoding="utf-8") as progress:
                cls.runs[name] = subprocess.Popen(
                    [os.path.join(BUILD, "bench", f"bench-{program}"), "--build-dir", BUILD, *options], stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=progress, text=True, env=dict(os.environ, BENCH_FOLDER=cls.folder))

    @classmethod
    def tearDownClass(cls):
        for run in cls.runs.values():
            if run.poll() is None:
                run.kill()
            run.communicate()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def figures(self, name):
        output, _ = self.runs[name].communicate(timeout=90)
        with open(os.path.join(self.folder, f"{name}.err"), encoding="utf-8") as progress:
            self.assertEqual(self.runs[name].returncode, 0, progress.read()[-2000:])
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        for line in lines:
            self.assertEqual(set(line), {"bench", "figure", "value", "unit", "conditions"})
            self.assertEqual(line["bench"], RUNS[name][0])
        return {line["figure"]: line["value"] for line in lines}

    def test_plain(self):
        figures = self.figures("plain")
        self.assertEqual(figures["plain_parked"], 200)
        self.assertIn("plain_bytes", figures)
        self.assertIn("idle_cpu", figures)

    def test_tls(self):
        figures = self.figures("tls")
        self.assertEqual(figures["tls_parked"], 200)
        self.assertIn("tls_bytes", figures)

    def test_held(self):
        self.assertEqual(self.figures("held")["held_parked"], 200)

    def test_renewal(self):
        figures = self.figures("renewal")
        self.assertGreater(figures["renewal_tls_cpu"], 0)
        self.assertGreater(figures["renewal_tls_awake"], 0)

    def test_repings(self):
        self.assertGreater(self.figures("repings")["repings_new_tls_cpu"], 0)

    def test_rate(self):
        self.assertGreater(self.figures("rate")["new_tls_rate"], 0)

    def test_wake(self):
        figures = self.figures("wake")
        self.assertEqual(figures["lost"], 0)
        self.assertEqual(figures["false_wakes"], 0)
        self.assertLessEqual(figures["wake_p50"], figures["wake_p99"])
        self.assertIn("burst_10k", figures)

    def test_storm(self):
        figures = self.figures("storm")
        self.assertEqual(figures["refused_twice"], 0)
        self.assertIn("storm_seconds", figures)
        self.assertIn("storm_cpu", figures)

    def test_upgrade(self):
        figures = self.figures("upgrade")
        for name in ("dropped", "false_wakes", "lost", "refused"):
            self.assertEqual((figures[name], figures[f"upgrade_{name}"]), (0, 0), name)


class Options(unittest.TestCase):
    """What is wrong ends a benchmark before it begins; nothing is ignored."""

    def run_bench(self, name, *options):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, RUN, "--build-dir", BUILD, name, "--", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=20, env=dict(os.environ, BENCH_FOLDER=folder), check=False)
            self.assertEqual(os.listdir(folder), [])
        return done

    def test_help(self):
        for name in BENCHES:
            with self.subTest(name):
                done = self.run_bench(name, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"bench-{name} [options]: ", done.stdout)
                self.assertNotIn("{", done.stdout)

    def test_wrong(self):
        for name, *options, words in (
                *((name, "--fones", "3", '"--fones" is no option here') for name in BENCHES),
                ("park", "300", '"300" is no option'),
                ("park", "--phones", "--phones needs a value"),
                ("park", "--phones", "many", '"many" is not a number from 10 to 2000000'),
                ("park", "--phones", "9", "--phones"),
                ("park", "--folders", "65", "--folders"),
                ("park", "--users", "0", "--users"),
                ("park", "--small", "99", "--small", "100", "--small comes twice"),
                ("park", "--only", "renewals", 'no part "renewals"'),
                ("sync", "--only", "e", 'no part "e"'),
                ("large", "--only", "outline", 'no part "outline"'),
                ("storm", "--only", "plain", '"--only" is no option'),
                ("storm", "--plain", "2", "--plain"),
                ("wake", "--burst", "-1", "--burst"),
                ("upgrade", "--rate", "0", "--rate")):
            with self.subTest(name=name, options=options):
                done = self.run_bench(name, *options)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"bench-{name}: ", done.stderr)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
