"""Run one `osmo` command with a time limit and a bounded output, and leave no process behind."""

from __future__ import annotations

import os
import pty
import selectors
import signal
import subprocess
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

End = Literal["exited", "timeout", "silent", "quiet", "too_long"]

GRACE_S = 2.0
"""How long a process may take to end after it was asked to."""

_LOOK_S = 0.25
_CHUNK = 65536


@dataclass(frozen=True)
class Limits:
    """What one command may take."""

    time_s: float = 90.0
    """The whole command."""
    output_bytes: int = 16 * 2**20
    """Standard output and standard error together."""
    silent_s: float | None = None
    """Without any output; for transfers, which say how far they are."""
    quiet_s: float | None = None
    """After the first output; set it for a command that follows: its standard output is then a terminal, so
    that nothing sits in a buffer, and the command is interrupted once it has caught up."""


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it said."""

    arguments: tuple[str, ...]
    exit_code: int
    """Negative: the number of the signal that killed it."""
    stdout: str
    stderr: str
    end: End = "exited"


class Run(Protocol):
    """Runs a command to its end or to one of its limits. Raises `FileNotFoundError` or `PermissionError`."""

    def __call__(
        self,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        limits: Limits,
        watch: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run `arguments`; `watch` sees standard error as it comes."""


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    limits: Limits,
    watch: Callable[[str], None] | None = None,
) -> Finished:
    """Run an argument list, without a shell, in a process group that doesn't outlive the call."""
    with _Child(arguments, environ, terminal=limits.quiet_s is not None) as child:
        end = child.listen(limits, watch)
        if end == "quiet":
            child.stop((signal.SIGINT, signal.SIGTERM))
        elif end != "exited":
            child.stop((signal.SIGTERM,))
        exit_code = child.wait()
        return Finished(tuple(arguments), exit_code, child.text(child.out), child.text(child.err), end)


class _Child:
    """A process group with its two outputs."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], *, terminal: bool) -> None:
        self.out, out_end = _terminal() if terminal else os.pipe()
        self.err, err_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=out_end,
                stderr=err_end,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError:
            os.close(self.out)
            os.close(self.err)
            raise
        finally:
            os.close(out_end)
            os.close(err_end)
        self._heard: dict[int, list[bytes]] = {self.out: [], self.err: []}
        self._open = {self.out, self.err}
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        os.close(self.out)
        os.close(self.err)

    def listen(self, limits: Limits, watch: Callable[[str], None] | None = None) -> End:
        """Collect what the process says until it ends or reaches a limit."""
        start = last = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for descriptor in self._open:
                selector.register(descriptor, selectors.EVENT_READ)
            while self._open:
                ready = selector.select(_LOOK_S)
                for key, _ in ready:
                    self._read(key.fd, selector, watch)
                now = time.monotonic()
                last = now if ready else last
                if not ready and self._process.poll() is not None:
                    break  # a process that it left behind holds the outputs open
                reached = self._limit(limits, now - start, now - last)
                if reached is not None and self._open:
                    return reached
        return "exited"

    def stop(self, signals: Sequence[signal.Signals]) -> None:
        """Ask the group to end, more firmly each time, and keep what it says while ending."""
        for sign in signals:
            self._signal(sign)
            self.listen(Limits(time_s=GRACE_S, output_bytes=2**40))
            try:
                self._process.wait(GRACE_S / 2)
            except subprocess.TimeoutExpired:
                continue
            return
        self._signal(signal.SIGKILL)

    def wait(self) -> int:
        """Return the exit code; a process that closed its outputs and lives on is killed."""
        try:
            return self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def text(self, descriptor: int) -> str:
        """Return what came over a descriptor, undecodable bytes replaced."""
        return b"".join(self._heard[descriptor]).decode("utf-8", errors="replace")

    def _read(
        self, descriptor: int, selector: selectors.BaseSelector, watch: Callable[[str], None] | None
    ) -> None:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError:  # Linux's way to say that the last writer to a terminal is gone
            chunk = b""
        if not chunk:
            selector.unregister(descriptor)
            self._open.discard(descriptor)
            return
        self._heard[descriptor].append(chunk)
        self._size += len(chunk)
        if watch is not None and descriptor == self.err:
            watch(chunk.decode("utf-8", errors="replace"))

    def _limit(self, limits: Limits, elapsed_s: float, still_s: float) -> End | None:
        if self._size > limits.output_bytes:
            return "too_long"
        if limits.quiet_s is not None and self._heard[self.out] and still_s >= limits.quiet_s:
            return "quiet"
        if limits.silent_s is not None and still_s >= limits.silent_s:
            return "silent"
        return "timeout" if elapsed_s >= limits.time_s else None

    def _signal(self, sign: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, sign)
        except (ProcessLookupError, PermissionError):  # nobody is left in the group (macOS says the latter)
            return


def _terminal() -> tuple[int, int]:
    reader, writer = pty.openpty()
    tty.setraw(writer)
    return reader, writer
