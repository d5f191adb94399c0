"""Locks that say who is alive: they are free the moment their last holder is dead, however it died.

A lock belongs to an open file, not to a process: a child that is handed the descriptor holds it too,
so it passes from a submitter to its supervisor without a gap (flock(2)).
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

RETRY_S = 0.02


def take(path: Path, *, patience_s: float) -> int | None:
    """Take a lock and return its descriptor, to be closed or handed on; None if somebody keeps it.

    A little patience is needed even for a free lock: whoever asks `is_held` has it for an instant.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(RETRY_S)
        else:
            return descriptor


def is_held(path: Path) -> bool:
    """Tell whether somebody alive has the lock; those who only ask don't disturb each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
