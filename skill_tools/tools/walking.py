"""Take one step after another, as each result names it: the rest of a phase, or a run to its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain

from pydantic import JsonValue

from skill_tools.errors import EngineError
from skill_tools.journal import ASIDE
from skill_tools.tool import AnyTool, NextStep, Problem, ToolResult
from skill_tools.tools.check_submission import CheckSubmissionOutput
from skill_tools.tools.context import Context

Tools = Mapping[str, AnyTool]

PHASES = (
    ("estimate_time", "preflight", "derive_storage_url"),
    ("prepare_demo", "prepare_dataset", "check_submission", "ensure_cache"),
    ("stage_artifacts", "render_compare"),
)
"""Steps behind which nobody has to look before the next one, so that one call can take them together."""
# A run passes each tool a few times at the most; only those that wait may be called for as long as it takes.
MAX_VISITS = 4


def take(name: str, arguments: Mapping[str, JsonValue], tools: Tools, context: Context) -> ToolResult:
    """Make a call; with `go_on` among its arguments, make those of the same phase behind it too.

    Each of them is a call of its own, with its own rules and its own entry in the journal. Where the run is
    on a cluster, a call that changes something there is not taken along: its caller looks first.

    Returns:
        The result of the call that was asked for. It ends as the last one did and names what comes then;
        its messages and decisions are those of all.
    """
    results = [tools[name].call(arguments, context)]
    phase = next((names for names in PHASES if name in names), ())
    while arguments.get("go_on") is True and len(results) < MAX_VISITS * len(phase):
        last = results[-1]
        follower = last.next[0] if last.ok and last.status == "done" and last.next else None
        if (
            follower is None
            or follower.tool not in phase
            or not _stays_here(tools[follower.tool], last, context)
        ):
            break
        results.append(tools[follower.tool].call(follower.arguments, context))
    return _together(results)


def _stays_here(tool: AnyTool, last: ToolResult, context: Context) -> bool:
    run = context.journal.find(last.run_id) if last.run_id else None
    return not tool.effects.changes_remote or (run is not None and run.engine == "local")


def _together(results: list[ToolResult]) -> ToolResult:
    first, last = results[0], results[-1]
    return first.model_copy(
        update={
            "ok": last.ok,
            "status": last.status,
            "problem": last.problem,
            "next": last.next,
            "messages": list(chain.from_iterable(result.messages for result in results)),
            "decisions": list(chain.from_iterable(result.decisions for result in results)),
        }
    )


def follow(
    step: NextStep,
    tools: Tools,
    context: Context,
    on_result: Callable[[ToolResult], None],
    *,
    wait_s: float | None = None,
) -> ToolResult:
    """Take a step and those that the results name, until the run is complete or something stops it.

    Args:
        step: The first call.
        tools: The tools that are called, by name.
        context: The road of each call.
        on_result: Is told every result.
        wait_s: After so many seconds no further step is begun; None goes on for as long as it takes.

    Returns:
        The last result: the report's, the first that is not green, or the one after which time was up.
    """
    until = time.monotonic() + wait_s if wait_s is not None else None
    visits: Counter[str] = Counter()
    while True:
        result = tools[step.tool].call(_within(step, tools, until).arguments, context)
        on_result(result)
        if not result.ok or not result.next or (until is not None and time.monotonic() >= until):
            return result
        visits[result.tool] += result.status != "running"
        if visits[result.tool] > MAX_VISITS:
            return _circle(result)
        step = result.next[0]


def _within(step: NextStep, tools: Tools, until: float | None) -> NextStep:
    """Return a step that waits no longer than until the given moment."""
    field = tools[step.tool].input_model.model_fields.get("wait_s")
    if until is None or field is None:
        return step
    left, asked = max(0.0, until - time.monotonic()), step.arguments.get("wait_s", field.default)
    wait_s = min(asked, left) if isinstance(asked, int | float) else left
    return step.model_copy(update={"arguments": {**step.arguments, "wait_s": round(wait_s, 2)}})


def _circle(result: ToolResult) -> ToolResult:
    error = EngineError(
        f"{result.tool} was passed {MAX_VISITS} times and is named again",
        expected="a run that comes nearer to its end with each step",
        remedy="look at `vda show RUN`; the step that keeps failing is the one before",
        code="engine.no_progress",
        retry="inspect",
    )
    return ToolResult(
        ok=False, tool=result.tool, run_id=result.run_id, status="failed", problem=Problem.of(error)
    )


def next_step(run_id: str, context: Context) -> NextStep:
    """Return the call that a run needs next.

    The newest green result knows it; a run that was sent is asked after again, so that an embedded
    supervisor that was killed is started anew.

    Raises:
        InputError: there is no such run.
    """
    context.journal.run(run_id)
    green = [
        call.result for call in context.journal.calls(run_id) if call.result.ok and call.tool not in ASIDE
    ]
    last = green[-1] if green else None
    if last is not None and (_is_under_way(last) or _was_sent_unseen(last, context)):
        return NextStep(tool="poll", arguments={"run_id": run_id, "wait_s": 0, "revive": True})
    if last is not None and last.next:
        return last.next[0]
    return NextStep(tool="report", arguments={"run_id": run_id})


def _is_under_way(last: ToolResult) -> bool:
    has_ended = last.tool == "poll" and last.status == "done"
    return last.tool in {"submit", "poll", "logs", "cancel"} and not has_ended


def _was_sent_unseen(last: ToolResult, context: Context) -> bool:
    """Tell whether everything was sent, and whoever sent it was gone before its result was written."""
    if last.tool != "check_submission":
        return False
    guarded = {batch.batch for batch in CheckSubmissionOutput.model_validate(last.data).batches}
    sent = {one.batch for one in context.journal.submissions(str(last.run_id)) if one.state == "sent"}
    return guarded <= sent
