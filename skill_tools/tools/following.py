"""Follow workflows until they end or the time is up, telling how far they are."""

from __future__ import annotations

import time
from collections.abc import Sequence

from skill_tools.engines.base import Engine, TaskState, WorkflowState, has_ended, has_failed
from skill_tools.tools.context import Context, Note

# How often the engines are asked: an answer from this machine costs a file read, one from a cluster a
# request.
LOOK_EVERY_S = {"local": 0.25, "osmo": 5.0}


def follow(
    engine: Engine, workflow_ids: Sequence[str], context: Context, *, wait_s: float
) -> list[WorkflowState]:
    """Return the workflows' states once all have ended, or after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    while True:
        states = [engine.query(workflow_id) for workflow_id in workflow_ids]
        context.on_note(note_of(states))
        if all(has_ended(state.status) for state in states) or time.monotonic() >= until:
            return states
        time.sleep(min(LOOK_EVERY_S[engine.name], max(0.0, until - time.monotonic())))


def overall(states: Sequence[WorkflowState]) -> str:
    """Return the one state of several workflows: running as long as one runs, failed if one failed."""
    active = [state.status for state in states if not has_ended(state.status)]
    if active:
        return "RUNNING" if "RUNNING" in active or len(active) < len(states) else active[0]
    failed = [state.status for state in states if has_failed(state.status)]
    return failed[0] if failed else "COMPLETED"


def running_tasks(states: Sequence[WorkflowState]) -> list[TaskState]:
    """Return the tasks that run now."""
    return [task for state in states for task in state.tasks if task.status == "RUNNING"]


def failed_task(states: Sequence[WorkflowState]) -> tuple[str, TaskState] | None:
    """Return the task that failed first of its own, with its workflow's id."""
    failed = [
        (state.workflow_id, task)
        for state in states
        for task in state.tasks
        if has_failed(task.status) and task.status != "FAILED_UPSTREAM"
    ]
    return min(failed, key=lambda pair: pair[1].ended or float("inf"), default=None)


def note_of(states: Sequence[WorkflowState]) -> Note:
    """Return how far workflows are: the busiest task's frames, or which tasks there are."""
    for task in running_tasks(states):
        progress = task.progress
        if progress is not None:
            left = None
            if progress.rate and progress.total:
                left = max(progress.total - progress.done, 0) / progress.rate
            return Note(
                task.group, progress.done, progress.total, progress.unit, progress.rate, left, progress.note
            )
    tasks = [task for state in states for task in state.tasks]
    ended = sum(has_ended(task.status) for task in tasks)
    names = ", ".join(task.name for task in running_tasks(states)[:3])
    return Note("workflow", ended, len(tasks), "tasks", text=names)
