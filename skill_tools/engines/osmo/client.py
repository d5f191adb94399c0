"""Ask `osmo`: reads are tried again when it can't be reached, writes are sent once."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from skill_tools.engines.osmo import refusals
from skill_tools.engines.osmo.process import Finished, Limits, Run, run
from skill_tools.engines.osmo.replies import UnreadableReplyError
from skill_tools.errors import EngineError, EngineUnavailable, OutcomeUnknown

STORAGE_PATIENCE = {"OSMO_S3_TIMEOUT": "20s", "OSMO_AZURE_TIMEOUT": "20s"}
"""How long the CLI retries a storage that can't be reached; by itself it would for 24 h."""

QUICK = Limits(time_s=90)
READ_ATTEMPTS = 3
FIRST_PAUSE_S = 0.5

_NEVER_SENT = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|Connection refused|Failed to resolve|"
    r"Must login first",
    re.IGNORECASE,
)
_TRANSIENT = frozenset(
    {
        "engine.unreachable",
        "engine.service_error",
        "engine.busy",
        "engine.garbled",
        "engine.timeout",
        "engine.storage_unreachable",
        "engine.killed",
    }
)
_SHELL_SIGNALS = 128
"""A shell around `osmo` reports a signal as 128 and its number."""

AnswerT = TypeVar("AnswerT")


class Client:
    """One `osmo` executable with the environment that it runs in."""

    def __init__(
        self,
        executable: str | None = None,
        environ: Mapping[str, str] = os.environ,
        run: Run = run,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executable = executable or "osmo"
        self._environ = {**STORAGE_PATIENCE, **environ}
        self._run = run
        self._sleep = sleep
        self._clock = clock

    def read(
        self,
        what: str,
        arguments: Sequence[str],
        parse: Callable[[str], AnswerT],
        limits: Limits = QUICK,
    ) -> AnswerT:
        """Ask, and parse standard output; up to three times while OSMO is out of reach or unreadable.

        Raises:
            EngineError: OSMO refuses; `what` says what was asked.
            EngineUnavailable: `osmo` isn't there, or the trouble stayed.
        """

        def once() -> AnswerT:
            finished = self.checked(what, arguments, limits)
            try:
                return parse(finished.stdout)
            except UnreadableReplyError as error:
                raise refusals.garbled(
                    finished, what, f"the answer of `osmo {' '.join(arguments[:2])}`"
                ) from error

        return self.persistently(once, limits)

    def persistently(self, once: Callable[[], AnswerT], limits: Limits) -> AnswerT:
        """Try a read again after a pause, as long as another try still fits into one try's time."""
        start = self._clock()
        for attempt in range(1, READ_ATTEMPTS):
            try:
                return once()
            except EngineUnavailable as error:
                if error.code not in _TRANSIENT or self._clock() - start >= limits.time_s:
                    raise
                self._sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        return once()

    def checked(
        self,
        what: str,
        arguments: Sequence[str],
        limits: Limits,
        watch: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a read once, and make sure that it ended well (a follower that was interrupted did)."""
        finished = self.call(arguments, limits, watch)
        if finished.end == "quiet":
            return finished
        if was_cut_short(finished):
            raise refusals.cut_short(finished, what, limits.time_s)
        if finished.exit_code != 0:
            raise refusals.refused(finished, what)
        return finished

    def write(
        self,
        what: str,
        arguments: Sequence[str],
        limits: Limits = QUICK,
        *,
        hidden: Sequence[str] = (),
        watch: Callable[[str], None] | None = None,
    ) -> Finished:
        """Send a write once and return how it ended; `hidden` values are blotted out of an error's words.

        Raises:
            OutcomeUnknown: it was cut short.
        """
        finished = self.call(arguments, limits, watch)
        if was_cut_short(finished):
            raise unknown(what, refusals.cut_short(_blotted(finished, hidden), what, limits.time_s))
        return finished

    def call(
        self, arguments: Sequence[str], limits: Limits, watch: Callable[[str], None] | None = None
    ) -> Finished:
        """Run `osmo` once, whatever comes of it."""
        try:
            return self._run(
                [self._executable, *arguments], environ=self._environ, limits=limits, watch=watch
            )
        except (FileNotFoundError, PermissionError) as error:
            raise refusals.not_installed(self._executable) from error
        except OSError as error:
            raise EngineError(
                f"`{self._executable}` can't be started: {error.strerror}",
                expected="an argument list and an environment that the system takes",
                remedy="shorten the values; free processes and memory",
                code="engine.not_started",
            ) from error


def unwritten(finished: Finished, what: str, hidden: Sequence[str] = ()) -> EngineError:
    """Return the error for a write that didn't say it was done: refused, or nobody knows."""
    error = refusals.refused(_blotted(finished, hidden), what)
    if _NEVER_SENT.search(finished.stdout + finished.stderr):
        return error
    if error.code in _TRANSIENT or error.code == "engine.interrupted" or not refusals.was_answered(finished):
        return unknown(what, error)
    return error


def unknown(what: str, error: EngineError) -> OutcomeUnknown:
    """Return the error for a write that may have happened."""
    return OutcomeUnknown(
        f"Nobody can tell whether it happened: {error.message}",
        expected="OSMO says whether it took the command",
        remedy=f"look first whether {what} took place; only then do it again",
    )


def was_cut_short(finished: Finished) -> bool:
    """Tell whether a command was stopped at a limit or killed by a signal."""
    signalled = finished.exit_code < 0 or finished.exit_code > _SHELL_SIGNALS
    return finished.end != "exited" or signalled


def _blotted(finished: Finished, hidden: Sequence[str]) -> Finished:
    stdout, stderr = finished.stdout, finished.stderr
    for value in sorted(filter(None, hidden), key=len, reverse=True):
        stdout, stderr = stdout.replace(value, "***"), stderr.replace(value, "***")
    return replace(finished, stdout=stdout, stderr=stderr)
