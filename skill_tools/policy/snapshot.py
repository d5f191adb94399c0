"""What the rules saw, in a form that the journal keeps: with it every decision can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from skill_tools.access.secrets import MASK
from skill_tools.journal import Passed, RunRecord, SubmissionRecord
from skill_tools.policy.rule import Aftermath, Facts, FileFact
from skill_tools.tool import Message, NextStep, Problem

_ALWAYS = {"tool", "arguments", "workspace", "run_id", "passed"}


def snapshot(facts: Facts) -> dict[str, JsonValue]:
    """Return what a call was judged from and the journal would not know otherwise.

    What the run had passed is kept by the calls' numbers. Secrets are left out: where one stood, the journal
    holds the mask.
    """
    seen: dict[str, Any] = {
        "tool": facts.tool,
        "arguments": dict(facts.arguments),
        "workspace": str(facts.workspace),
        "run_id": facts.run.run_id if facts.run else None,
        "passed": dict(facts.passed.numbers) if isinstance(facts.passed, Passed) else {},
        "submissions": [{**vars(record), "values": dict(record.values)} for record in facts.submissions],
        "refusals": facts.refusals,
        "asked": facts.asked,
        "files": {path: vars(file) for path, file in facts.files.items()},
        "places": dict(facts.places),
    }
    return {name: value for name, value in seen.items() if value or name in _ALWAYS}


def snapshot_after(facts: Facts) -> dict[str, JsonValue]:
    """Return what an outcome was judged from, beside what the call was and what came of it."""
    return {
        "arguments": dict(facts.arguments),
        "witness": dict(facts.after.witness) if facts.after else {},
        "files": {path: vars(file) for path, file in facts.files.items()},
    }


def outcome_of(after: Aftermath) -> dict[str, JsonValue]:
    """Return an outcome that no result will show, because a rule refused it."""
    return {
        "data": dict(after.data),
        "messages": [one.model_dump() for one in after.messages],
        "next": [one.model_dump() for one in after.next],
        "problem": after.problem.model_dump() if after.problem else None,
        "running": after.running,
    }


def restored(
    seen: Mapping[str, Any], run: RunRecord | None, data_of: Mapping[int, Mapping[str, Any]]
) -> Facts:
    """Return the facts of a snapshot.

    Args:
        seen: The snapshot.
        run: The run that the call was about.
        data_of: The data of the run's green calls, by number.
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
        files=_files(seen.get("files", {})),
        places=seen.get("places", {}),
    )


def restored_after(facts: Facts, seen: Mapping[str, Any], outcome: Mapping[str, Any]) -> Facts:
    """Return the facts that an outcome was judged from: those of its call, and what came of it."""
    return replace(
        facts,
        arguments=seen["arguments"],
        files=_files(seen["files"]),
        after=_aftermath(outcome, seen["witness"]),
    )


def _files(seen: Mapping[str, Any]) -> dict[str, FileFact]:
    return {path: FileFact(**file) for path, file in seen.items()}


def _aftermath(outcome: Mapping[str, Any], witness: Mapping[str, Any]) -> Aftermath:
    return Aftermath(
        outcome["data"],
        tuple(Message.model_validate(one) for one in outcome["messages"]),
        tuple(NextStep.model_validate(one) for one in outcome["next"]),
        Problem.model_validate(outcome["problem"]) if outcome["problem"] else None,
        running=outcome["running"],
        witness=witness,
    )
