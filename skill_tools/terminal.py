"""Progress for people: one live line on a terminal, plain lines when piped, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.status import Status

    from skill_tools.tools.context import Note

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.1


def phrase(note: Note) -> str:
    """Return a note in words: phase, how far, how quickly, how long it will take."""
    parts = [note.phase]
    if note.total:
        share = f"{100 * note.done / note.total:.0f} %"
        count = f"{note.done:.0f}/{note.total:.0f} {note.unit}" if note.unit != "B" else ""
        parts.append(f"{share} {count}".strip())
    elif note.done:
        parts.append(f"{note.done:.0f} {note.unit}".strip())
    if note.rate:
        parts.append(f"{note.rate:.0f} fps" if note.unit == "frames" else f"{note.rate:.1f} {note.unit}/s")
    if note.left_s is not None:
        parts.append(f"{note.left_s:.0f} s left")
    if note.text:
        parts.append(note.text)
    return " · ".join(parts)


class ProgressLine:
    """Takes notes and shows them on standard error, in the way that suits what is behind it."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet, self._clock = quiet, clock
        self._status: Status | None = None
        self._shown_at = float("-inf")
        self._phase = ""

    def __enter__(self) -> Self:
        """Start the live line where there is a terminal."""
        if not self._quiet and self._stream.isatty():
            from rich.console import Console

            self._status = Console(file=self._stream).status("starting")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()

    def __call__(self, note: Note) -> None:
        """Show a note if it is time to."""
        if self._quiet:
            return
        now = self._clock()
        every = LIVE_EVERY_S if self._status is not None else PLAIN_EVERY_S
        if note.phase == self._phase and now - self._shown_at < every:
            return
        self._phase, self._shown_at = note.phase, now
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(phrase(note)))
        else:
            self._stream.write(phrase(note) + "\n")
            self._stream.flush()
