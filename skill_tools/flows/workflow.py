"""OSMO's workflow spec, version 2, as closed models: what a workflow, a group, a task may hold."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

NAME_PATTERN = r"^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"


class _Spec(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=True,
        coerce_numbers_to_str=True,
        defer_build=True,
    )


def _environment_value(value: object) -> object:
    """YAML's `true` reaches a task as Python writes it: `True`."""
    return str(value) if isinstance(value, bool) else value


_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_DURATION = re.compile(r"(\d+)(d|h|ms|us|m|s)")
_ISO_DURATION = re.compile(
    r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


def _seconds(value: object) -> object:
    """Read OSMO's durations: whole seconds, one number with one unit, or ISO 8601."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    text = str(value).strip()
    if text.isdigit():
        return float(text)
    if match := _DURATION.fullmatch(text):
        return int(match[1]) * _UNITS_S[match[2]]
    if match := _ISO_DURATION.fullmatch(text):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    raise ValueError(
        f"Cannot recognize duration: {value}. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm, xs, xms, xus"
    )


_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")
_QUANTITY_UNITS = frozenset(
    {"", "T", "Ti", "TiB", "G", "Gi", "GiB", "M", "Mi", "MiB", "K", "Ki", "KiB", "B", "m"}
)


def _quantity(value: object) -> object:
    """Check an amount of memory or disk; the text is kept as it stands."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None or match[2] not in _QUANTITY_UNITS:
        unit = match[2] if match else value
        raise ValueError(f"has invalid unit: {unit}; use a number with one of Ti, Gi, Mi, Ki, T, G, M, K, B")
    return str(value)


def _regex(value: object) -> object:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"Invalid regex: {value}") from error
    return value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Quantity = Annotated[str, BeforeValidator(_quantity)]
Regex = Annotated[str, BeforeValidator(_regex)]
EnvironmentValue = Annotated[str, BeforeValidator(_environment_value)]
CredentialMapping = str | dict[str, str]


class InputSpec(_Spec):
    """What is put into `input/N` before a task starts: another task's output, or what lies at a URL."""

    task: str | None = None
    """A task of this workflow, or `<workflow id>:<task>` of one that has ended."""
    url: str | None = None
    regex: Regex | None = None

    @model_validator(mode="after")
    def _one_source(self) -> InputSpec:
        if (self.task is None) == (self.url is None):
            raise ValueError("an input has either a task or a url")
        return self


class OutputSpec(_Spec):
    """Where a task's whole output directory goes when it has ended well."""

    url: str
    regex: Regex | None = None


class FileSpec(_Spec):
    """A file that is there before a task starts. `localpath` is set as long as it wasn't read in."""

    path: str
    contents: bytes = b""
    localpath: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_contents(cls, raw: object) -> object:
        if not isinstance(raw, Mapping):
            return raw
        fields = dict(raw)
        encoded = fields.pop("base64", False)
        if "contents" in fields and "localpath" in fields:
            raise ValueError("Files tag dont support contents and localpath together")
        if "contents" not in fields and "localpath" not in fields:
            raise ValueError("a file has contents or a localpath")
        if encoded and isinstance(fields.get("contents"), str):
            try:
                fields["contents"] = base64.b64decode(fields["contents"], validate=True)
            except binascii.Error as error:
                raise ValueError(f"contents are not base64: {error}") from error
        return fields

    @model_validator(mode="after")
    def _allowed_path(self) -> FileSpec:
        if not self.path or self.path == "/osmo" or self.path.startswith("/osmo/"):
            raise ValueError(f'Empty path or adding file to "/osmo" is forbidden for file: {self.path}')
        return self


class ResourceSpec(_Spec):
    """What one task is given: whole CPUs and GPUs, amounts of memory and disk, and the platform."""

    cpu: int | None = None
    gpu: int | None = None
    memory: Quantity | None = None
    storage: Quantity | None = None
    platform: str | None = None
    nodes_excluded: tuple[str, ...] = Field(default=(), alias="nodesExcluded")
    topology: tuple[Any, ...] = ()


class CheckpointSpec(_Spec):
    """A directory that is uploaded again and again while the task runs."""

    path: str
    url: str
    frequency_s: Seconds = Field(alias="frequency")
    regex: Regex | None = None


class KpiSpec(_Spec):
    """A file of figures that the service indexes."""

    path: str
    index: str


class TaskSpec(_Spec):
    """One container, or one process group on the embedded engine."""

    name: Name
    image: str
    command: tuple[str, ...] = Field(min_length=1)
    args: tuple[str, ...] = ()
    environment: dict[str, EnvironmentValue] = Field(default_factory=dict)
    files: tuple[FileSpec, ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    kpis: tuple[KpiSpec, ...] = ()
    credentials: dict[str, CredentialMapping] = Field(default_factory=dict)
    resource: str = "default"
    lead: bool = False
    privileged: bool = False
    host_network: bool = Field(default=False, alias="hostNetwork")
    volume_mounts: tuple[str, ...] = Field(default=(), alias="volumeMounts")
    download_type: Literal["download"] = Field(default="download", alias="downloadType")
    cache_size: str | None = Field(default=None, alias="cacheSize")
    exit_actions: dict[Literal["COMPLETE", "FAIL", "RESCHEDULE"], str] = Field(
        default_factory=dict, alias="exitActions"
    )
    checkpoint: tuple[CheckpointSpec, ...] = ()

    @field_validator("credentials", mode="before")
    @classmethod
    def _directories_or_variables(cls, raw: object) -> object:
        for name, value in raw.items() if isinstance(raw, Mapping) else ():
            if not isinstance(value, str | Mapping):
                kind = type(value).__name__
                raise ValueError(f"credential value for {name} must be a str or dict, got {kind}")  # noqa: TRY004 - pydantic reports ValueError
        return raw

    def strings(self) -> Iterator[tuple[str, str]]:
        """Yield (path within the task, text) of everything in which tokens are replaced."""
        for index, text in enumerate(self.command):
            yield f"command.{index}", text
        for index, text in enumerate(self.args):
            yield f"args.{index}", text
        for key, text in self.environment.items():
            yield f"environment.{key}", text
        for index, file in enumerate(self.files):
            yield f"files.{index}.contents", file.contents.decode("utf-8", errors="replace")


class GroupSpec(_Spec):
    """Tasks that run at the same time and see each other's hosts; the lead's end is the group's end."""

    name: Name
    tasks: tuple[TaskSpec, ...]
    barrier: bool = True
    ignore_nonlead_status: bool = Field(default=True, alias="ignoreNonleadStatus")

    @property
    def lead(self) -> TaskSpec:
        """The task whose result is the group's."""
        return next(task for task in self.tasks if task.lead)


class TimeoutSpec(_Spec):
    """How long a workflow may run and wait; None leaves it to the pool."""

    exec_timeout_s: Seconds | None = Field(default=None, alias="exec_timeout")
    queue_timeout_s: Seconds | None = Field(default=None, alias="queue_timeout")


class WorkflowSpec(_Spec):
    """A workflow that OSMO would take. Bare tasks have become groups of their own."""

    name: Name
    groups: tuple[GroupSpec, ...]
    resources: dict[str, ResourceSpec] = Field(default_factory=dict)
    timeout: TimeoutSpec = Field(default_factory=TimeoutSpec)
    labels: dict[str, str] = Field(default_factory=dict, max_length=16)
    pool: str | None = None
    backend: str | None = None

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """Every task, in the order of the file."""
        return tuple(task for group in self.groups for task in group.tasks)

    @property
    def images(self) -> tuple[str, ...]:
        """Every image once, in the order of the file."""
        return tuple(dict.fromkeys(task.image for task in self.tasks))

    @property
    def credentials(self) -> frozenset[str]:
        """Names that must exist for the submitting user."""
        return frozenset(name for task in self.tasks for name in task.credentials)

    def task(self, name: str) -> TaskSpec | None:
        """Return the task of that name, if there is one."""
        return next((task for task in self.tasks if task.name == name), None)

    def group_of(self, task: str) -> GroupSpec:
        """Return the group that a task of this workflow belongs to."""
        return next(group for group in self.groups if any(t.name == task for t in group.tasks))

    def upstream(self, group: GroupSpec) -> tuple[str, ...]:
        """Names of the groups that must have ended well before `group` starts; from task inputs alone."""
        wanted = {source.task for task in group.tasks for source in task.inputs if source.task}
        return tuple(other.name for other in self.groups if any(task.name in wanted for task in other.tasks))
