#!/usr/bin/env python3
"""Check the bubbles that a chat assistant is about to send, one argument each.

usage: python3 scripts/check_message.py [--run-id R] BUBBLE…
example: python3 scripts/check_message.py "Two variants were made." "MEDIA:/clips/compare.mp4"
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
    command = ["bash", str(HERE / "vda.sh"), "script", "--", "python3", "scripts/check_message.py"]
    sys.stdout.flush()
    os.execvp("bash", [*command, *sys.argv[1:]])


if __name__ == "__main__":
    main()
