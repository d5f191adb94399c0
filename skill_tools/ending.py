"""How the processes of this package end."""

from __future__ import annotations

import atexit
import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def end_quickly() -> None:
    """Let this process, at its end, give its memory back as a whole, not object by object.

    Python looks for cycles among all objects that are left, which are hundreds of thousands once codecs and
    schemas are loaded: 80 to 130 ms for which whoever called the process waits. Frozen ones it passes by.
    What is to be done at the end is done all the same.
    """
    atexit.register(gc.freeze)


@contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """Leave the block by an exception when such a signal comes, so that every open file is removed.

    Python handles a signal between any two instructions, also amid a lock's own bookkeeping, which makes
    another exception of the one that is raised there. Whatever it has become, the process then ends with 128
    and the signal's number. Signals that follow don't disturb the clearing up.
    """
    came: list[int] = []

    def leave(number: int, _frame: FrameType | None) -> None:
        if not came:
            came.append(number)
            raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    except BaseException as error:
        if came:
            raise SystemExit(128 + came[0]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
