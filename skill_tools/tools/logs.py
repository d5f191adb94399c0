"""The newest log lines of a run or of one of its tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skill_tools.errors import InputError
from skill_tools.tool import Closed, Effects, Message, Outcome, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.fields import Name, RunId
from skill_tools.tools.nearest import nearest
from skill_tools.tools.poll import submitted

DEFAULT_LINES = 200
MAX_LINES = 10_000
MAX_LINE = 4_000


class LogsInput(Closed):
    """Whose log, and how much of it."""

    run_id: RunId
    task: Name | None = Field(None, description="A task's name; all tasks otherwise.")
    tail: int = Field(DEFAULT_LINES, ge=1, le=MAX_LINES)


class LogsOutput(Closed):
    """The newest lines, oldest first."""

    task: Name | None
    lines: Annotated[list[Annotated[str, Field(max_length=MAX_LINE)]], Field(max_length=MAX_LINES)]


def logs(given: LogsInput, context: Context) -> Outcome[LogsOutput]:
    """Read the log of every workflow of the run that has the task."""
    run = context.journal.run(given.run_id)
    engine = context.engine(run)
    ids = [record.workflow_id for record in submitted(run, context) if record.workflow_id]
    names = {workflow_id: [task.name for task in engine.query(workflow_id).tasks] for workflow_id in ids}
    with_task = [one for one in ids if given.task is None or given.task in names[one]]
    if not with_task:
        known = sorted({name for tasks in names.values() for name in tasks})
        raise InputError(
            f"{run.run_id} has no task {given.task!r}",
            expected=", ".join(known[:20]),
            remedy=nearest(given.task or "", known),
            code="input.unknown_task",
        )
    lines = [line for one in with_task for line in engine.logs(one, given.task, tail=given.tail)]
    data = LogsOutput(task=given.task, lines=[line[:MAX_LINE] for line in lines[-given.tail :]])
    # Quoted, so that a line of a log is never taken for a word of the skill or a media line.
    quoted = "\n".join(f"> {' '.join(line.splitlines())}" for line in data.lines)
    return Outcome(data, run.run_id, messages=[Message(body=quoted)])


LOGS = Tool(
    name="logs",
    summary="Show the newest log lines of a run or of one of its tasks; never follows.",
    input_model=LogsInput,
    output_model=LogsOutput,
    effects=Effects(read_only=True),
    steps=logs,
    guards=("SECRET-SILENT",),
)
