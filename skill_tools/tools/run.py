"""A whole run in one call: every step from the choice of the flow to the report, each with its rules."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

from pydantic import Field

from skill_tools.errors import InputError
from skill_tools.policy.watching import HEARTBEAT_S
from skill_tools.tool import Closed, Effects, NextStep, Outcome, Tool, ToolResult
from skill_tools.tools.context import Context, Note
from skill_tools.tools.fields import Line, Name, RunId
from skill_tools.tools.report import ReportOutput
from skill_tools.tools.select_flow import SelectFlowInput
from skill_tools.tools.walking import Tools, follow, next_step

MAX_WAIT_S = 86_400.0
SILENT_STEPS = frozenset({"stage_artifacts", "render_compare", "report", "poll", "ensure_cache"})
"""Steps whose messages are left out while a run goes on: what they made is in the last result."""


class RunInput(SelectFlowInput):
    """What the user wants, as select_flow takes it; or the run to go on with."""

    run_id: RunId | None = Field(None, description="A run to go on with, in place of everything else.")
    wait_s: float = Field(
        HEARTBEAT_S,
        ge=0,
        le=MAX_WAIT_S,
        description="Seconds after which the call returns and `next` goes on; 110 at the most. "
        "Less where your client gives up sooner.",
    )


class StepTaken(Closed):
    """A step that this call took, and the rules that did more than nod: `RULE outcome`."""

    tool: Name
    status: Name
    decided: list[Line]


class RunOutput(Closed):
    """How far the run is; `report` is the report's own data, once the run is complete."""

    run_id: RunId | None
    complete: bool
    steps: Annotated[list[StepTaken], Field(max_length=1_000)]
    report: ReportOutput | None


def run_tool(tools: Tools) -> Tool[RunInput, RunOutput, Context]:
    """Return the tool that walks the others."""

    def run(given: RunInput, context: Context) -> Outcome[RunOutput]:
        """Follow `next`, and stop where something stops it or the time is up."""
        results: list[ToolResult] = []

        def on_result(result: ToolResult) -> None:
            results.append(result)
            context.on_note(Note(result.tool, text=_last_line(result)))

        follow(_first(given, context), tools, context, on_result, wait_s=given.wait_s)
        return _outcome(results, given.wait_s)

    return Tool(
        name="run",
        summary="Do a whole run in one call, from choosing the flow to the report; run_id goes on with one.",
        input_model=RunInput,
        output_model=RunOutput,
        effects=Effects(writes_local=True, changes_remote=True, idempotent=False, destructive=True),
        steps=run,
        guards=("SECRET-SILENT", "POLL-HEARTBEAT"),
        outcome_guards=("POLL-CONTINUE", "MEDIA-FORM"),
    )


def _first(given: RunInput, context: Context) -> NextStep:
    """Return the call that the run begins or goes on with.

    Raises:
        InputError: a run was named together with wishes, which it has already, or it isn't known.
    """
    wishes = given.model_dump(mode="json", exclude_defaults=True, exclude={"run_id", "wait_s"})
    if given.run_id is None:
        return NextStep(tool="select_flow", arguments=wishes)
    if wishes:
        raise InputError(
            f"{given.run_id} was begun with its own {', '.join(wishes)}",
            expected="run_id alone, or wishes for another run without it",
            remedy="leave one out",
            code="input.two_inputs",
        )
    return next_step(given.run_id, context)


def _last_line(result: ToolResult) -> str:
    lines = [message.body for message in result.messages if message.kind == "text"]
    return lines[-1].splitlines()[-1].removeprefix("- ") if lines else result.status


def _outcome(results: list[ToolResult], wait_s: float) -> Outcome[RunOutput]:
    last = results[-1]
    complete = last.ok and not last.next
    data = RunOutput(
        run_id=last.run_id,
        complete=complete,
        steps=[_taken(result) for result in results],
        report=ReportOutput.model_validate(last.data) if complete else None,
    )
    told = [result for result in results if result is last or result.tool not in SILENT_STEPS]
    messages = list(chain.from_iterable(result.messages for result in told))
    if complete or not last.ok:
        return Outcome(data, last.run_id, messages=messages, next=last.next, problem=last.problem)
    onward = NextStep(tool="run", arguments={"run_id": last.run_id, "wait_s": wait_s}, why="goes on")
    return Outcome(data, last.run_id, "running", messages, [onward])


def _taken(result: ToolResult) -> StepTaken:
    decided = [f"{decision.rule} {decision.outcome}" for decision in result.decisions]
    return StepTaken(tool=result.tool, status=result.status, decided=decided)
