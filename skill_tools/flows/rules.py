"""What OSMO has against a well-formed workflow: names, leads, resources, inputs, URLs, files, tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from skill_tools.flows.workflow import GroupSpec, TaskSpec, WorkflowSpec

NAME_MAX_CHARS = 64
MAX_TASKS = 20
"""What a service takes in one workflow unless its administrator says otherwise."""

_MIN_COMPONENTS = {"s3": 1, "gs": 1, "azure": 2, "swift": 3, "tos": 2, "file": 0}
_TOKEN = re.compile(r"\{\{(output|workflow_id|uuid|(?:input|host):[^{}]*)\}\}")


@dataclass(frozen=True)
class Violation:
    """Something that OSMO would refuse, and where it stands: `workflow.groups.0.tasks.1.image`."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return `path: message`."""
        return f"{self.path}: {self.message}"


def broken_rules(spec: WorkflowSpec, schemes: frozenset[str]) -> list[Violation]:
    """Return every rule between tasks that the workflow breaks, in the order of the rules."""
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
