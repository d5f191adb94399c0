"""Small workflows of shell tasks, really run by the embedded engine."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from skill_tools.engines.base import SubmitRequest, TaskState, WorkflowState, has_ended
from skill_tools.engines.local.engine import LocalEngine
from skill_tools.engines.local.run_folder import RunFolder

PATIENCE_S = 60.0
"""How long a test waits for what must happen before it says that it doesn't."""

Document = dict[str, Any]


def shell(name: str, script: str, **more: object) -> Document:
    """Return a task that runs a shell script."""
    return {"name": name, "image": "ubuntu", "command": ["bash", "-c", script], **more}


def group(name: str, *tasks: Document, **more: object) -> Document:
    """Return a group; its first task leads."""
    first, *others = tasks
    return {"name": name, "tasks": [{**first, "lead": True}, *others], **more}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Bench:
    """An embedded engine with a folder to work in."""

    folder: Path
    engine: LocalEngine
    submitted: list[str] = field(default_factory=list)

    def request(
        self,
        groups: Sequence[Document],
        *,
        name: str = "demo",
        values: Mapping[str, str] | None = None,
        **more: object,
    ) -> SubmitRequest:
        """Write a workflow file of these groups and return its submit."""
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({"workflow": {"name": name, "groups": list(groups), **more}}))
        return SubmitRequest(file, dict(values or {}), "local")

    def submit(self, groups: Sequence[Document], **more: Any) -> str:
        """Submit a workflow of these groups."""
        workflow_id = self.engine.submit(self.request(groups, **more)).workflow_id
        self.submitted.append(workflow_id)
        return workflow_id

    def run(self, groups: Sequence[Document], **more: Any) -> WorkflowState:
        """Submit a workflow of these groups and wait for its end."""
        return self.end_of(self.submit(groups, **more))

    def end_of(self, workflow_id: str) -> WorkflowState:
        """Wait for a workflow's end and return its state."""
        wait_for(lambda: has_ended(self.engine.query(workflow_id).status), f"the end of {workflow_id}")
        return self.engine.query(workflow_id)

    def task(self, workflow_id: str, name: str) -> TaskState:
        """Return a task's state now."""
        return next(task for task in self.engine.query(workflow_id).tasks if task.name == name)

    def run_folder(self, workflow_id: str) -> RunFolder:
        """Return what the engine keeps of a workflow."""
        return RunFolder(self.folder / "state" / workflow_id)

    def fifo(self, name: str) -> Fifo:
        """Make a named pipe."""
        os.mkfifo(self.folder / name)
        return Fifo(self.folder / name)

    def pid_in(self, name: str) -> int:
        """Wait until a task has written a process id into a file of the folder, and return it."""
        file = self.folder / name
        wait_for(lambda: file.exists() and file.read_text().endswith("\n"), f"{name} written")
        return int(file.read_text())

    def kill_supervisor(self, workflow_id: str) -> None:
        """Kill a workflow's supervisor as nothing can prevent."""
        pid_file = self.run_folder(workflow_id).supervisor_pid
        wait_for(pid_file.exists, "the supervisor's start")
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


@dataclass(frozen=True)
class Fifo:
    """A named pipe that a task reads from until somebody opens the other end."""

    path: Path

    @property
    def blocks(self) -> str:
        """A shell command that waits for the other end."""
        return f"read _ < '{self.path}'"

    def release(self) -> None:
        """Let the one reader go on; waits until it is there, and fails where it never comes."""
        wait_for(self._written, f"a reader of {self.path.name}")

    def _written(self) -> bool:
        try:
            writing = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
            return False
        with os.fdopen(writing, "w") as pipe:
            pipe.write("go\n")
        return True
