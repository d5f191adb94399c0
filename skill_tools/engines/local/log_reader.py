"""The newest lines of a task's log, or of all tasks' in the order of their time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

STAMP_CHARS = len("YYYY/MM/DD HH:MM:SS")


def newest(logs: Iterable[Path], tail: int) -> tuple[str, ...]:
    """Return the last `tail` lines of several logs together, oldest first; all of them for 0."""
    lines = heapq.merge(*(_lines(log) for log in logs), key=lambda line: line[:STAMP_CHARS])
    return tuple(deque(lines, maxlen=tail or None))


def _lines(log: Path) -> Iterator[str]:
    """Yield a log's lines; one that isn't whole yet is left for the next time."""
    for part in (log.with_name(f"{log.name}.1"), log):
        try:
            with part.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                yield from (line[:-1] for line in lines if line.endswith("\n"))
        except FileNotFoundError:
            continue
