"""The augmentation worker's process that makes a preview; it can be started before its request is known.

Starting Python and loading codecs takes it as long as making a still does. A command line that has a second
core does its own loading meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self

from skill_tools.engines.local.environment import host_environment, worker_environment
from skill_tools.errors import EngineError
from skill_tools.settings import Settings

MODULE = "skill_tools.workers.augmentation.preview"


class PreviewWorker:
    """A process of its own without anybody's keys, for one request; it ends with the `with` block."""

    def __init__(self, settings: Settings) -> None:
        """Start the process, which loads what it needs and then waits for its request."""
        here = host_environment(settings.environ, {})
        environment = {**here, **worker_environment(Path(sys.executable), settings.skill_dir, here["PATH"])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def answer(self, request: bytes, within_s: float) -> bytes:
        """Return what the process answers to its request, both JSON.

        Raises:
            EngineError: it takes longer, or ends without an answer.
        """
        try:
            answer, told = self._process.communicate(request, within_s)
        except subprocess.TimeoutExpired as error:
            raise unanswered(f"there was no answer within {within_s:g} s") from error
        if not answer:
            last = told.decode(errors="replace").strip().rpartition("\n")[2]
            raise unanswered(f"its worker ended with code {self._process.returncode}: {last or 'no word'}")
        return answer

    def __enter__(self) -> Self:
        """Return the worker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.communicate()


def unanswered(why: str) -> EngineError:
    """Return the error of a worker that didn't answer as it should."""
    return EngineError(
        f"The preview was not made: {why}"[:500],
        expected="an answer of the augmentation worker",
        remedy="try a still, another moment or a shorter clip; `vda doctor` checks the machine",
        code="engine.preview",
    )


_AT_HAND: ContextVar[PreviewWorker | None] = ContextVar("at_hand", default=None)


@contextmanager
def started_early(settings: Settings) -> Iterator[None]:
    """Start a process now, for the preview that the block asks for; nothing is done before it is asked."""
    with PreviewWorker(settings) as worker:
        token = _AT_HAND.set(worker)
        try:
            yield
        finally:
            _AT_HAND.reset(token)


@contextmanager
def preview_worker(settings: Settings) -> Iterator[PreviewWorker]:
    """Yield the process that was started early, else one that starts now."""
    early = _AT_HAND.get()
    if early:
        _AT_HAND.set(None)
        yield early
        return
    with PreviewWorker(settings) as worker:
        yield worker
