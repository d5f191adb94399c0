"""OSMO's workflow spec, version 2: the typed workflow, and what OSMO would say against a document.

A document is a parsed workflow file: `{"workflow": …}`, with or without `version` and `default-values`.
`violations` names everything that the service would refuse (and tokens that it would silently leave as
text), each with its path in the file; `parse` gives the typed workflow or raises with that list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from skill_tools.errors import InputError
from skill_tools.flows.rules import MAX_TASKS, NAME_MAX_CHARS, Violation, broken_rules
from skill_tools.flows.workflow import (
    NAME_PATTERN,
    FileSpec,
    GroupSpec,
    InputSpec,
    OutputSpec,
    ResourceSpec,
    TaskSpec,
    TimeoutSpec,
    WorkflowSpec,
)

__all__ = [
    "ALL_SCHEMES",
    "MAX_TASKS",
    "NAME_MAX_CHARS",
    "NAME_PATTERN",
    "OSMO_SCHEMES",
    "FileSpec",
    "GroupSpec",
    "InputSpec",
    "OutputSpec",
    "ResourceSpec",
    "TaskSpec",
    "TimeoutSpec",
    "Violation",
    "WorkflowSpec",
    "parse",
    "violations",
]

OSMO_SCHEMES = frozenset({"s3", "gs", "azure", "swift", "tos"})
ALL_SCHEMES = OSMO_SCHEMES | {"file"}
"""`file` is for the embedded engine only; the service knows no such scheme."""

_TOP_LEVEL = frozenset({"workflow", "version", "default-values"})
_BARE_TASK = re.compile(r"^workflow\.groups\.(\d+)\.tasks\.0(?=\.|$)")


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
    rules = ((violation.path, violation.message) for violation in broken_rules(spec, schemes))
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
