"""The Engine protocol: what the tools ask of NVIDIA OSMO, and of the embedded engine alike.

States are OSMO's own words. A *status* that starts with `FAILED` has failed; `COMPLETED` has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

WORKFLOW_ACTIVE = frozenset({"PENDING", "RUNNING", "WAITING"})
TASK_ACTIVE = frozenset({"SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RUNNING"})


def has_failed(status: str) -> bool:
    """Tell whether a workflow's, group's or task's status is a failed end."""
    return status.startswith("FAILED")


def has_ended(status: str) -> bool:
    """Tell whether a status is final. `RESCHEDULED` is not: a higher retry of the task exists."""
    return status == "COMPLETED" or has_failed(status)


@dataclass(frozen=True)
class Pool:
    """A pool and the platforms that it lists now."""

    name: str
    status: str
    platforms: tuple[str, ...]
    default_platform: str | None = None
    description: str = ""
    gpus: int | None = None
    """GPUs that a group may have at once when nobody else runs; None where the engine doesn't tell."""


@dataclass(frozen=True)
class Credential:
    """A stored credential; payloads are never read back."""

    name: str
    kind: str
    profile: str | None = None


@dataclass(frozen=True)
class EngineState:
    """Whether the engine can be used now, and in which versions."""

    ready: bool
    client_version: str | None
    service_version: str | None
    user: str | None
    reason: str = ""
    default_pool: str | None = None


@dataclass(frozen=True)
class Submission:
    """What the engine answered to a submit."""

    workflow_id: str
    overview: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a task's work is, when the task says so."""

    done: int
    total: int | None
    unit: str = "frames"
    rate: float | None = None
    note: str = ""


@dataclass(frozen=True)
class TaskState:
    """A task of a workflow, as the engine reports it. Times are Unix seconds."""

    name: str
    group: str
    status: str
    lead: bool = False
    exit_code: int | None = None
    failure: str = ""
    started: float | None = None
    ended: float | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class WorkflowState:
    """A workflow, as the engine reports it. Times are Unix seconds."""

    workflow_id: str
    status: str
    tasks: tuple[TaskState, ...]
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class StoredObject:
    """An object of the storage; `path` is relative to the listed URL, `size` in bytes if known."""

    path: str
    size: int | None = None


@dataclass(frozen=True)
class SubmitRequest:
    """A workflow file and its values: the canonical submit, and nothing else fits in.

    `values` become the pairs of the one `--set-string`, in their order.
    """

    workflow_file: Path
    values: Mapping[str, str]
    pool: str
    credentials: frozenset[str] = field(default=frozenset())


Ticker = Callable[[str, int, int | None], None]
"""Called with (name, bytes or items done, total if known) while something long goes on."""


class Engine(Protocol):
    """An orchestrator of workflows with a storage behind it.

    Every method raises `EngineError` (or one of its kinds) when the engine says no, and
    `EngineUnavailable` when it can't be asked. Reads may be retried inside; writes never are.
    """

    name: str

    def state(self) -> EngineState:
        """Tell whether the engine can be used, without changing anything."""

    def pools(self) -> tuple[Pool, ...]:
        """List the pools with their platforms."""

    def credentials(self) -> tuple[Credential, ...]:
        """List the stored credentials."""

    def set_credential(self, name: str, kind: str, payload: Mapping[str, str], *, replace: bool) -> None:
        """Store a credential; the payload never reaches an argument list."""

    def pod_templates(self) -> Mapping[str, object]:
        """Return the pod templates by name, or an empty mapping where there are none."""

    def validate(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return what the engine has against this submit; empty when it would take it."""

    def command(self, request: SubmitRequest) -> tuple[str, ...]:
        """Return the canonical submit as an argument list, as it is shown to people."""

    def submit(self, request: SubmitRequest) -> Submission:
        """Submit once. Raises `OutcomeUnknown` when nobody can tell whether it was taken."""

    def find(self, run_id: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the ids of workflows that were submitted with this run id."""

    def query(self, workflow_id: str) -> WorkflowState:
        """Return the workflow's state now."""

    def logs(self, workflow_id: str, task: str | None, *, tail: int) -> tuple[str, ...]:
        """Return the newest `tail` log lines of a task, or of the whole workflow; never follows."""

    def cancel(self, workflow_id: str) -> None:
        """Ask for the end of a workflow; fine if it has ended already."""

    def resume(self, workflow_id: str) -> bool:
        """Go on with a workflow whose own runner died; False where there was nothing to do."""

    def list(self, url: str) -> tuple[StoredObject, ...]:
        """List all objects below a URL, recursively; empty when there are none."""

    def download(self, url: str, directory: Path, tick: Ticker | None = None) -> tuple[Path, ...]:
        """Copy what is below a URL flat into an existing directory, structure below it kept.

        A URL of one object lands as `directory/<name>`. No file is ever half there under its name.
        """

    def upload(self, paths: Sequence[Path], url: str, tick: Ticker | None = None) -> None:
        """Copy files flat below a URL; what is there under the same name is replaced at once."""
