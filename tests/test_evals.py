"""The evals: enough of each kind, well formed, and every one of them true of the tools."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals.check import Eval, Mismatch, check, load, main
from skill_tools.install import SKILL_NAME
from tests.tools.workspace_bench import REPOSITORY

KINDS = {"explicit", "implicit", "contextual", "negative"}
FIELDS = {"id", "kind", "prompt", "expected_skill", "expected_script", "expected_output", "steps"}


def test_there_are_enough_evals_of_each_kind() -> None:
    """At least 45, at least 12 of them near misses, each with an id of its own."""
    evals = load()
    kinds = Counter(one["kind"] for one in evals)
    assert len(evals) >= 45
    assert set(kinds) == KINDS
    assert kinds["negative"] >= 12
    assert len({one["id"] for one in evals}) == len({one["prompt"] for one in evals}) == len(evals)


@pytest.mark.parametrize("one", load(), ids=lambda one: one["id"])
def test_each_eval_holds(one: Eval, tmp_path: Path) -> None:
    """What an agent should do for the prompt is possible, and ends as the eval says."""
    assert set(one) >= FIELDS
    negative = one["kind"] == "negative"
    assert one["expected_skill"] == (None if negative else SKILL_NAME)
    assert negative or one["steps"]
    assert not negative or one["steps"] in ([], [{"means": None}])
    check(one, tmp_path)


@pytest.mark.parametrize(
    "step",
    [
        {"tool": "select_flow", "arguments": {"request": "$prompt"}, "expect": {"data": {"flow": "e2e"}}},
        {"tool": "poll", "arguments": {"run_id": "run-00000000"}},
        {"script": "rm -rf media"},
        {"means": "e2e"},
    ],
)
def test_an_eval_that_is_not_true_is_caught(step: dict[str, Any], tmp_path: Path) -> None:
    """A wrong flow, an error where none is expected, a refusal or a wrong meaning fails with its place."""
    one = {"id": "wrong", "prompt": "Label my source clips.", "steps": [step]}
    with pytest.raises(Mismatch, match="wrong, step 1"):
        check(one, tmp_path)


def test_the_command_prints_a_line_an_eval(capsys: pytest.CaptureFixture[str]) -> None:
    """`make evals` names what it checked and how many hold."""
    assert main(["explicit-tools-list", "negative-train"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 evals hold"


def test_an_id_that_is_none_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped id is told and leaves with 2, where checking nothing would look like all is well."""
    assert main(["explicit-tools-list", "explicit-tool-list"]) == 2
    assert "no eval explicit-tool-list" in capsys.readouterr().err


def test_the_trigger_set_is_half_near_misses() -> None:
    """Twenty queries: ten that are ours, ten that only sound like it."""
    found = json.loads((REPOSITORY / "evals" / "trigger_queries.json").read_text(encoding="utf-8"))
    assert found["skill_name"] == SKILL_NAME
    assert Counter(query["should_trigger"] for query in found["queries"]) == {True: 10, False: 10}
    assert len({query["query"] for query in found["queries"]}) == 20
