# SPDX-License-Identifier: MIT
"""Do the suites see what they are for?  They run over a stand-in for weir (stand_in.py): as it is it must pass, and
each defect that can be planted in it must be found, by kills or by power cuts.

Ends with "N passed, N failed".
"""
import argparse
import contextlib
import io
import os
import sys

import crash
import powercut
import runs
from runs import PIPELINES, Group, Setting

JSONL, CSV, KEY, LEDGER = PIPELINES
# Defect, pipeline, the suite that finds it.
CASES = [
    ("", JSONL, "points"),
    ("", CSV, "half"),
    ("", KEY, "eio"),
    ("", LEDGER, "recovery"),
    ("", JSONL, "powercut"),
    ("", LEDGER, "powercut"),
    ("no-cut", JSONL, "points"),
    ("no-cut", CSV, "half"),
    ("ack-first", KEY, "points"),
    ("no-ledger", LEDGER, "recovery"),
    ("cursor-first", JSONL, "points"),
    ("no-sink-sync", JSONL, "powercut"),
    ("no-folder-sync", LEDGER, "powercut"),
    ("asynchronous", LEDGER, "powercut"),
]


def run_suite(options, setting, pipeline, suite):
    """Runs the suite; Group counts."""
    if suite == "powercut":
        suite = powercut.Suite(options, setting)
        suite.run_pipeline(pipeline)
    else:
        suite_of = crash.Suite(options, setting)
        suite_of.density = 8
        lines = suite_of.count(pipeline)
        getattr(suite_of, suite)(pipeline, lines)


def is_found(options, defect, pipeline, suite):
    os.environ["STAND_IN_DEFECT"] = defect
    setting = Setting(options)
    setting.command = [sys.executable, os.path.join(runs.HERE, "stand_in.py")]
    before, said = Group.failed, io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            run_suite(options, setting, pipeline, suite)
    finally:
        setting.close()
    return Group.failed > before, said.getvalue()


def main():
    parser = argparse.ArgumentParser(prog="self_test", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    options = runs.add_options(parser).parse_args()
    options.sample, options.states, failed = True, 0, 0
    for defect, pipeline, suite in CASES:
        options.states = 40 if suite == "powercut" else 0
        found, said = is_found(options, defect, pipeline, suite)
        if found != bool(defect):
            failed += 1
            print(f"FAIL {suite}, {pipeline.name}: " + (f"{defect} is not found" if defect else "finds defects in what "
                                                        "has none") + f" (seed {options.seed})\n{said}", flush=True)
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
