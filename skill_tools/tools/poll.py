"""Tell how a submitted run is: its state from the engine alone, its tasks, what failed and why."""

from __future__ import annotations

import time
from contextlib import suppress
from statistics import median
from typing import Annotated

from pydantic import Field

from skill_tools.engines.base import Engine, WorkflowState, has_ended, has_failed
from skill_tools.errors import EngineError, InputError
from skill_tools.journal import RunRecord, SubmissionRecord
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Problem, Tool
from skill_tools.tools.context import Context
from skill_tools.tools.ensure_cache import CACHE_BATCH
from skill_tools.tools.fields import Line, Name, RunId
from skill_tools.tools.following import failed_task, follow, note_of, overall, running_tasks

# What may be asked for; how long a call really waits is the policy's.
MAX_WAIT_S = 86_400.0
LOG_LINES = 12


class PollInput(Closed):
    """The run to look at."""

    run_id: RunId
    wait_s: float = Field(
        0, ge=0, le=MAX_WAIT_S, description="Seconds to wait for the end; a call waits 110 at the most."
    )
    revive: bool = Field(
        default=False, description="Start the embedded engine's supervisor again where it was killed."
    )


class PolledTask(Closed):
    """A task as the engine reports it; times are Unix seconds."""

    name: Name
    group: Name
    status: Name
    exit_code: int | None = None
    failure: Line = ""
    started: float | None = None
    ended: float | None = None


class PolledWorkflow(Closed):
    """A workflow as the engine reports it; times are Unix seconds."""

    workflow_id: Name
    batch: Name
    status: Name
    failure: Line
    submitted: float | None
    started: float | None
    ended: float | None
    tasks: list[PolledTask]


class PollOutput(Closed):
    """The run's state, in OSMO's own words, and its workflows."""

    state: Name
    ended: bool
    elapsed_s: float
    left_s: float | None
    running: list[Name]
    workflows: Annotated[list[PolledWorkflow], Field(max_length=1_000)]


def poll(given: PollInput, context: Context) -> Outcome[PollOutput]:
    """Ask the engine, wait a while if that was asked for, and say what comes next."""
    run = context.journal.run(given.run_id)
    engine = context.engine(run)
    submissions = submitted(run, context)
    ids = [record.workflow_id for record in submissions if record.workflow_id]
    if given.revive:
        for workflow_id in ids:
            engine.resume(workflow_id)
    states = follow(engine, ids, context, wait_s=given.wait_s)
    data = _data(submissions, states, usual_s=usual_seconds(run, context))
    if not data.ended:
        return _still_running(run, data)
    if has_failed(data.state):
        return Outcome(data, run.run_id, problem=_problem(states, engine), next=[_logs_of(run, states)])
    text = f"{run.run_id}: COMPLETED after {data.elapsed_s:.0f} s."
    unsent = _unsent(run, submissions, context)
    if unsent:
        text += f" {unsent} workflow(s) of the run were not sent yet."
        step = NextStep(tool="submit", arguments={"run_id": run.run_id}, why="sends what is left")
        return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])
    step = NextStep(
        tool="stage_artifacts",
        arguments={"run_id": run.run_id, "go_on": True},
        why="brings the run's files here",
    )
    return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])


def submitted(run: RunRecord, context: Context) -> list[SubmissionRecord]:
    """Return the workflows of a run that were sent.

    Raises:
        InputError: nothing was submitted yet.
    """
    records = [
        record
        for record in context.journal.submissions(run.run_id)
        if record.workflow_id and record.batch != CACHE_BATCH
    ]
    if not records:
        raise InputError(
            f"{run.run_id} was not submitted yet",
            expected="a run that was submitted",
            remedy=f'call check_submission, then submit, with {{"run_id": "{run.run_id}"}}',
            code="input.order",
            first=("submit", {"run_id": run.run_id}),
        )
    return records


def _unsent(run: RunRecord, submissions: list[SubmissionRecord], context: Context) -> int:
    """Count the guarded workflows of a run that no submit has sent."""
    guard = context.journal.passed(run.run_id, "check_submission")
    batches = guard.data["batches"] if guard else []
    sent = {record.batch for record in submissions}
    return sum(
        isinstance(batch, dict) and batch["batch"] not in sent
        for batch in (batches if isinstance(batches, list) else [])
    )


def usual_seconds(run: RunRecord, context: Context) -> float | None:
    """Return the median duration of this workspace's completed runs of the same flow and engine."""
    durations = []
    for other in context.journal.runs():
        if (other.flow, other.engine) != (run.flow, run.engine) or other.run_id == run.run_id:
            continue
        polled = context.journal.passed(other.run_id, "poll")
        if polled and polled.data["state"] == "COMPLETED":
            durations.append(PollOutput.model_validate(polled.data).elapsed_s)
    return median(durations) if durations else None


def _data(
    submissions: list[SubmissionRecord], states: list[WorkflowState], *, usual_s: float | None
) -> PollOutput:
    begun = min(record.at for record in submissions)
    ends = [state.ended for state in states if state.ended]
    state = overall(states)
    now = max(ends) if has_ended(state) and ends else time.time()
    return PollOutput(
        state=state,
        ended=has_ended(state),
        elapsed_s=round(now - begun, 2),
        left_s=None if has_ended(state) else _left_s(states, now - begun, usual_s),
        running=[task.name for task in running_tasks(states)],
        workflows=[
            PolledWorkflow(
                workflow_id=state.workflow_id,
                batch=record.batch,
                status=state.status,
                failure=state.failure[:2_000],
                submitted=state.submitted,
                started=state.started,
                ended=state.ended,
                tasks=[
                    PolledTask(
                        name=task.name,
                        group=task.group,
                        status=task.status,
                        exit_code=task.exit_code,
                        failure=task.failure[:2_000],
                        started=task.started,
                        ended=task.ended,
                    )
                    for task in state.tasks
                ],
            )
            for record, state in zip(submissions, states, strict=True)
        ],
    )


def _left_s(states: list[WorkflowState], elapsed_s: float, usual_s: float | None) -> float | None:
    """Return what is left by this workspace's own history, else what the stage that runs still needs."""
    if usual_s is not None and usual_s > elapsed_s:
        return round(usual_s - elapsed_s, 1)
    return note_of(states).left_s


def _still_running(run: RunRecord, data: PollOutput) -> Outcome[PollOutput]:
    running = ", ".join(data.running[:4]) or "waiting to start"
    left = f", about {data.left_s:.0f} s left" if data.left_s is not None else ""
    text = f"{run.run_id}: {data.state} for {data.elapsed_s:.0f} s ({running}{left})."
    failed = [each.workflow_id for each in data.workflows if has_failed(each.status)]
    if failed:
        text += f" Failed already: {', '.join(failed[:5])}; the others go on."
    step = NextStep(tool="poll", arguments={"run_id": run.run_id, "wait_s": 100}, why="follows the run")
    return Outcome(data, run.run_id, "running", messages=[Message(body=text)], next=[step])


def _problem(states: list[WorkflowState], engine: Engine) -> Problem:
    found = failed_task(states)
    state = next(state for state in states if has_failed(state.status))
    if found is None:
        lost = "resume" if state.status == "FAILED_BACKEND_ERROR" else ""
        return Problem(
            code="engine.workflow_failed",
            message=f"{state.workflow_id} ended {state.status}: {state.failure}",
            expected="COMPLETED",
            remedy="`vda resume RUN` continues it" if lost else "begin a new run once the cause is mended",
            retry="after_fix",
        )
    workflow_id, task = found
    lines: tuple[str, ...] = ()
    with suppress(EngineError):  # what failed is worth telling without its log too
        lines = engine.logs(workflow_id, task.name, tail=LOG_LINES)
    exit_code = "" if task.exit_code is None else f" with exit code {task.exit_code}"
    return Problem(
        code="engine.task_failed",
        message=f"{task.name} ended {task.status}{exit_code}. {task.failure}\n" + "\n".join(lines),
        expected="every task COMPLETED",
        remedy="mend what the log says, then begin a new run with select_flow",
        retry="after_fix",
    )


def _logs_of(run: RunRecord, states: list[WorkflowState]) -> NextStep:
    found = failed_task(states)
    arguments = {"run_id": run.run_id} | ({"task": found[1].name} if found else {})
    return NextStep(tool="logs", arguments=dict(arguments), why="shows the whole log of what failed")


POLL = Tool(
    name="poll",
    summary="Tell how a submitted run is; wait_s waits for its end, up to the next heartbeat.",
    input_model=PollInput,
    output_model=PollOutput,
    effects=Effects(read_only=True),
    steps=poll,
    guards=("SECRET-SILENT", "POLL-HEARTBEAT"),
    outcome_guards=("POLL-TRUTH", "POLL-CONTINUE"),
)
