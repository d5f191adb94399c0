"""Model servers: the cluster's own are reused or deployed, others only where the user gave them."""

from __future__ import annotations

from typing import Any

import pytest

from skill_tools.dispatch import run_script
from tests.policy.rule_bench import OSMO_RUN, facts, outcomes
from tests.tools.workspace_bench import Workspace, rules_in

OWN = "http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1"
THEIRS = "https://api.example.com/v1"


def endpoint(url: str = OWN, *, role: str = "vlm", healthy: bool | None = True) -> dict[str, Any]:
    """Return an endpoint as the tool describes it."""
    return {"role": role, "url": url, "external": url != OWN, "healthy": healthy}


def seen(*endpoints: dict[str, Any], deployed: bool = False) -> dict[str, Any]:
    """Return what came of a look at the endpoints."""
    return {"data": {"deployed": deployed, "endpoints": list(endpoints)}}


def decided(rule: str, after: dict[str, Any], **more: Any) -> list[str]:
    """Return the outcomes of a rule on what came of ensure_endpoints."""
    given = facts("ensure_endpoints", run=more.pop("run", OSMO_RUN), after=after, **more)
    return [one.outcome for one in outcomes(rule, given).decisions]


@pytest.mark.breaks("NIM-REUSE")
@pytest.mark.keeps("NIM-REUSE")
def test_healthy_endpoints_are_reused_and_the_result_says_so() -> None:
    """One that serves is named; one that doesn't, one of the user's, and one just deployed are not."""
    assert decided("NIM-REUSE", seen(endpoint(), endpoint(healthy=None, role="llm"))) == ["fix"]
    for after in (
        seen(endpoint(healthy=None)),
        seen(endpoint(THEIRS)),
        seen(endpoint(), deployed=True),
        seen(),
    ):
        assert decided("NIM-REUSE", after) == []


@pytest.mark.breaks("NIM-DEPLOY")
@pytest.mark.keeps("NIM-DEPLOY")
def test_only_the_allow_list_is_deployed() -> None:
    """A deployment is told with the names; a role that is not on the list is refused."""
    assert decided("NIM-DEPLOY", seen(endpoint(healthy=False), deployed=True)) == ["fix"]
    assert decided("NIM-DEPLOY", seen(endpoint(role="embedding"), deployed=True)) == ["deny"]
    assert decided("NIM-DEPLOY", seen(endpoint())) == []


@pytest.mark.breaks("NIM-EXTERNAL-OPT-IN", "NIM-NO-INFER")
@pytest.mark.parametrize("url", [THEIRS, "http://10.0.0.7:8000", "not a url", "api.openai.com"])
@pytest.mark.parametrize("role", ["vlm", "llm"])
def test_an_endpoint_that_nobody_gave_is_refused(role: str, url: str) -> None:
    """Neither a submit nor the endpoints themselves may bring in another server; the values go without."""
    given = facts("submit", run=OSMO_RUN, values={f"{role}_url": url})
    for rule in ("NIM-EXTERNAL-OPT-IN", "NIM-NO-INFER"):
        (decision,) = outcomes(rule, given).decisions
        assert (decision.outcome, decision.facts["urls"]) == ("deny", [url])
        assert decision.corrected
        assert "values" not in decision.corrected.arguments
    assert decided("NIM-NO-INFER", seen(endpoint(THEIRS, role=role))) == ["deny"]


@pytest.mark.breaks("NIM-EXTERNAL-OPT-IN")
@pytest.mark.keeps("NIM-NO-INFER")
def test_another_server_than_the_one_that_was_given_is_refused() -> None:
    """The user's URL is no leave for a second one; nothing was inferred from a key, though."""
    run = OSMO_RUN.model_copy(update={"vlm_url": "https://their.example.com/v1"})
    assert decided("NIM-EXTERNAL-OPT-IN", seen(endpoint(THEIRS)), run=run) == ["deny"]
    assert decided("NIM-NO-INFER", seen(endpoint(THEIRS)), run=run) == []


@pytest.mark.keeps("NIM-EXTERNAL-OPT-IN", "NIM-NO-INFER")
@pytest.mark.parametrize("said", [THEIRS, "api.example.com", f"{THEIRS}/chat/completions"])
def test_the_users_own_endpoint_passes(said: str) -> None:
    """However the URL was written when the run was begun, it is the same server; the cluster's own is too."""
    run = OSMO_RUN.model_copy(update={"vlm_url": said})
    for rule in ("NIM-EXTERNAL-OPT-IN", "NIM-NO-INFER"):
        assert decided(rule, seen(endpoint(said)), run=run) == []
        assert decided(rule, seen(endpoint())) == []
        assert not outcomes(rule, facts("submit", run=None, values={"vlm_url": THEIRS})).decisions


@pytest.mark.breaks("NIM-NEVER-DOWN")
@pytest.mark.parametrize(
    "line",
    [
        "kubectl delete deployment qwen3-vl -n osmo-nims",
        "kubectl -n osmo-nims scale deploy/qwen3-vl --replicas=0",
        "/usr/bin/kubectl scale statefulset qwen25-14b --replicas 0",
        "sudo kubectl delete ns osmo-nims",
        "helm uninstall qwen3-vl",
        "HELM uninstall qwen3-vl",
        "helm -n osmo-nims delete qwen3-vl",
        "oc delete pod qwen3-vl-0",
        "kubectl drain gpu-node-1",
        "bash kubectl scale deploy x",
    ],
)
def test_a_line_that_takes_an_endpoint_down_is_refused(workspace: Workspace, line: str) -> None:
    """Whatever stands around it; no process is started for any such line."""
    result = run_script(line, settings=workspace.settings)
    assert (result.status, rules_in(result)) == ("denied", ["NIM-NEVER-DOWN"])


@pytest.mark.breaks("NIM-NEVER-DOWN")
@pytest.mark.keeps("NIM-NEVER-DOWN")
def test_an_endpoint_that_served_is_still_there_afterwards() -> None:
    """One that is not even named any more was taken down; one that only fails now is deployed again."""
    before = {"ensure_endpoints": {"endpoints": [endpoint()]}}
    assert decided("NIM-NEVER-DOWN", seen(endpoint(role="llm", url=THEIRS)), passed=before) == ["deny"]
    assert decided("NIM-NEVER-DOWN", seen(endpoint(healthy=False), deployed=True), passed=before) == []
    assert decided("NIM-NEVER-DOWN", seen(endpoint())) == []


@pytest.mark.keeps("NIM-NEVER-DOWN")
@pytest.mark.parametrize("line", ["kubectl get pods", "osmo workflow submit delete.yaml", "osmo pool list"])
def test_other_lines_are_none_of_this_rules_business(line: str) -> None:
    """Looking takes nothing down, and a word alone is no command."""
    assert not outcomes("NIM-NEVER-DOWN", facts("run_script", words=line.split())).decisions
