"""Say how far a worker is: lines in its log for people, one small JSON file for the engine."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LOG_EVERY_S = 5.0
FILE_EVERY_S = 0.3


class ProgressWriter:
    """Counts frames and reports them, seldom enough to cost nothing.

    The file named by `VDA_PROGRESS_FILE` holds `{"done", "total", "unit", "rate", "note"}`, replaced at
    once so that a reader never sees half of it. Without the variable only the log is written.
    """

    def __init__(
        self,
        note: str,
        total: int | None,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note, self._total, self._clock = note, total, clock
        target = environ.get("VDA_PROGRESS_FILE")
        self._file = Path(target) if target else None
        self._start = self._logged = self._filed = clock()
        self._done = 0

    def advance(self, frames: int = 1) -> None:
        """Count `frames` more and report if it is time to."""
        self._done += frames
        now = self._clock()
        if now - self._filed >= FILE_EVERY_S:
            self._filed = now
            self._write_file(now)
        if now - self._logged >= LOG_EVERY_S:
            self._logged = now
            self._write_log(now)

    def finish(self) -> None:
        """Report the end."""
        now = self._clock()
        self._write_file(now)
        self._write_log(now)

    def _rate(self, now: float) -> float:
        return self._done / max(now - self._start, 1e-6)

    def _write_log(self, now: float) -> None:
        of = f"/{self._total}" if self._total else ""
        sys.stdout.write(f"{self._note}: {self._done}{of} frames, {self._rate(now):.1f} fps\n")
        sys.stdout.flush()

    def _write_file(self, now: float) -> None:
        if self._file is None:
            return
        state = {
            "done": self._done,
            "total": self._total,
            "unit": "frames",
            "rate": round(self._rate(now), 2),
            "note": self._note,
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(state))
        part.replace(self._file)
