"""Make every decision of a run again, from its journal alone, and compare with what was decided then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skill_tools.journal import Call, Journal, RunRecord
from skill_tools.policy.engine import EVERY_CALL, EVERY_OUTCOME, RUN_SCRIPT_GUARDS, digest, judge
from skill_tools.policy.snapshot import restored, restored_after
from skill_tools.registry import TOOLS
from skill_tools.tool import Closed, Decision


class Verdicts(Closed):
    """What the rules said of one call, then and now, each as `RULE outcome: reason`."""

    call: int
    tool: str
    then: list[str]
    now: list[str]
    policies: list[str]

    @property
    def same(self) -> bool:
        """Tell whether the rules decide as they did."""
        return self.then == self.now


class Replay(Closed):
    """A run's calls judged again; `other_policy` counts decisions that another version of the rules made.

    `run_id` is None for the calls that belong to no run.
    """

    run_id: str | None
    policy: str
    calls: int
    decisions: int
    other_policy: int
    unknown: list[int]
    different: list[Verdicts]

    @property
    def same(self) -> bool:
        """Tell whether every decision was made again just so."""
        return not self.different and not self.unknown


@dataclass(frozen=True)
class _Past:
    """What a call is judged from."""

    run: RunRecord | None
    data_of: Mapping[int, Mapping[str, Any]]


def replay(run_id: str | None, journal: Journal) -> Replay:
    """Judge each call of a run again; without a run, each that belongs to none.

    Raises:
        InputError: the workspace has no such run.
    """
    calls = journal.calls(run_id)
    past = _Past(
        journal.run(run_id) if run_id else None,
        {call.id: call.result.data for call in calls if call.result.ok},
    )
    judged = [call for call in calls if call.seen]
    verdicts = [_again(call, past) for call in judged]
    policies = [policy for one in verdicts for policy in one.policies]
    return Replay(
        run_id=run_id,
        policy=digest(),
        calls=len(calls),
        decisions=len(policies),
        other_policy=sum(policy != digest() for policy in policies),
        unknown=[call.id for call in calls if not call.seen and call.result.decisions],
        different=[one for one in verdicts if not one.same],
    )


def _again(call: Call, past: _Past) -> Verdicts:
    return Verdicts(
        call=call.id,
        tool=call.tool,
        then=[_words(decision) for decision in call.result.decisions],
        now=[_words(decision) for decision in _decided(call, past)],
        policies=[decision.policy for decision in call.result.decisions],
    )


def _decided(call: Call, past: _Past) -> Iterator[Decision]:
    before, after = call.seen.get("before"), call.seen.get("after")
    if before is None:
        return
    facts = restored(before, past.run if _knew(before, past) else None, past.data_of)
    tool = TOOLS.get(call.tool)
    guards = (*EVERY_CALL, *tool.guards) if tool else RUN_SCRIPT_GUARDS
    yield from judge(guards, facts).decisions
    if tool and after is not None:
        facts = restored_after(facts, after, call.seen.get("refused") or _outcome(call))
        yield from judge((*tool.outcome_guards, *EVERY_OUTCOME), facts).decisions


def _knew(seen: Mapping[str, Any], past: _Past) -> bool:
    """Tell whether the call was about a run: the one that begins a run is judged before there is any."""
    return past.run is not None and bool(seen["run_id"] == past.run.run_id)


def _outcome(call: Call) -> Mapping[str, Any]:
    """Return what came of a call, as its result shows it."""
    result = call.result
    return {
        "data": result.data,
        "messages": [one.model_dump() for one in result.messages],
        "next": [one.model_dump() for one in result.next],
        "problem": result.problem.model_dump() if result.problem else None,
        "running": result.status == "running",
    }


def _words(decision: Decision) -> str:
    corrected = json.dumps(decision.corrected.model_dump(), sort_keys=True) if decision.corrected else ""
    return f"{decision.rule} {decision.outcome}: {decision.reason} {corrected}".strip()
