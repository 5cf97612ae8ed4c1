"""Runs the named tests with unittest; the last line of the output is the count as JSON, for tests/run."""

import json
import sys
import unittest


def main():
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    # A class that could not be set up is one failure, whatever number of tests it has. Skipping is not known here.
    failed = len(result.failures) + len(result.errors) + len(result.skipped) + len(result.unexpectedSuccesses)
    print(json.dumps({"passed": max(result.testsRun - failed, 0), "failed": failed}))


main()
