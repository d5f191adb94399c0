"""Follow workflows until they end or the time is up, telling how far they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from skill_tools.engines.base import Engine, TaskState, WorkflowState, has_ended, has_failed
from skill_tools.tools.context import Context, Note

FOLLOWED_ITS_LEAD = "Lead task"
"""How OSMO begins to say of a task that it ended because its group's lead did."""
ASKED_AT_ONCE = 4
# How often the engines are asked: an answer from this machine costs a file read, one from a cluster a
# request.
LOOK_EVERY_S = {"local": 0.25, "osmo": 5.0}


def follow(
    engine: Engine, workflow_ids: Sequence[str], context: Context, *, wait_s: float
) -> list[WorkflowState]:
    """Return the workflows' states once all have ended, or after `wait_s` seconds."""
    until = time.monotonic() + wait_s
    ended: dict[str, WorkflowState] = {}
    while True:
        asked = _asked(engine, [each for each in workflow_ids if each not in ended])
        ended |= {name: state for name, state in asked.items() if has_ended(state.status)}
        states = [ended.get(each) or asked[each] for each in workflow_ids]
        context.on_note(note_of(states))
        if all(has_ended(state.status) for state in states) or time.monotonic() >= until:
            return states
        time.sleep(min(LOOK_EVERY_S[engine.name], max(0.0, until - time.monotonic())))


def _asked(engine: Engine, workflow_ids: Sequence[str]) -> dict[str, WorkflowState]:
    """Ask for several workflows at the same time: a cluster takes a second or two for each."""
    if len(workflow_ids) == 1:
        return {workflow_ids[0]: engine.query(workflow_ids[0])}
    with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as threads:
        return dict(zip(workflow_ids, threads.map(engine.query, workflow_ids), strict=True))


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
        if has_failed(task.status)
        and task.status != "FAILED_UPSTREAM"
        and not task.failure.startswith(FOLLOWED_ITS_LEAD)
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
