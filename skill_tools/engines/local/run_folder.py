"""What the embedded engine keeps of a workflow, file by file, each replaced as a whole."""

from __future__ import annotations

import base64
import json
import os
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from skill_tools.engines.base import Progress, TaskState, WorkflowState, has_ended
from skill_tools.errors import EngineError
from skill_tools.flows.spec import WorkflowSpec, parse
from skill_tools.tool import Closed

_STATE = TypeAdapter(WorkflowState)
_PROGRESS = TypeAdapter(Progress)


class RunRequest(Closed):
    """How a workflow was submitted."""

    workflow_file: Path
    values: dict[str, str]
    pool: str
    skill_dir: Path
    """The folder that holds `assets`."""


@dataclass(frozen=True)
class TaskFolder:
    """A task's own part of the disk."""

    path: Path

    @property
    def root(self) -> Path:
        """What stands for `/` in the task's scripts."""
        return self.path / "root"

    @property
    def output(self) -> Path:
        """What is uploaded when the task has ended well, and what tasks below read."""
        return self.path / "output"

    @property
    def withheld(self) -> Path:
        """What a task had made when it failed or was stopped: for people, no input of another task."""
        return self.path / "output_withheld"

    @property
    def inputs(self) -> Path:
        """The folder with a folder for each input: `0`, `1` and so on."""
        return self.path / "input"

    @property
    def log(self) -> Path:
        """The newest lines of the log."""
        return self.path / "log"

    @property
    def progress_file(self) -> Path:
        """Where the task says how far it is."""
        return self.path / "progress.json"

    def input(self, number: int) -> Path:
        """Return the folder of one input."""
        return self.inputs / str(number)

    def progress(self) -> Progress | None:
        """Return how far the task says it is; None if it says nothing that can be read."""
        try:
            return _PROGRESS.validate_json(self.progress_file.read_bytes())
        except (OSError, ValidationError):
            return None


@dataclass(frozen=True)
class RunFolder:
    """The folder of one workflow."""

    path: Path

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""
        return self.path.name

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "supervisor.lock"

    @property
    def tasks_lock(self) -> Path:
        """Held by the supervisor and by the runner of every task."""
        return self.path / "tasks.lock"

    @property
    def supervisor_log(self) -> Path:
        """What a supervisor says when it doesn't understand itself."""
        return self.path / "supervisor.log"

    @property
    def supervisor_pid(self) -> Path:
        """The supervisor's process id, for people."""
        return self.path / "supervisor.pid"

    @property
    def cancel_file(self) -> Path:
        """There when somebody wants the end; holds who."""
        return self.path / "cancel"

    @property
    def _state_file(self) -> Path:
        return self.path / "state.json"

    @property
    def _spec_file(self) -> Path:
        return self.path / "spec.json"

    @property
    def _request_file(self) -> Path:
        return self.path / "request.json"

    def task(self, name: str) -> TaskFolder:
        """Return the folder of a task."""
        return TaskFolder(self.path / "tasks" / name)

    @property
    def was_submitted(self) -> bool:
        """Tell a workflow from a number that a failed submit used up."""
        return self._state_file.exists()

    def write(self, request: RunRequest, spec: WorkflowSpec, state: WorkflowState) -> None:
        """Write a new workflow; with the state it exists."""
        write_whole(self._request_file, request.model_dump_json(indent=1).encode())
        write_whole(self._spec_file, json.dumps(_document(spec), indent=1).encode())
        self.write_state(state)

    def write_state(self, state: WorkflowState) -> None:
        """Replace the state."""
        write_whole(self._state_file, _STATE.dump_json(state, indent=1))

    def state(self) -> WorkflowState:
        """Return the state as it was written last, with the progress that running tasks tell now."""
        state = _STATE.validate_json(self._read(self._state_file))
        return replace(state, tasks=tuple(self._with_progress(task) for task in state.tasks))

    def request(self) -> RunRequest:
        """Return how the workflow was submitted."""
        return RunRequest.model_validate_json(self._read(self._request_file))

    def spec(self) -> WorkflowSpec:
        """Return the workflow as it was rendered at the submit."""
        return parse(json.loads(self._read(self._spec_file)))

    def _with_progress(self, task: TaskState) -> TaskState:
        begun = task.status == "RUNNING" or has_ended(task.status)
        return replace(task, progress=self.task(task.name).progress() if begun else None)

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"{path} can't be read: {error.strerror}",
                expected="the files of a submitted workflow as the engine left them",
                remedy="submit again; clips and finished outputs in the storage are untouched",
                code="engine.state",
            ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file by `data`, on the disk when this returns; a reader never sees half of it."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as writing:
            writing.write(data)
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _document(spec: WorkflowSpec) -> dict[str, Any]:
    """Return the spec as the document that it can be parsed from; files may hold any bytes."""
    workflow = spec.model_dump(exclude_none=True)
    for group in workflow["groups"]:
        for task in group["tasks"]:
            for file in task["files"]:
                file["contents"] = base64.b64encode(file["contents"]).decode()
                file["base64"] = True
    return {"workflow": workflow}
