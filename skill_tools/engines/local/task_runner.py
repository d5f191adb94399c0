"""Run one task's command as a process group that never outlives its supervisor, and keep its log.

Started by path in an isolated interpreter: standard library only, so that it is there in an instant.
It reads one line of JSON from stdin, the job; then `stop`, or the end of stdin, which says that the
supervisor is dead. It writes what happens to stdout, one JSON object a line.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LINE_BYTES = 16 << 10
CHUNK_BYTES = 64 << 10
PIPE_CHUNKS = 64
"""More than a pipe holds when nobody writes to it any more."""
SWEEP_S = 5.0
STOP = b"stop\n"
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell answers when a command isn't there, or is none."""
UNKNOWN_EXIT = 4000
"""OSMO's exit code for an end that nobody saw."""

_LINUX_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Job:
    """What to run, where, and where its output goes."""

    command: list[str]
    directory: str
    environment: dict[str, str]
    log: str
    label: str
    log_bytes: int
    grace_s: float
    secrets: list[str]


class TaskLog:
    """A task's log: `YYYY/MM/DD HH:MM:SS [TASK] text` in UTC, as OSMO writes it.

    The newest lines are kept: `limit_bytes` in the file at most, and as many in the one before it, `.1`.
    """

    def __init__(
        self,
        path: Path,
        label: str,
        *,
        limit_bytes: int,
        secrets: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._label, self._limit, self._clock = path, label.encode(), limit_bytes, clock
        self._secrets = [secret.encode() for secret in secrets]
        self._rest = b""
        self._file = path.open("ab", buffering=0)

    def feed(self, data: bytes) -> None:
        """Take output as it comes; whole lines are written at once, an endless one in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LINE_BYTES:
            lines.append(self._rest[:LINE_BYTES])
            self._rest = self._rest[LINE_BYTES:]
        self._write(lines)

    def say(self, text: str) -> None:
        """Write a line of the engine's own."""
        self.feed(text.encode() + b"\n")

    def close(self) -> None:
        """Write what is left without a line's end, and close."""
        if self._rest:
            self._write([self._rest])
        self._file.close()

    def _write(self, lines: Iterable[bytes]) -> None:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(self._clock())).encode()
        for line in lines:
            shown = line.rstrip(b"\r").rpartition(b"\r")[2]  # what a terminal shows of a progress bar
            for secret in self._secrets:
                shown = shown.replace(secret, b"[MASKED]")
            with contextlib.suppress(OSError):  # on a full disk the log loses lines; the task goes on
                if self._file.tell() > self._limit:
                    self._turn()
                self._file.write(b"%b %b %b\n" % (stamp, self._label, shown[:LINE_BYTES]))

    def _turn(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab", buffering=0)


class Runner:
    """One command from its start to the end of the last process that it left behind."""

    def __init__(self, job: Job, orders: bytes, wake: int) -> None:
        self._job, self._orders, self._wake = job, orders, wake
        self._log = TaskLog(Path(job.log), f"[{job.label}]", limit_bytes=job.log_bytes, secrets=job.secrets)
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._exit_code: int | None = None
        self._kill_at: float | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Run the command, obey the supervisor, and report."""
        output = self._start()
        if output is not None:
            _say(event="started", pid=self._pid)
            self._watch(output)
            self._sweep()
            self._drain(output)
        self._log.close()
        _say(event="ended", exit_code=self._exit_code)

    def _start(self) -> int | None:
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(
                self._job.command,
                cwd=self._job.directory,
                env=self._job.environment,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except OSError as error:
            self._log.say(f"{self._job.command[0]}: {error.strerror}")
            self._exit_code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            return None
        finally:
            os.close(writing)
        self._process, self._pid = process, process.pid  # one that is let go of collects its child itself
        os.set_blocking(reading, False)
        return reading

    def _watch(self, output: int) -> None:
        self._selector.register(0, selectors.EVENT_READ, self._obey)
        self._selector.register(self._wake, selectors.EVENT_READ, self._heed_signals)
        self._selector.register(output, selectors.EVENT_READ, lambda: self._take(output))
        if STOP in self._orders:
            self._stop()
        while not self._over():
            left = None if self._kill_at is None else max(self._kill_at - time.monotonic(), 0)
            for key, _ in self._selector.select(left):
                key.data()
            if not self._reap() and self._exit_code is None:
                self._exit_code = UNKNOWN_EXIT
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._sweep()

    def _over(self) -> bool:
        """Tell whether the command has ended, and after a stop also what it had started.

        A shell dies of the signal at once; the work that it waited for has the grace to tidy up.
        """
        return self._exit_code is not None and (self._kill_at is None or not self._reap())

    def _obey(self) -> None:
        order = os.read(0, CHUNK_BYTES)
        self._orders += order
        if not order:  # the supervisor is dead
            self._selector.unregister(0)
            self._sweep()
        elif STOP in self._orders:
            self._stop()

    def _heed_signals(self) -> None:
        if any(number != signal.SIGCHLD for number in os.read(self._wake, CHUNK_BYTES)):
            self._stop()

    def _stop(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._job.grace_s
            _signal_group(self._pid, signal.SIGTERM)

    def _take(self, output: int) -> bool:
        """Read what there is to read; False when there is no more for now, or for good."""
        try:
            data = os.read(output, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._log.feed(data)
        elif output in self._selector.get_map():
            self._selector.unregister(output)
        return bool(data)

    def _drain(self, output: int) -> None:
        for _ in range(PIPE_CHUNKS):
            if not self._take(output):
                break
        os.close(output)

    def _sweep(self) -> None:
        """Kill the group, and on Linux whatever has left it; return when nothing is left."""
        deadline = time.monotonic() + SWEEP_S
        while time.monotonic() < deadline:
            _signal_group(self._pid, signal.SIGKILL)
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            if not self._reap():
                return
            time.sleep(0.005)

    def _reap(self) -> bool:
        """Collect the dead; False when no child is left."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == self._pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._exit_code = code if code >= 0 else 128 - code
                if pid == 0:
                    return True
        return False


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, where the system can (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):  # there are Pythons without ctypes
            libc = importlib.import_module("ctypes").CDLL(None)
            libc.prctl(_LINUX_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    """Return the children's process ids where the system tells them (Linux); elsewhere none."""
    found: list[int] = []
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, listing.read_text().split())
    return found


def _signal_group(group: int, number: signal.Signals) -> None:
    # macOS answers with a PermissionError for a group of zombies
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _say(**fields: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(fields).encode() + b"\n")


def _read_job() -> tuple[Job, bytes] | None:
    """Return the job and what came after it; None if the supervisor died before it had sent it."""
    received = b""
    while b"\n" not in received:
        data = os.read(0, CHUNK_BYTES)
        if not data:
            return None
        received += data
    line, _, orders = received.partition(b"\n")
    return Job(**json.loads(line)), orders


def main() -> None:
    """Read the job, run it, report."""
    wake, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # handled, not ignored: what is ignored stays ignored in the command
        signal.signal(number, lambda *_: None)
    adopt_orphans()
    received = _read_job()
    if received is not None:
        Runner(*received, wake).run()


if __name__ == "__main__":
    main()
