"""Submit what the guard checked, once: claimed in the journal before it is sent."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import Field

from skill_tools.engines.base import Engine, SubmitRequest
from skill_tools.flows.render import load_workflow
from skill_tools.tool import Closed, Effects, Message, NextStep, Outcome, Tool
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import Line, Name, PathText, RunId, Url, Values
from skill_tools.tools.sending import Receipt, Sender


class SubmitInput(Closed):
    """The run to submit; pool and values only where they repeat what preflight and guard found."""

    run_id: RunId
    pool: Name | None = None
    values: Values = Field(default_factory=dict, description="The guarded values; taken from the guard.")
    dry_run: bool = Field(
        default=False, description="Show the command and what it would start; send nothing."
    )


class TaskSummary(Closed):
    """A task as it would be started."""

    name: Name
    group: Name
    image: Line
    resource: Line
    outputs: list[Url]


class SubmittedWorkflow(Closed):
    """One workflow: its command, and its id once it was sent."""

    batch: Name
    workflow_id: Name | None
    command: Annotated[str, Field(max_length=65_536)]
    tasks: list[TaskSummary]
    overview: Line = ""
    found_again: bool = Field(
        default=False, description="It was sent before its outcome could be written, so it was not sent now."
    )


class SubmitOutput(Closed):
    """What was sent, or would be."""

    dry_run: bool
    pool: Name
    workflow: PathText
    workflows: list[SubmittedWorkflow]


def submit(given: SubmitInput, context: Context) -> Outcome[SubmitOutput]:
    """Send each workflow of the run that was not sent yet."""
    run = context.journal.run(given.run_id)
    guard = context.passed(run.run_id, "check_submission")
    engine, pool = context.engine(run), given.pool or guard["pool"]
    sender = Sender(run.run_id, engine, context.journal)
    sent: list[SubmittedWorkflow] = []
    for batch in guard["batches"]:
        request = SubmitRequest(Path(guard["workflow"]), batch["values"], pool)
        receipt = None if given.dry_run else sender.send(batch["batch"], request)
        context.on_note(Note("submit", len(sent) + 1, len(guard["batches"]), "workflows"))
        sent.append(_described(batch["batch"], request, engine, receipt))
    data = SubmitOutput(dry_run=given.dry_run, pool=pool, workflow=guard["workflow"], workflows=sent)
    if given.dry_run:
        text = "Nothing was sent. This would be:\n" + "\n".join(item.command for item in sent)
        step = NextStep(tool="submit", arguments={"run_id": run.run_id}, why="sends it")
        return Outcome(data, run.run_id, messages=[Message(body=text)], next=[step])
    names = ", ".join(str(item.workflow_id) for item in sent)
    step = NextStep(tool="poll", arguments={"run_id": run.run_id, "wait_s": 100}, why="follows the run")
    return Outcome(
        data,
        run.run_id,
        status="running",
        messages=[Message(body=f"Submitted as {names}.")],
        next=[step],
    )


def _described(
    batch: str, request: SubmitRequest, engine: Engine, receipt: Receipt | None
) -> SubmittedWorkflow:
    spec = load_workflow(request.workflow_file, request.values)
    tasks = [
        TaskSummary(
            name=task.name,
            group=group.name,
            image=task.image,
            resource=task.resource,
            outputs=[output.url for output in task.outputs],
        )
        for group in spec.groups
        for task in group.tasks
    ]
    return SubmittedWorkflow(
        batch=batch,
        workflow_id=receipt.workflow_id if receipt else None,
        command=shlex.join(engine.command(request)),
        tasks=tasks,
        overview=receipt.overview if receipt else "",
        found_again=receipt.found_again if receipt else False,
    )


SUBMIT = Tool(
    name="submit",
    summary="Submit the guarded values, once; dry_run shows the exact command and sends nothing.",
    input_model=SubmitInput,
    output_model=SubmitOutput,
    effects=Effects(changes_remote=True, idempotent=False),
    steps=submit,
    guards=(
        "SECRET-SILENT",
        "ETA-FIRST",
        "PREFLIGHT-FIRST",
        "POOL-ONLINE",
        "INPUT-STEM",
        "INPUT-KEEP",
        "INPUT-NO-INVENT",
        "STORAGE-DERIVE",
        "SUBMIT-EXPLICIT-CACHE",
        "SUBMIT-COMPLETE",
        "PLATFORM-EXACT",
        "STORAGE-NO-STALE",
        "NIM-EXTERNAL-OPT-IN",
        "NIM-NO-INFER",
        "CACHE-AUTO",
        "GUARD-FIRST",
        "SUBMIT-STAMP",
        "SUBMIT-RETRY-ONCE",
    ),
    outcome_guards=("SUBMIT-SHAPE", "SUBMIT-STAMP"),
)
