"""Each rule of the policy has tests that break and keep it, and a tool that asks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skill_tools.pages import marked
from skill_tools.policy.engine import RULES
from skill_tools.registry import TOOLS
from tests.policy.examples import EXAMPLES, GOLDEN, decided

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("kind", ["breaks", "keeps"])
def test_every_rule_is_broken_and_kept_by_a_test(kind: str) -> None:
    """A rule without both tests is a sentence that nobody holds; a mark for no rule is a mistake."""
    assert set(marked(HERE, kind)) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_the_examples_are_decided_to_the_letter(rule: str) -> None:
    """Outcome, reason, facts, corrected call: all that an agent reads; the first example breaks its rule."""
    given = EXAMPLES[rule]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[rule]
    assert {title: decided(rule, one) for title, one in given.items()} == golden, "run `make pages`"
    assert next(iter(golden.values()))


def test_no_other_rule_has_examples() -> None:
    """Each rule has its examples, and there are none of a rule that is gone."""
    assert set(json.loads(GOLDEN.read_text(encoding="utf-8"))) == set(EXAMPLES) == set(RULES)


def test_every_guard_is_a_rule_and_every_rule_guards_something() -> None:
    """Tools name rules that exist, and no rule stands unasked."""
    asked = {rule for tool in TOOLS.values() for rule in (*tool.guards, *tool.outcome_guards)}
    assert asked == set(RULES)


def test_every_tool_keeps_secrets_silent() -> None:
    """The first thing that is asked about any call is whether a secret stands in it."""
    assert {tool.guards[0] for tool in TOOLS.values()} == {"SECRET-SILENT"}


def test_a_tool_that_changes_something_for_a_run_asks_for_the_time_overview() -> None:
    """Whatever changes a storage or a cluster for a run comes after the overview; ending a run may always.

    `run` changes things by the others' steps alone, and each of those asks.
    """
    changing = {name for name, tool in TOOLS.items() if tool.effects.changes_remote}
    asking = {name for name, tool in TOOLS.items() if "ETA-FIRST" in tool.guards}
    assert changing - {"cancel", "run"} == asking


def test_rules_say_what_they_hold_in_one_sentence() -> None:
    """A rule's sentence is for people: one line with a full stop."""
    for rule in RULES.values():
        assert rule.sentence.endswith(".")
        assert "\n" not in rule.sentence
        assert rule.outcome in {"deny", "ask", "fix", "note"}
