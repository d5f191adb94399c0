"""Walk a run to its end by doing what each result names in `next`, as any agent can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from skill_tools.errors import EngineError, InputError
from skill_tools.registry import TOOLS, failed, opened
from skill_tools.settings import Settings
from skill_tools.tool import NextStep, ToolResult
from skill_tools.tools.context import Context, Note

OnResult = Callable[[ToolResult], None]

# A run passes each tool a few times at the most; only those that wait may be called for as long as it takes.
MAX_VISITS = 4


def walk(
    arguments: Mapping[str, JsonValue],
    *,
    settings: Settings,
    on_result: OnResult,
    on_note: Callable[[Note], None],
) -> ToolResult:
    """Begin a run with `select_flow` and follow `next` to the report.

    Returns:
        The report's result, or the first one that is not green.
    """
    with opened(settings, on_note) as context:
        return _follow(NextStep(tool="select_flow", arguments=dict(arguments)), context, on_result)


def resume(
    run_id: str, *, settings: Settings, on_result: OnResult, on_note: Callable[[Note], None]
) -> ToolResult:
    """Go on with a run from the journal alone, wherever it stopped."""
    with opened(settings, on_note) as context:
        try:
            step = next_step(run_id, context)
        except InputError as error:
            return failed("resume", error)
        return _follow(step, context, on_result)


def next_step(run_id: str, context: Context) -> NextStep:
    """Return the call that a run needs next.

    The newest green result knows it; a run that was sent is asked after again, so that an embedded
    supervisor that was killed is started anew.

    Raises:
        InputError: there is no such run.
    """
    context.journal.run(run_id)
    calls = [call for call in context.journal.calls(run_id) if call.result.ok]
    last = calls[-1].result if calls else None
    if last is not None and last.tool in {"poll", "submit", "logs", "cancel"}:
        return NextStep(tool="poll", arguments={"run_id": run_id, "wait_s": 0, "revive": True})
    if last is not None and last.next:
        return last.next[0]
    return NextStep(tool="report", arguments={"run_id": run_id})


def _follow(step: NextStep, context: Context, on_result: OnResult) -> ToolResult:
    visits: Counter[str] = Counter()
    while True:
        result = TOOLS[step.tool].call(step.arguments, context)
        on_result(result)
        if not result.ok or not result.next:
            return result
        visits[result.tool] += result.status != "running"
        if visits[result.tool] > MAX_VISITS:
            return failed(step.tool, _circle(step.tool))
        step = result.next[0]


def _circle(tool: str) -> EngineError:
    return EngineError(
        f"{tool} was passed {MAX_VISITS} times and is named again",
        expected="a run that comes nearer to its end with each step",
        remedy="look at `vda show RUN`; the step that keeps failing is the one before",
        code="engine.no_progress",
        retry="inspect",
    )
