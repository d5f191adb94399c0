"""Ask the rules about a call and shape what they find into decisions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from skill_tools.policy import (
    endpoints,
    flow,
    inputs,
    messages,
    order,
    output,
    results,
    secrets,
    submission,
    watching,
)
from skill_tools.policy.rule import Facts, Rule
from skill_tools.tool import Decision

FAMILIES = (flow, inputs, messages, order, secrets, endpoints, submission, watching, results, output)
RULES: Mapping[str, Rule] = {rule.id: rule for family in FAMILIES for rule in family.RULES}

EVERY_CALL = ("SECRET-SILENT",)
"""Asked before each call, beside the tool's own guards."""
EVERY_OUTCOME = ("ASK-ONLY-BLOCKED", "ASK-NEVER")
"""Asked about what comes of each call."""
RUN_SCRIPT_GUARDS = ("SECRET-SILENT", "NIM-NEVER-DOWN", "SUBMIT-SHAPE")
"""Asked about a command line before it becomes a call, which has guards of its own."""


@cache
def digest() -> str:
    """Return what names this policy among its versions: a digest of the rules' own source."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


@dataclass(frozen=True)
class Judgement:
    """Decisions that are more than a nod, and the arguments as the policy wants them."""

    decisions: tuple[Decision, ...]
    arguments: Mapping[str, Any]


def judge(guards: Iterable[str], facts: Facts, *, clock: Callable[[], float] = time.time) -> Judgement:
    """Ask each rule in turn; what one fixes is seen by the next.

    Every rule is asked, also behind a denial, so that an agent hears of all that is wrong at once.
    """
    decisions = []
    for rule_id in dict.fromkeys(guards):
        rule = RULES[rule_id]
        finding = rule.check(facts)
        if finding is None:
            continue
        decisions.append(
            Decision(
                rule=rule.id,
                outcome=finding.outcome or rule.outcome,
                tool=facts.tool,
                reason=finding.reason,
                facts=dict(finding.facts),
                corrected=finding.corrected,
                policy=digest(),
                at=clock(),
            )
        )
        facts = replace(facts, arguments={**facts.arguments, **finding.fixed})
    return Judgement(tuple(decisions), facts.arguments)
