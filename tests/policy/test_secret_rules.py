"""Keys: asked for only when missing, judged by what a registry answers, kept while they are good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mock_osmo.bench import MockOsmo
from tests.policy.rule_bench import OSMO_RUN, facts, outcomes
from tests.tools.workspace_bench import Workspace, rules_in


def check(name: str, detail: str, status: str = "ok") -> dict[str, Any]:
    """Return a check as preflight tells it."""
    return {"name": name, "status": status, "detail": detail, "remedy": ""}


def decided(rule: str, *checks: dict[str, Any]) -> list[str]:
    """Return the outcomes of a rule on a preflight's checks."""
    given = facts("preflight", run=OSMO_RUN, after={"data": {"checks": list(checks)}})
    return [one.outcome for one in outcomes(rule, given).decisions]


@pytest.mark.breaks("SECRET-REQUIRED")
def test_a_missing_token_is_asked_for_in_one_line(tmp_path: Path, mock_osmo: MockOsmo) -> None:
    """The decision names what is missing and nothing else, and the corrected call is the same one again."""
    workspace = Workspace(tmp_path, dict(mock_osmo.environ))
    run_id = workspace.begin(workspace.clip(), engine="osmo")
    workspace.call("estimate_time", run_id=run_id)
    result = workspace.call("preflight", run_id=run_id, no_probe=True)
    assert (result.status, result.exit_code, rules_in(result)) == ("needs_input", 3, ["SECRET-REQUIRED"])
    (decision,) = result.decisions
    assert (decision.outcome, decision.facts["missing"]) == ("ask", ["HF_TOKEN"])
    assert decision.corrected
    assert decision.corrected.tool == "preflight"
    assert "\n" not in decision.reason


@pytest.mark.keeps("SECRET-REQUIRED")
@pytest.mark.breaks("SECRET-REFRESH")
@pytest.mark.keeps("SECRET-PREFIX")
@pytest.mark.parametrize("token", ["hf_" + "a" * 30, "plain-token-without-any-prefix"])
def test_a_key_of_any_form_is_taken_and_kept(tmp_path: Path, mock_osmo: MockOsmo, token: str) -> None:
    """It is stored the first time; the second preflight keeps it and notes so."""
    workspace = Workspace(tmp_path, {**mock_osmo.environ, "HF_TOKEN": token})
    run_id = workspace.begin(workspace.clip(), engine="osmo")
    workspace.call("estimate_time", run_id=run_id)
    first = workspace.call("preflight", run_id=run_id, no_probe=True)
    assert not {"SECRET-REQUIRED", "SECRET-PREFIX", "SECRET-REFRESH"} & {*rules_in(first)}, first.problem
    again = workspace.call("preflight", run_id=run_id, no_probe=True)
    (kept,) = [one for one in again.decisions if one.rule == "SECRET-REFRESH"]
    assert (kept.outcome, kept.facts) == ("note", {"kept": ["hf_token"], "refresh": False})


@pytest.mark.keeps("SECRET-REFRESH")
def test_a_credential_that_was_stored_or_replaced_needs_no_note() -> None:
    """Only what was kept is noted."""
    assert decided("SECRET-REFRESH", check("credential hf_token", "replaced from HF_TOKEN")) == []
    assert decided("SECRET-REFRESH", check("hub", "kept as it is")) == []


@pytest.mark.breaks("SECRET-PREFIX")
@pytest.mark.parametrize(
    "detail",
    [
        "the prefix nvapi- was expected",
        "unsupported prefix sk-",
        "rejected: this kind of key is not NGC's",
        "the key must start with nvapi-",
        "hf_ token required",
    ],
)
def test_a_preflight_that_judges_a_key_by_its_looks_is_refused(detail: str) -> None:
    """What a key is worth is for its registry to say."""
    assert decided("SECRET-PREFIX", check("ngc scope: org", detail, "failed")) == ["deny"]


@pytest.mark.keeps("SECRET-PREFIX")
def test_what_a_registry_answered_is_no_judgement_by_looks() -> None:
    """401 of a registry, and a warning in any words, stand."""
    assert (
        decided("SECRET-PREFIX", check("image: nvcr.io/x:1", "registry access failure: 401", "failed")) == []
    )
    assert (
        decided("SECRET-PREFIX", check("note", "keys often have the prefix nvapi-, not required", "ok")) == []
    )


@pytest.mark.breaks("SECRET-EVIDENCE")
@pytest.mark.keeps("SECRET-EVIDENCE")
def test_a_refused_image_is_told_by_its_ref() -> None:
    """401 and 403 become a note with the refs that were probed; a missing tag is another matter."""
    denied = check("image: nvcr.io/nvidia/x:1", "registry access failure on this image: 403", "failed")
    given = facts(
        "preflight", run=OSMO_RUN, after={"data": {"checks": [denied]}, "problem": "engine.preflight"}
    )
    (decision,) = outcomes("SECRET-EVIDENCE", given).decisions
    assert (decision.outcome, decision.facts) == ("note", {"refs": ["nvcr.io/nvidia/x:1"]})
    assert decided("SECRET-EVIDENCE", check("image: x:1", "there is no such tag: 404", "failed")) == []
