#!/usr/bin/env python3
"""Check a workflow with the values that would be submitted with it.

usage: python3 scripts/pre_submit_guard.py --workflow FILE [--set-string k=v …] [--run-id R]
example: python3 scripts/pre_submit_guard.py --workflow assets/configs/osmo/auto_labeling.yaml
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Hand the command line to the skill's own Python, which is made when it is missing."""
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return
    command = ["bash", str(HERE / "vda.sh"), "script", "--", "python3", "scripts/pre_submit_guard.py"]
    sys.stdout.flush()
    os.execvp("bash", [*command, *sys.argv[1:]])


if __name__ == "__main__":
    main()
