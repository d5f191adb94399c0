"""Really run a submitted workflow, with the embedded engine; the mock's buckets are its storage."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from mock_state import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

SCHEMES = ("s3", "gs", "azure", "swift", "tos")


def _engine(store: Store) -> Any:
    from skill_tools.engines.local.engine import LocalEngine

    return LocalEngine(store.folder / "runs")


def start(store: Store, workflow: dict[str, Any], document: Any) -> None:
    """Start a workflow whose storage URLs are folders, without credentials, on this machine's platform."""
    from skill_tools.engines.base import SubmitRequest

    local = _on_this_machine(document, store)
    for task in _tasks(local):
        task.pop("credentials", None)
    for resource in (local["workflow"].get("resources") or {}).values():
        resource.pop("platform", None)
    file = store.folder / f"{workflow['name']}.yaml"
    file.write_text(yaml.safe_dump(local))
    workflow["local_id"] = _engine(store).submit(SubmitRequest(file, {}, "local")).workflow_id


def follow(store: Store, workflow: dict[str, Any]) -> None:
    """Take over how far the workflow really is."""
    found = _engine(store).query(workflow["local_id"])
    tasks = {task.name: task for task in found.tasks}
    for group in workflow["groups"]:
        for task in group["tasks"]:
            now = tasks[task["name"]]
            task |= {
                "status": now.status,
                "exit_code": now.exit_code,
                "failure_message": now.failure or None,
                "start_time": _time(now.started),
                "end_time": _time(now.ended),
            }
        lead = next((task for task in group["tasks"] if task["lead"]), group["tasks"][0])
        group |= {"status": lead["status"], "failure_message": lead["failure_message"]}
    workflow |= {"status": found.status, "start_time": _time(found.started), "end_time": _time(found.ended)}


def logs(store: Store, workflow: dict[str, Any], task: str | None) -> list[str]:
    """Return the real log lines."""
    return list(_engine(store).logs(workflow["local_id"], task, tail=0))


def cancel(store: Store, workflow: dict[str, Any]) -> None:
    """End the real workflow."""
    _engine(store).cancel(workflow["local_id"])


def _on_this_machine(node: Any, store: Store) -> Any:
    if isinstance(node, dict):
        return {key: _on_this_machine(value, store) for key, value in node.items()}
    if isinstance(node, list):
        return [_on_this_machine(value, store) for value in node]
    if isinstance(node, str):
        for scheme in SCHEMES:
            node = node.replace(f"{scheme}://", f"file://{quote(str(store.buckets / scheme))}/")
    return node


def _tasks(document: Any) -> list[dict[str, Any]]:
    workflow = document["workflow"]
    grouped = [task for group in workflow.get("groups") or [] for task in group["tasks"]]
    return [*grouped, *(workflow.get("tasks") or [])]


def _time(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
