"""The rules of a workflow's graph: what a group's end is, what may start, what the whole has come to.

Pure; states are OSMO's words. Dependencies come from `task:` inputs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from skill_tools.engines.base import TaskState, WorkflowState, has_ended, has_failed
from skill_tools.flows.spec import GroupSpec, WorkflowSpec

UPSTREAM_EXIT = 3000
CANCELED = "FAILED_CANCELED"
_REACH_THE_TOP = (CANCELED, "FAILED_EXEC_TIMEOUT", "FAILED_SERVER_ERROR")
"""Ends that a workflow shows as they are; any other failed group makes it FAILED."""


def new_state(workflow_id: str, spec: WorkflowSpec, submitted: float) -> WorkflowState:
    """Return the state of a workflow that nobody has looked at yet."""
    tasks = tuple(
        TaskState(
            name=task.name,
            group=group.name,
            status="WAITING" if spec.upstream(group) else "SUBMITTING",
            lead=task.lead,
        )
        for group in spec.groups
        for task in group.tasks
    )
    return WorkflowState(workflow_id=workflow_id, status="PENDING", tasks=tasks, submitted=submitted)


def renewed(state: WorkflowState, spec: WorkflowSpec) -> WorkflowState:
    """Return the state from which a workflow goes on: groups that ended well stay, the others are as new.

    A group is kept or redone as a whole: its tasks wait for each other.
    """
    fresh = {task.name: task for task in new_state(state.workflow_id, spec, 0.0).tasks}
    kept = {group.name for group in spec.groups if group_status(group, by_name(state.tasks)) == "COMPLETED"}
    tasks = tuple(task if task.group in kept else fresh[task.name] for task in state.tasks)
    return replace(
        state,
        status="RUNNING" if kept else "PENDING",
        tasks=tasks,
        started=state.started if kept else None,
        ended=None,
        failure="",
    )


def by_name(tasks: Iterable[TaskState]) -> dict[str, TaskState]:
    """Return the tasks by their names."""
    return {task.name: task for task in tasks}


def group_status(group: GroupSpec, tasks: Mapping[str, TaskState]) -> str | None:
    """Return a group's end, None while one of its tasks goes on.

    It is the lead's end; where non-leads count as well, the first failed one's.
    """
    states = [tasks[task.name] for task in group.tasks]
    if not all(has_ended(state.status) for state in states):
        return None
    deciding = [state.status for state in states if state.lead or not group.ignore_nonlead_status]
    return next((status for status in deciding if has_failed(status)), "COMPLETED")


def startable(group: GroupSpec, spec: WorkflowSpec, tasks: Mapping[str, TaskState]) -> bool | None:
    """Tell whether all groups above have ended well; None while that is open, False if it can't be."""
    above = set(spec.upstream(group))
    ends = [group_status(other, tasks) for other in spec.groups if other.name in above]
    if any(end is not None and has_failed(end) for end in ends):
        return False
    return None if None in ends else True


def workflow_status(spec: WorkflowSpec, tasks: Mapping[str, TaskState]) -> str | None:
    """Return the workflow's end, None while one of its groups goes on."""
    ends = [group_status(group, tasks) for group in spec.groups]
    if None in ends:
        return None
    if all(end == "COMPLETED" for end in ends):
        return "COMPLETED"
    return next((status for status in _REACH_THE_TOP if status in ends), "FAILED")


def reason(tasks: Iterable[TaskState]) -> str:
    """Return in one line which task's failure the others follow from; empty if none failed."""
    failed = [task for task in tasks if has_failed(task.status)]
    causes = [task for task in failed if task.status != "FAILED_UPSTREAM" and task.exit_code is not None]
    first = min(causes or failed, key=lambda task: (not task.lead, task.ended or 0.0), default=None)
    return f"{first.name}: {first.failure}" if first else ""
