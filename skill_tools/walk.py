"""Walk a run to its end for one who watches every step: `vda run` and `vda resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from skill_tools.errors import InputError
from skill_tools.registry import TOOLS, failed, opened
from skill_tools.settings import Settings
from skill_tools.tool import NextStep, ToolResult
from skill_tools.tools.context import Note
from skill_tools.tools.walking import follow, next_step

OnResult = Callable[[ToolResult], None]


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
        step = NextStep(tool="select_flow", arguments=dict(arguments))
        return follow(step, TOOLS, context, on_result)


def resume(
    run_id: str, *, settings: Settings, on_result: OnResult, on_note: Callable[[Note], None]
) -> ToolResult:
    """Go on with a run from the journal alone, wherever it stopped."""
    with opened(settings, on_note) as context:
        try:
            step = next_step(run_id, context)
        except InputError as error:
            return failed("resume", error)
        return follow(step, TOOLS, context, on_result)
