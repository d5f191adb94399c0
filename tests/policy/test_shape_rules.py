"""The one shape of a submit, its caches, its one retry, its platform, and where its storage is from."""

from __future__ import annotations

from typing import Any

import pytest

from skill_tools.dispatch import run_script
from skill_tools.policy.submission import misshapen
from tests.policy.conftest import Guarded
from tests.policy.rule_bench import LOCAL_RUN, OSMO_RUN, facts, outcomes
from tests.tools.workspace_bench import Workspace, rules_in

FILE = "assets/configs/osmo/auto_labeling.yaml"
SUBMIT = f"osmo workflow submit {FILE}"
WRONG = {
    "no pairs": f"{SUBMIT} --pool p --set-string",
    "no --set-string": f"{SUBMIT} --pool p",
    "repeated": f"{SUBMIT} --pool p --set-string a=b --set-string c=d",
    "--set beside": f"{SUBMIT} --pool p --set-string a=b --set c=d",
    "--set alone": f"{SUBMIT} --pool p --set a=b",
    "--set before": f"{SUBMIT} --set c=d --pool p --set-string a=b",
    "--set-env beside": f"{SUBMIT} --pool p --set-env A=b --set-string a=b",
    "glued": f"{SUBMIT} --pool p --set-string=a=b",
    "no pair": f"{SUBMIT} --pool p --set-string a=b loose",
    "twice the name": f"{SUBMIT} --pool p --set-string a=b a=c",
    "no pool": f"{SUBMIT} --set-string a=b",
    "pool left open": f"{SUBMIT} --pool --set-string a=b",
    "two files": f"{SUBMIT} other.yaml --pool p --set-string a=b",
    "another option": f"{SUBMIT} --pool p --priority HIGH --set-string a=b",
    "no file": "osmo workflow submit --pool p --set-string a=b",
    "nothing": "osmo workflow submit",
}


@pytest.mark.breaks("SUBMIT-SHAPE")
@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_misshapen_submit_is_answered_with_the_right_one(guarded: Guarded, line: str) -> None:
    """The refusal holds the whole right command, from the guard, which passes, and the call that sends it."""
    result = run_script(line, settings=guarded.workspace.settings)
    assert (result.status, rules_in(result)) == ("denied", ["SUBMIT-SHAPE"])
    assert result.problem
    words = result.problem.expected.split()
    assert words[:3] == ["osmo", "workflow", "submit"]
    assert misshapen(words) == ""
    assert {f"{name}={value}" for name, value in guarded.values.items()} <= {*words}
    assert (result.next[0].tool, result.next[0].arguments) == ("submit", {"run_id": guarded.run_id})
    right = run_script(f"{result.problem.expected} --dry-run", settings=guarded.workspace.settings)
    assert (right.ok, rules_in(right)) == (True, [])


@pytest.mark.breaks("SUBMIT-SHAPE")
def test_without_a_run_the_form_is_shown(workspace: Workspace) -> None:
    """Nobody's values are known, so the refusal names each that is needed."""
    result = run_script(f"{SUBMIT} --pool p --set a=b", settings=workspace.settings)
    assert result.problem
    assert "storage_url=…" in result.problem.expected
    assert result.next == []


@pytest.mark.keeps("SUBMIT-SHAPE")
def test_the_right_shape_goes_through_the_guarded_tool(guarded: Guarded) -> None:
    """The line that a dry run shows passes as it stands."""
    shown = guarded.workspace.call("submit", run_id=guarded.run_id, dry_run=True)
    line = f"{shown.data['workflows'][0]['command']} --dry-run"
    again = run_script(line, settings=guarded.workspace.settings)
    assert (again.ok, again.tool, again.data["workflows"]) == (True, "submit", shown.data["workflows"])


@pytest.mark.breaks("SUBMIT-EXPLICIT-CACHE")
@pytest.mark.parametrize(
    "lacking", [["cosmos_model_cache_url"], ["cosmos_model_cache_url", "auto_labeling_model_cache_url"]]
)
def test_cache_urls_that_were_left_out_are_put_in(guarded: Guarded, lacking: list[str]) -> None:
    """The guarded URLs are passed explicitly, and the result says so."""
    values = guarded.with_values(**dict.fromkeys(lacking))
    result = guarded.workspace.call("submit", run_id=guarded.run_id, values=values, dry_run=True)
    assert (result.ok, rules_in(result)) == (True, ["SUBMIT-EXPLICIT-CACHE"])
    given = facts("submit", values={"storage_url": "s3://lab"})
    judged = outcomes("SUBMIT-EXPLICIT-CACHE", given)
    assert judged.arguments["values"]["cosmos_model_cache_url"] == "s3://lab/data/models/cosmos_transfer"


@pytest.mark.keeps("SUBMIT-EXPLICIT-CACHE")
def test_values_that_name_their_caches_stay_as_they_are(guarded: Guarded) -> None:
    """Nothing is added to whole values, nor made of a storage that is a placeholder."""
    assert not outcomes("SUBMIT-EXPLICIT-CACHE", facts("submit", values=guarded.values)).decisions
    assert not outcomes("SUBMIT-EXPLICIT-CACHE", facts("submit", values={"storage_url": "<url>"})).decisions
    assert not outcomes("SUBMIT-EXPLICIT-CACHE", facts("submit")).decisions


@pytest.mark.breaks("SUBMIT-RETRY-ONCE")
@pytest.mark.keeps("SUBMIT-RETRY-ONCE")
def test_a_refused_submit_is_tried_once_more() -> None:
    """After the first refusal it may be tried again; after the second another run is begun."""
    for refusals in (0, 1):
        assert not outcomes("SUBMIT-RETRY-ONCE", facts("submit", seen={"refusals": refusals})).decisions
    (decision,) = outcomes("SUBMIT-RETRY-ONCE", facts("submit", seen={"refusals": 2})).decisions
    assert decision.outcome == "deny"
    assert decision.corrected
    assert decision.corrected.tool == "select_flow"
    assert decision.corrected.arguments["clips"] == list(LOCAL_RUN.clips)
    assert not outcomes("SUBMIT-RETRY-ONCE", facts("submit", dry_run=True, seen={"refusals": 2})).decisions


def guard(*, ok: bool) -> dict[str, Any]:
    """Return what the guard saw of the platforms."""
    return {"data": {"checks": [{"name": "platform of every task", "ok": ok, "detail": "gpu_large"}]}}


@pytest.mark.breaks("SCHED-PLATFORM")
@pytest.mark.keeps("SCHED-PLATFORM")
def test_a_task_on_another_platform_stops_the_run() -> None:
    """The resource that asks for another one is named."""
    (decision,) = outcomes("SCHED-PLATFORM", facts("check_submission", after=guard(ok=False))).decisions
    assert (decision.outcome, decision.facts) == ("deny", {"resources": ["gpu_large"]})
    assert not outcomes("SCHED-PLATFORM", facts("check_submission", after=guard(ok=True))).decisions


@pytest.mark.breaks("STORAGE-DERIVE")
def test_a_storage_that_was_not_derived_is_asked_about() -> None:
    """A value that nobody derived is a guess; a storage that can't be derived is the user's to name."""
    (guess,) = outcomes("STORAGE-DERIVE", facts("submit", values={"storage_url": "s3://guess"})).decisions
    assert (guess.outcome, guess.corrected and guess.corrected.tool) == ("ask", "derive_storage_url")
    asked = {"problem": "needs_input.STORAGE-DERIVE", "said": "Which storage URL shall the clips go to?"}
    (question,) = outcomes("STORAGE-DERIVE", facts("derive_storage_url", run=OSMO_RUN, after=asked)).decisions
    assert (question.outcome, question.reason) == ("ask", asked["said"])


@pytest.mark.keeps("STORAGE-DERIVE")
def test_a_derived_storage_needs_no_question() -> None:
    """Once it was derived, and where no value names one, nothing is asked."""
    passed = {"derive_storage_url": {"storage_url": "s3://lab"}}
    assert not outcomes(
        "STORAGE-DERIVE", facts("submit", passed=passed, values={"storage_url": "s3://lab"})
    ).decisions
    assert not outcomes("STORAGE-DERIVE", facts("submit")).decisions
    assert not outcomes("STORAGE-DERIVE", facts("derive_storage_url", after={"data": {}})).decisions


@pytest.mark.breaks("STORAGE-NO-STALE", "INPUT-KEEP")
def test_a_storage_or_data_set_of_elsewhere_is_not_derived_from(workspace: Workspace) -> None:
    """A left-over prefix on the embedded engine and a data set that the user did not name are refused."""
    run_id = workspace.begin(workspace.clip())
    left_over = workspace.call("derive_storage_url", run_id=run_id, storage_url="s3://left/over")
    assert (left_over.status, rules_in(left_over)) == ("denied", ["STORAGE-NO-STALE"])
    assert workspace.follow(left_over.next[0]).data["scheme"] == "file"
    swapped = workspace.call("derive_storage_url", run_id=run_id, dataset_url="s3://lab/datasets/other")
    assert (swapped.status, rules_in(swapped)) == ("denied", ["INPUT-KEEP"])
    assert workspace.follow(swapped.next[0]).ok
