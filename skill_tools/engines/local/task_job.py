"""Carry one task from its staging to its end, in a thread of its own, and say what happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from skill_tools.engines.local import task_runner
from skill_tools.engines.local.staging import Command, Stage
from skill_tools.errors import VdaError

LOG_BYTES = 4 << 20
GRACE_S = 5.0
DOWNLOAD_EXIT, UPLOAD_EXIT, RUNTIME_EXIT = 2010, 2012, 2002
"""OSMO's exit codes for what the engine itself could not do."""


@dataclass(frozen=True)
class Staged:
    """The task could start."""

    task: str


@dataclass(frozen=True)
class Started:
    """The task's command runs."""

    task: str
    at: float


@dataclass(frozen=True)
class Ended:
    """Nothing of the task is left; what it made is in the storage if `exit_code` is 0."""

    task: str
    at: float
    exit_code: int | None
    """None when it was stopped."""
    failure: str = ""


Event = Staged | Started | Ended


class _StoppedError(Exception):
    """Somebody wants the end of the task."""


class TaskJob:
    """A task under way. `post` gets its events, `Ended` as the last one, always."""

    def __init__(
        self,
        stage: Stage,
        post: Callable[[Event], None],
        *,
        tasks_lock: int,
        secrets: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stage, self._post, self._clock = stage, post, clock
        self._tasks_lock, self._secrets = tasks_lock, secrets
        self._name = stage.task.name
        self._go = threading.Event()
        self._stopping = threading.Event()
        self._delivering = threading.Event()
        self._runner_changes = threading.Lock()
        self._runner: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._live, name=self._name, daemon=True)

    def start(self) -> None:
        """Begin to stage."""
        self._thread.start()

    def go(self) -> None:
        """Let the command start once the task is staged."""
        self._go.set()

    def stop(self) -> None:
        """Ask for the end: SIGTERM to the command's group, SIGKILL to what is left after a grace."""
        with self._runner_changes:
            self._stopping.set()
            self._go.set()
            if self._runner is not None and self._runner.stdin is not None:
                with suppress(BrokenPipeError):
                    self._runner.stdin.write(task_runner.STOP)
                    self._runner.stdin.flush()

    @property
    def delivering(self) -> bool:
        """Whether the command has ended well and its output is on the way to the storage."""
        return self._delivering.is_set()

    def _live(self) -> None:
        try:
            exit_code, failure = self._walk()
        except _StoppedError:
            exit_code, failure = None, ""
        if exit_code != 0:
            self._stage.withhold()
        self._post(Ended(self._name, self._clock(), exit_code, failure))

    def _walk(self) -> tuple[int, str]:
        try:
            command = self._stage.prepare(self._tick)
        except (VdaError, OSError) as error:
            return self._gave_up(DOWNLOAD_EXIT, error)
        self._post(Staged(self._name))
        self._go.wait()
        self._check()
        try:
            exit_code = self._run(command)
        except OSError as error:
            return self._gave_up(RUNTIME_EXIT, error)
        self._check()
        if exit_code != 0:
            return exit_code, f"Exit Code {exit_code}"
        self._delivering.set()
        try:
            told = self._stage.deliver(self._tick)
        except (VdaError, OSError) as error:
            return self._gave_up(UPLOAD_EXIT, error)
        for line in told:
            self._say(line)
        self._stage.tidy()
        return 0, ""

    def _gave_up(self, exit_code: int, error: Exception) -> tuple[int, str]:
        self._say(str(error))
        return exit_code, f"Exit Code {exit_code}. {error}"

    def _tick(self, name: str, done: int, total: int | None) -> None:  # noqa: ARG002 - a Ticker
        self._check()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _StoppedError

    def _run(self, command: Command) -> int:
        with self._runner_changes:
            self._check()
            runner = self._runner = _start_runner(self._job(command), self._tasks_lock)
        try:
            return self._follow(runner)
        finally:
            with self._runner_changes, runner:
                self._runner = None

    def _job(self, command: Command) -> task_runner.Job:
        return task_runner.Job(
            command=list(command.arguments),
            directory=str(command.directory),
            environment=dict(command.environment),
            log=str(self._stage.folder.log),
            label=self._name,
            log_bytes=LOG_BYTES,
            grace_s=GRACE_S,
            secrets=list(self._secrets),
        )

    def _follow(self, runner: subprocess.Popen[bytes]) -> int:
        """Wait for the end that the runner reports; its own death is the command's."""
        group: int | None = None
        for line in runner.stdout or ():
            report = json.loads(line)
            if report["event"] == "ended":
                return int(report["exit_code"])
            group = int(report["pid"])
            self._post(Started(self._name, self._clock()))
        if group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        return RUNTIME_EXIT

    def _say(self, text: str) -> None:
        with suppress(OSError):  # the disk may be what the text is about
            log = task_runner.TaskLog(
                self._stage.folder.log,
                f"[{self._name}][osmo]",
                limit_bytes=LOG_BYTES,
                secrets=self._secrets,
                clock=self._clock,
            )
            log.say(text)
            log.close()


def _start_runner(job: task_runner.Job, tasks_lock: int) -> subprocess.Popen[bytes]:
    runner = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(task_runner.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(tasks_lock,),
    )
    if runner.stdin is not None:
        with suppress(BrokenPipeError):
            runner.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            runner.stdin.flush()
    return runner
