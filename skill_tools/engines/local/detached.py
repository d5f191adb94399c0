"""Start a program that outlives its starter and leaves it no zombie: `detached.py PROGRAM ARGUMENT…`.

Started by path in an isolated interpreter: standard library only.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and os.fork() == 0:
    os.execv(sys.argv[1], sys.argv[1:])
