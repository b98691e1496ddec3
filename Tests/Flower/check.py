#!/usr/bin/env python3
"""Apus on Flower with real processes on loopback: one line for each check.

    .venv-flower/bin/python Tests/Flower/check.py [--short] [--keep FOLDER] [NAME …]

Exit status 1 if a check does not hold. Each check has a folder of its own with all logs in it.
"""

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from federation import APUS, Failure

# In this order.
MODULES = ["check_versions", "check_bits", "check_interoperability", "check_security",
           "check_faults", "check_simulation"]


def checks():
    """All checks: name, whether it is in the short form, the function."""
    for module in MODULES:
        for name, function in vars(importlib.import_module(module)).items():
            if name.startswith("check_"):
                yield name.removeprefix("check_").replace("_", "-"), function


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="run these checks only")
    parser.add_argument("--short", action="store_true", help="one of each kind, in a few minutes")
    parser.add_argument("--keep", type=Path, help="folder for logs, kept; else a temporary one")
    arguments = parser.parse_args()
    if not APUS.exists():
        sys.exit(f"{APUS} is missing. Run make build first.")
    root = arguments.keep or Path(tempfile.mkdtemp(prefix="apus-flower-"))
    # Whoever stops this also stops what it has started, as a failing check does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(130))
    failed = 0
    for name, check in checks():
        if arguments.names and name not in arguments.names:
            continue
        if arguments.short and not getattr(check, "is_short", False):
            continue
        shutil.rmtree(root / name, ignore_errors=True)
        start = time.monotonic()
        try:
            said, mark = check(root / name), "ok  "
        except Exception as failure:  # whatever it is, the other checks still run
            kind = "" if isinstance(failure, Failure) else f"{type(failure).__name__}: "
            said, mark, failed = f"{kind}{failure} (logs: {root / name})", "FAIL", failed + 1
        print(f"{mark} {name}: {said} [{time.monotonic() - start:.0f} s]", flush=True)
    if not (failed or arguments.keep):
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
