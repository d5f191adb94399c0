"""OSMO's workflow spec, version 2, as closed models, and what OSMO would say against a document.

A document is a parsed workflow file: `{"workflow": …}`, with or without `version` and `default-values`.
`violations` names everything that the service would refuse (and tokens that it would silently leave as
text), each with its path in the file; `parse` gives the typed workflow or raises with that list.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from skill_tools.errors import InputError

NAME_PATTERN = r"^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"
NAME_MAX_CHARS = 64
MAX_TASKS = 20
"""What a service takes in one workflow unless its administrator says otherwise."""

OSMO_SCHEMES = frozenset({"s3", "gs", "azure", "swift", "tos"})
ALL_SCHEMES = OSMO_SCHEMES | {"file"}
"""`file` is for the embedded engine only; the service knows no such scheme."""

_TOP_LEVEL = frozenset({"workflow", "version", "default-values"})
_MIN_COMPONENTS = {"s3": 1, "gs": 1, "azure": 2, "swift": 3, "tos": 2, "file": 0}
_BARE_TASK = re.compile(r"^workflow\.groups\.(\d+)\.tasks\.0(?=\.|$)")
_TOKEN = re.compile(r"\{\{(output|workflow_id|uuid|(?:input|host):[^{}]*)\}\}")


@dataclass(frozen=True)
class Violation:
    """Something that OSMO would refuse, and where it stands: `workflow.groups.0.tasks.1.image`."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return `path: message`."""
        return f"{self.path}: {self.message}"


class _Spec(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=True, coerce_numbers_to_str=True
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


def violations(spec_document: object, *, schemes: frozenset[str] = ALL_SCHEMES) -> list[Violation]:
    """Say what OSMO has against a rendered, parsed workflow file; empty when it would take it.

    What only the service can know (platforms, credentials that exist, registries, capacity) isn't
    checked. The shape comes first: rules between tasks are looked at once every field is well-formed.
    """
    return _examined(spec_document, schemes)[1]


def parse(spec_document: object, *, schemes: frozenset[str] = ALL_SCHEMES) -> WorkflowSpec:
    """Return the typed workflow.

    Raises:
        InputError: with every violation, one a line; code `input.workflow_spec`.
    """
    spec, found = _examined(spec_document, schemes)
    if spec is not None and not found:
        return spec
    lines = "\n".join(f"  {violation}" for violation in found)
    raise InputError(
        f"OSMO would refuse this workflow:\n{lines}",
        expected="a workflow that follows OSMO's spec, version 2",
        remedy="correct the lines named above in the workflow file, or the submit values they come from",
        code="input.workflow_spec",
    )


def _examined(document: object, schemes: frozenset[str]) -> tuple[WorkflowSpec | None, list[Violation]]:
    """Return the workflow, if its shape allows one, and all that is wrong with it."""
    if not isinstance(document, Mapping) or not document:
        return None, [Violation("workflow", "Workflow spec not found.")]
    found = [
        Violation(str(key), f'Unknown top-level key "{key}" found in the workflow spec.')
        for key in document
        if key not in _TOP_LEVEL
    ]
    raw = document.get("workflow")
    if not isinstance(raw, Mapping):
        return None, [*found, Violation("workflow", "Workflow spec not found.")]
    problem = _groups_or_tasks(raw)
    if problem is not None:
        return None, [*found, Violation("workflow", problem)]
    bare = "tasks" in raw
    try:
        spec = WorkflowSpec.model_validate(_normalized(raw))
    except ValidationError as error:
        paths = (".".join(["workflow", *map(str, item["loc"])]) for item in error.errors())
        messages = (item["msg"].removeprefix("Value error, ") for item in error.errors())
        return None, [*found, *_placed(zip(paths, messages, strict=True), bare=bare)]
    rules = ((violation.path, violation.message) for violation in _rules(spec, schemes))
    return spec, [*found, *_placed(rules, bare=bare)]


def _placed(found: Iterable[tuple[str, str]], *, bare: bool) -> list[Violation]:
    """Give each finding its path in the file, where a bare task's group doesn't stand."""
    return [
        Violation(_BARE_TASK.sub(r"workflow.tasks.\1", path) if bare else path, message)
        for path, message in dict.fromkeys(found)
    ]


def _groups_or_tasks(raw: Mapping[str, Any]) -> str | None:
    if "groups" in raw and "tasks" in raw:
        return "Cannot use both groups and tasks in the same workflow."
    if not raw.get("groups") and not raw.get("tasks"):
        return "Workflows need to have at least one group or one task."
    return None


def _normalized(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Make groups of bare tasks, and the lead of a group's only task explicit."""
    fields = dict(raw)
    bare = fields.pop("tasks", None)
    if isinstance(bare, Sequence) and not isinstance(bare, str):
        fields["groups"] = [{"name": f"{_name_in(task)}-group", "tasks": [task]} for task in bare]
    groups = fields.get("groups")
    if isinstance(groups, Sequence) and not isinstance(groups, str):
        fields["groups"] = [_with_lead(group) for group in groups]
    return fields


def _name_in(task: object) -> object:
    return task.get("name", "task") if isinstance(task, Mapping) else "task"


def _with_lead(group: object) -> object:
    if not isinstance(group, Mapping):
        return group
    tasks = group.get("tasks")
    if isinstance(tasks, Sequence) and len(tasks) == 1 and isinstance(tasks[0], Mapping):
        return {**group, "tasks": [{**tasks[0], "lead": True}]}
    return group


def _rules(spec: WorkflowSpec, schemes: frozenset[str]) -> list[Violation]:
    located = [
        (f"workflow.groups.{g}.tasks.{t}", group, task)
        for g, group in enumerate(spec.groups)
        for t, task in enumerate(group.tasks)
    ]
    return [
        *_names(spec),
        *_leads(spec),
        *(v for path, _, task in located for v in _resource(path, task, spec)),
        *(v for path, group, task in located for v in _inputs(path, group, task, spec)),
        *(v for path, _, task in located for v in _urls(path, task, schemes)),
        *(v for path, _, task in located for v in _files(path, task)),
        *(v for path, group, task in located for v in _tokens(path, group, task)),
    ]


def _names(spec: WorkflowSpec) -> Iterator[Violation]:
    if len(spec.tasks) > MAX_TASKS:
        yield Violation("workflow", f"Workflow cannot have more than {MAX_TASKS} tasks.")
    seen: set[str] = set()
    for path, name in _named(spec):
        if len(name) > NAME_MAX_CHARS:
            yield Violation(path, f"Name {name} is too long. It must be {NAME_MAX_CHARS} characters or less.")
        if path == "workflow.name":
            continue
        folded = name.lower().replace("_", "-")
        if folded in seen:
            yield Violation(
                path,
                f'Multiple tasks/groups have the same name: "{name}" (case, "_" and "-" count alike).',
            )
        if folded == "osmo-ctrl":
            yield Violation(path, 'The name "osmo-ctrl" is reserved.')
        seen.add(folded)


def _named(spec: WorkflowSpec) -> Iterator[tuple[str, str]]:
    yield "workflow.name", spec.name
    for g, group in enumerate(spec.groups):
        yield f"workflow.groups.{g}.name", group.name
        for t, task in enumerate(group.tasks):
            yield f"workflow.groups.{g}.tasks.{t}.name", task.name


def _leads(spec: WorkflowSpec) -> Iterator[Violation]:
    for g, group in enumerate(spec.groups):
        path = f"workflow.groups.{g}.tasks"
        leads = sum(task.lead for task in group.tasks)
        if not group.tasks:
            yield Violation(path, f'Group "{group.name}" needs to have at least one task.')
        elif leads != 1:
            yield Violation(path, f'Group "{group.name}" has {leads} leader(s) but must have exactly one.')


def _resource(path: str, task: TaskSpec, spec: WorkflowSpec) -> Iterator[Violation]:
    if task.resource in spec.resources or (task.resource == "default" and not spec.resources):
        return
    if task.resource == "default":
        message = (
            f"Task {task.name} has no specified resource. "
            "Specify a default resource in the resources section."
        )
    else:
        message = f"Requesting undefined resource {task.resource}."
    yield Violation(f"{path}.resource", message)


def _inputs(path: str, group: GroupSpec, task: TaskSpec, spec: WorkflowSpec) -> Iterator[Violation]:
    earlier = spec.groups[: spec.groups.index(group)]
    for index, source in enumerate(task.inputs):
        where = f"{path}.inputs.{index}.task"
        if source.task is None or ":" in source.task:
            continue
        if spec.task(source.task) is None:
            yield Violation(where, f"Task input {source.task} does not exist.")
        elif not any(t.name == source.task for other in earlier for t in other.tasks):
            needed = spec.group_of(source.task).name
            yield Violation(
                where, f'Group "{group.name}" requires input group "{needed}" exists before itself.'
            )


def _urls(path: str, task: TaskSpec, schemes: frozenset[str]) -> Iterator[Violation]:
    located = [
        *(
            (f"{path}.inputs.{i}.url", source.url)
            for i, source in enumerate(task.inputs)
            if source.url is not None
        ),
        *((f"{path}.outputs.{i}.url", target.url) for i, target in enumerate(task.outputs)),
        *((f"{path}.checkpoint.{i}.url", point.url) for i, point in enumerate(task.checkpoint)),
    ]
    for where, url in located:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in schemes:
            yield Violation(where, f"Unknown URI scheme: {url}; known are {', '.join(sorted(schemes))}")
        elif not _is_storage_path(scheme, rest):
            yield Violation(
                where, f"Incorrectly formatted {scheme} URI: {url} (no empty parts, none of , ; *)"
            )


def _is_storage_path(scheme: str, rest: str) -> bool:
    if scheme == "file":
        return rest.startswith("/")
    parts = rest.rstrip("/").split("/")
    return len(parts) >= _MIN_COMPONENTS[scheme] and all(
        part and not set(part) & set(",;*") for part in parts
    )


def _files(path: str, task: TaskSpec) -> Iterator[Violation]:
    seen: set[str] = set()
    for index, file in enumerate(task.files):
        if file.path in seen:
            yield Violation(
                f"{path}.files.{index}.path",
                f'Task "{task.name}" has multiple files at the same path "{file.path}". '
                "Each file path must be unique.",
            )
        seen.add(file.path)


def _tokens(path: str, group: GroupSpec, task: TaskSpec) -> Iterator[Violation]:
    inputs = {str(index) for index in range(len(task.inputs))} | {s.task for s in task.inputs if s.task}
    hosts = {member.name for member in group.tasks}
    for where, text in task.strings():
        for token in dict.fromkeys(match[1] for match in _TOKEN.finditer(text)):
            kind, _, key = token.partition(":")
            if kind == "uuid":
                why = "is never replaced; use {{workflow_id}}"
            elif kind == "input" and key not in inputs:
                why = f"names no input of task {task.name}, which has {len(task.inputs)}"
            elif kind == "host" and key not in hosts:
                why = f"names no task of group {group.name}"
            else:
                continue
            yield Violation(f"{path}.{where}", f"the token {{{{{token}}}}} {why}")
