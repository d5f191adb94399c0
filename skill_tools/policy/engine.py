"""Ask the rules about a call and shape what they find into decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from skill_tools.policy import flow, inputs, order, output, submission
from skill_tools.policy.rule import Facts, Rule
from skill_tools.tool import Decision

RULES: Mapping[str, Rule] = {
    rule.id: rule for family in (flow, inputs, order, submission, output) for rule in family.RULES
}


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
    for rule_id in guards:
        rule = RULES[rule_id]
        finding = rule.check(facts)
        if finding is None:
            continue
        decisions.append(
            Decision(
                rule=rule.id,
                outcome=rule.outcome,
                tool=facts.tool,
                reason=finding.reason,
                facts=dict(finding.facts),
                corrected=finding.corrected,
                at=clock(),
            )
        )
        facts = replace(facts, arguments={**facts.arguments, **finding.fixed})
    return Judgement(tuple(decisions), facts.arguments)
