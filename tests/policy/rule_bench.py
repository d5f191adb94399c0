"""Facts made by hand, for tests that ask one rule alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skill_tools.journal import RunRecord
from skill_tools.policy.engine import Judgement, judge
from skill_tools.policy.rule import Aftermath, Facts
from skill_tools.tool import Message, NextStep, Problem

LOCAL_RUN = RunRecord(
    run_id="run-0a1b2c3d",
    created=1.0,
    flow="augmentation_and_al",
    workflow_file="assets/configs/osmo/augmentation_and_al.yaml",
    engine="local",
    engine_reason="asked for",
    cookbook="city_traffic",
    clips=("/clips/car.mp4",),
)
OSMO_RUN = LOCAL_RUN.model_copy(update={"engine": "osmo"})
DEMO_RUN = LOCAL_RUN.model_copy(update={"clips": (), "demo": True})


def facts(
    tool: str,
    *,
    run: RunRecord | None = LOCAL_RUN,
    passed: Mapping[str, Mapping[str, Any]] | None = None,
    after: Mapping[str, Any] | None = None,
    seen: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Facts:
    """Return the facts of a call; `after` is an aftermath in short, `seen` are further facts."""
    given = {"run_id": run.run_id, **arguments} if run else arguments
    return Facts(
        tool,
        given,
        Path("/clips"),
        run,
        passed or {},
        after=aftermath(**after) if after else None,
        **seen or {},
    )


def aftermath(  # noqa: PLR0913 - each is a part of what a call brings about
    data: Mapping[str, Any] | None = None,
    *,
    messages: list[str] | None = None,
    next: list[str] | None = None,  # noqa: A002 - named as the field is
    problem: str = "",
    said: str = "",
    running: bool = False,
    witness: Mapping[str, Any] | None = None,
) -> Aftermath:
    """Return what came of a call: messages by their text, calls by their tools, a problem by its code."""
    return Aftermath(
        data or {},
        tuple(
            Message(kind="media" if text.startswith("MEDIA:") else "text", body=text)
            for text in messages or ()
        ),
        tuple(NextStep(tool=tool) for tool in next or ()),
        Problem(code=problem, message=said or problem) if problem else None,
        running=running,
        witness=witness or {},
    )


def outcomes(rule: str, given: Facts) -> Judgement:
    """Ask one rule."""
    return judge([rule], given)
