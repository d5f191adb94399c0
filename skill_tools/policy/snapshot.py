"""What the rules saw, in a form that the journal keeps: with it every decision can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter

from skill_tools.access.secrets import MASK
from skill_tools.journal import RunRecord, SubmissionRecord
from skill_tools.policy.rule import Aftermath, Facts, FileFact
from skill_tools.tool import Message, NextStep, Problem

_JSON: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def snapshot(facts: Facts, numbers: Mapping[str, int]) -> dict[str, JsonValue]:
    """Return what the journal would not know otherwise; `numbers` are the passed calls', by tool.

    Secrets are left out: where one stood, the journal holds the mask.
    """
    seen: dict[str, Any] = {
        "tool": facts.tool,
        "arguments": facts.arguments,
        "workspace": str(facts.workspace),
        "run_id": facts.run.run_id if facts.run else None,
        "passed": dict(numbers),
    }
    if facts.submissions:
        seen["submissions"] = [asdict(record) for record in facts.submissions]
    if facts.refusals:
        seen["refusals"] = facts.refusals
    if facts.asked:
        seen["asked"] = facts.asked
    if facts.files:
        seen["files"] = {path: asdict(file) for path, file in facts.files.items()}
    if facts.places:
        seen["places"] = dict(facts.places)
    if facts.after is not None:
        seen["witness"] = facts.after.witness
    return _JSON.validate_python(seen)


def outcome_of(after: Aftermath) -> dict[str, JsonValue]:
    """Return an outcome that no result will show, because a rule refused it."""
    return _JSON.validate_python(
        {
            "data": after.data,
            "messages": [one.model_dump() for one in after.messages],
            "next": [one.model_dump() for one in after.next],
            "problem": after.problem.model_dump() if after.problem else None,
            "running": after.running,
        }
    )


def restored(
    seen: Mapping[str, Any],
    run: RunRecord | None,
    data_of: Mapping[int, Mapping[str, Any]],
    outcome: Mapping[str, Any] | None = None,
) -> Facts:
    """Return the facts of a snapshot.

    Args:
        seen: The snapshot.
        run: The run that the call was about.
        data_of: The data of the run's green calls, by number.
        outcome: What came of the call, where the facts are those behind it.
    """
    return Facts(
        tool=seen["tool"],
        arguments=seen["arguments"],
        workspace=Path(seen["workspace"]),
        run=run,
        passed={tool: data_of[number] for tool, number in seen["passed"].items()},
        submissions=tuple(SubmissionRecord(**record) for record in seen.get("submissions", ())),
        secrets=frozenset({MASK}),
        refusals=seen.get("refusals", 0),
        asked=seen.get("asked", ""),
        files={path: FileFact(**file) for path, file in seen.get("files", {}).items()},
        places=seen.get("places", {}),
        after=_aftermath(outcome, seen.get("witness", {})) if outcome is not None else None,
    )


def _aftermath(outcome: Mapping[str, Any], witness: Mapping[str, Any]) -> Aftermath:
    return Aftermath(
        outcome["data"],
        tuple(Message.model_validate(one) for one in outcome["messages"]),
        tuple(NextStep.model_validate(one) for one in outcome["next"]),
        Problem.model_validate(outcome["problem"]) if outcome["problem"] else None,
        running=outcome["running"],
        witness=witness,
    )
