"""Read what `osmo` answers: its JSON documents and lines, as the Engine protocol's values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from skill_tools.engines.base import (
    Credential,
    Pool,
    StoredObject,
    Submission,
    TaskState,
    WorkflowState,
)
from skill_tools.engines.osmo.tables import read_table

_ID = re.compile(r"^Workflow ID\s+- (\S+)\s*$", re.MULTILINE)
_OVERVIEW = re.compile(r"^Workflow Overview\s+- (\S+)\s*$", re.MULTILINE)
_WARNING = re.compile(r"^WARNING: (.+)$", re.MULTILINE)
_TOTAL = re.compile(r"^Total (\d+) objects found$")
_LOG_HEADING = re.compile(r"^Workflow \S+ has (?:error )?(?:logs|events):$")
_LOG_END = "Workflow terminated abnormally, view task status at:"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class UnreadableReplyError(ValueError):
    """An answer isn't what the command is documented to print."""


def document(text: str) -> dict[str, object]:
    """Return the JSON object in an answer; warnings may stand above it."""
    start = next((at.start() for at in re.finditer(r"^\{", text, re.MULTILINE)), None)
    if start is None:
        raise UnreadableReplyError("no JSON object")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError as error:
        raise UnreadableReplyError(str(error)) from error
    return _object(found)


def version(text: str) -> tuple[str | None, str | None]:
    """Return the client's and the service's version from `version --format-type json`."""
    found = document(text)
    return _version(found.get("client")), _version(found.get("service"))


def profile(text: str) -> tuple[str | None, str | None]:
    """Return the user's name and the default pool from `profile list --format-type json`."""
    found = _object(document(text).get("profile"))
    return _text(found.get("username")) or None, _text(found.get("pool")) or None


def pools(text: str) -> tuple[Pool, ...]:
    """Return the pools of `pool list --format-type json`, each once."""
    found: dict[str, Pool] = {}
    for node_set in _objects(document(text).get("node_sets")):
        for pool in _objects(node_set.get("pools")):
            name = _text(pool.get("name"))
            found[name] = Pool(
                name=name,
                status=_text(pool.get("status")),
                platforms=tuple(sorted(_object(pool.get("platforms") or {}))),
                default_platform=_text(pool.get("default_platform")) or None,
                description=_text(pool.get("description")),
                gpus=_gpus(pool.get("resource_usage")),
            )
    return tuple(found.values())


def credentials(text: str) -> tuple[Credential, ...]:
    """Return the credentials of `credential --format-type json list`."""
    return tuple(
        Credential(
            _text(each.get("cred_name")), _text(each.get("cred_type")), _text(each.get("profile")) or None
        )
        for each in _objects(document(text).get("credentials"))
    )


def local_profiles(text: str) -> frozenset[str]:
    """Return from the table of `credential list` the DATA profiles that this machine has keys for."""
    rows = read_table(text)
    return frozenset(
        row["Profile"] for row in rows if row.get("Type") == "DATA" and row.get("Local") == "Yes"
    )


def pod_templates(text: str) -> Mapping[str, object]:
    """Return the templates of `config show POD_TEMPLATE` by name."""
    return document(text)


def submission(text: str) -> Submission:
    """Return what `workflow submit` says it took."""
    found = _ID.search(text)
    if found is None:
        raise UnreadableReplyError("no line `Workflow ID - …`")
    overview = _OVERVIEW.search(text)
    return Submission(
        found.group(1), overview.group(1) if overview else "", tuple(_WARNING.findall(text[found.end() :]))
    )


def workflow_names(text: str) -> tuple[str, ...]:
    """Return the ids of `workflow list --format-type json`, the newest first."""
    found = _objects(document(text).get("workflows"))
    newest_first = sorted(found, key=lambda each: _text(each.get("submit_time")), reverse=True)
    return tuple(_text(each.get("name")) for each in newest_first)


def workflow(text: str) -> WorkflowState:
    """Return the state of `workflow query --format-type json`: of a retried task the newest attempt."""
    found = document(text)
    groups = _in_order(_objects(found.get("groups")))
    tasks = [task for group in groups for task in _tasks(group)]
    status = _text(found.get("status"))
    if not status:
        raise UnreadableReplyError("no status")
    return WorkflowState(
        workflow_id=_text(found.get("name")),
        status=status,
        tasks=tuple(tasks),
        submitted=unix_time(found.get("submit_time")),
        started=unix_time(found.get("start_time")),
        ended=unix_time(found.get("end_time")),
        failure=_cause(tasks, groups) if status.startswith("FAILED") else "",
    )


def objects(text: str, prefix: str) -> tuple[StoredObject, ...]:
    """Return the keys of `data list --recursive`, relative to `prefix`; markers of folders are left out.

    The keys come relative to the bucket or container. The count in the last line must agree, so that a
    listing that was cut short is never taken for the whole.
    """
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    total = _TOTAL.match(lines.pop()) if lines else None
    keys = [line for line in lines if line]
    if total is None or int(total.group(1)) != len(keys):
        raise UnreadableReplyError("the count of objects is missing or wrong")
    below = f"{prefix}/" if prefix else ""
    return tuple(
        StoredObject(key.removeprefix(below)) for key in keys if not key.endswith("/") and key != prefix
    )


def log_lines(text: str) -> tuple[str, ...]:
    """Return the lines of `workflow logs` without its heading and its closing frame."""
    lines = [_ESCAPES.sub("", line).rstrip("\r") for line in text.split("\n")]
    if lines and _LOG_HEADING.match(lines[0]):
        lines = lines[1:]
    if _LOG_END in lines:
        lines = lines[: max(lines.index(_LOG_END) - 1, 0)]
    return tuple(line for line in lines if line.strip())


def unix_time(value: object) -> float | None:
    """Return a naive ISO time, which OSMO means as UTC, as Unix seconds."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _gpus(usage: object) -> int | None:
    """Return what a pool has, or what its quota allows; the figures come as texts, -1 for no limit."""
    given = usage if isinstance(usage, dict) else {}
    texts = [_text(given.get(name)) for name in ("total_capacity", "quota_limit")]
    return min((int(text) for text in texts if text.isdecimal() and int(text)), default=None)


def _tasks(group: dict[str, object]) -> Iterable[TaskState]:
    newest: dict[str, dict[str, object]] = {}
    for task in _objects(group.get("tasks")):
        name = _text(task.get("name"))
        if name not in newest or _whole(task.get("retry_id")) >= _whole(newest[name].get("retry_id")):
            newest[name] = task
    for name, task in newest.items():
        exit_code = task.get("exit_code")
        yield TaskState(
            name=name,
            group=_text(group.get("name")),
            status=_text(task.get("status")),
            lead=task.get("lead") is True,
            exit_code=exit_code if isinstance(exit_code, int) else None,
            failure=_text(task.get("failure_message")),
            started=unix_time(task.get("start_time")),
            ended=unix_time(task.get("end_time")),
        )


def _in_order(groups: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return the groups with those that others wait for first; the service's own order means nothing."""
    by_name = {_text(group.get("name")): group for group in groups}
    after: dict[str, set[str]] = {name: set() for name in by_name}
    for name, group in by_name.items():
        for later in _texts(group.get("downstream_groups")):
            after.setdefault(later, set()).add(name)
    placed: list[str] = []
    while len(placed) < len(by_name):
        ready = [name for name in by_name if name not in placed and after[name] <= set(placed)]
        placed += ready or [name for name in by_name if name not in placed]
    return [by_name[name] for name in placed]


def _cause(tasks: Sequence[TaskState], groups: Sequence[Mapping[str, object]]) -> str:
    """Return why the workflow failed: from the task that began it, not from those that followed."""
    failed = [task for task in tasks if task.status.startswith("FAILED")]
    own = [
        task
        for task in failed
        if task.status != "FAILED_UPSTREAM" and not task.failure.startswith("Lead task")
    ]
    for task in own or failed:
        return f"{task.name}: {task.failure or task.status}"
    return next((_text(group.get("failure_message")) for group in groups if group.get("failure_message")), "")


def _version(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return ".".join(_text(value.get(part)) for part in ("major", "minor", "revision"))


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableReplyError("a JSON object was expected")
    return value


def _objects(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise UnreadableReplyError("a JSON list was expected")
    return [_object(each) for each in value]


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
