"""The model servers of a run: reused, deployed, waited for, or the user's own; never taken down."""

from __future__ import annotations

from typing import Any

import pytest

from skill_tools.tool import ToolResult
from tests.access.web_lab import Reply, Request, unused_port
from tests.tools.osmo_bench import KEY, ModelServers, OsmoWorkspace, executable
from tests.tools.workspace_bench import rules_in

VLM = "http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1"
LLM = "http://qwen25-14b.osmo-nims.svc.cluster.local:8000/v1"


@pytest.fixture
def servers(cluster: OsmoWorkspace) -> ModelServers:
    """Give a cluster without model servers, and lead the workspace to it."""
    folder = cluster.folder / "kube"
    folder.mkdir()
    servers = ModelServers(folder)
    cluster.more |= servers.environ
    return servers


def ensure(cluster: OsmoWorkspace, run_id: str, wait_s: float = 0) -> ToolResult:
    """Call the tool."""
    return cluster.workspace.call("ensure_endpoints", run_id=run_id, wait_s=wait_s)


def endpoints(result: ToolResult) -> dict[str, dict[str, Any]]:
    """Return the endpoints of a result by role."""
    listed = result.data["endpoints"]
    assert isinstance(listed, list)
    return {str(each["role"]): each for each in listed if isinstance(each, dict)}


def test_servers_that_serve_are_reused(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """Nothing is deployed, and the run goes on to its storage."""
    servers.set("deployed")
    servers.set("warm")
    result = ensure(cluster, cluster.begin())
    assert result.status == "done", result.problem
    assert {role: (each["url"], each["models"]) for role, each in endpoints(result).items()} == {
        "vlm": (VLM, ["qwen3-vl-model"]),
        "llm": (LLM, ["qwen25-14b-model"]),
    }
    assert servers.calls("installer") == []
    assert "NIM-REUSE" in rules_in(result)
    assert result.next[0].tool == "derive_storage_url"


def test_missing_servers_are_deployed_once_and_waited_for(
    cluster: OsmoWorkspace, servers: ModelServers
) -> None:
    """Without a question, from the allow-list; while they warm up the call says how to wait on."""
    run_id = cluster.begin()
    result = ensure(cluster, run_id)
    assert result.status == "running", result.problem
    assert result.data["deployed"] is True
    assert "NIM-DEPLOY" in rules_in(result)
    assert servers.calls("installer") == ["NIM_SERVICES=qwen3-vl qwen25-14b"]
    (step,) = result.next
    assert (step.tool, step.arguments) == ("ensure_endpoints", {"run_id": run_id})
    assert ensure(cluster, run_id).status == "running"
    servers.set("warm")
    assert cluster.workspace.call(step.tool, **step.arguments).status == "done"
    assert len(servers.calls("installer")) == 1


def test_one_missing_server_leaves_the_other_as_it_is(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """The installer is asked for the whole list; kubectl is only ever asked to get."""
    servers.set("deployed", "qwen3-vl")
    servers.set("warm", "qwen3-vl")
    result = ensure(cluster, cluster.begin())
    assert {role: each["healthy"] for role, each in endpoints(result).items()} == {"vlm": True, "llm": False}
    assert (result.status, len(servers.calls("installer"))) == ("running", 1)
    assert all(call.startswith("get --raw ") for call in servers.calls("kubectl"))


def test_without_a_look_into_the_cluster_the_workers_wait(
    cluster: OsmoWorkspace, servers: ModelServers
) -> None:
    """A machine outside of the cluster deploys nothing on a guess, and says that it couldn't look."""
    (servers.folder / "no_cluster").touch()
    result = ensure(cluster, cluster.begin())
    assert result.status == "done", result.problem
    assert {each["healthy"] for each in endpoints(result).values()} == {None}
    assert servers.calls("installer") == []


def test_no_installer_is_a_clear_error(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """Missing servers, and nobody configured how they are deployed."""
    cluster.more["VDA_NIM_INSTALLER"] = ""
    result = ensure(cluster, cluster.begin())
    assert result.problem
    assert result.problem.code == "engine.no_installer"


def test_a_failed_installer_may_be_called_again(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """What it said is told; the next call runs it again."""
    executable(servers.folder / "install.sh", "echo 'quota exceeded'; exit 3")
    run_id = cluster.begin()
    failed = ensure(cluster, run_id)
    assert failed.problem
    assert "quota exceeded" in failed.problem.message
    assert ModelServers(servers.folder)
    assert ensure(cluster, run_id).data["deployed"] is True


def test_the_users_own_endpoints_are_probed_with_their_keys(
    cluster: OsmoWorkspace, servers: ModelServers
) -> None:
    """A URL as people write it is normalised and asked for its models; nothing is deployed."""
    cluster.more |= {"VLM_API_KEY": f"Authorization: Bearer {KEY}"}

    def models(request: Request) -> Reply:
        good = request.headers.get("authorization") == f"Bearer {KEY}"
        return Reply(body={"data": [{"id": "mine"}]}) if good else Reply(401)

    cluster.web.routes["/v1/models"] = models
    given = f"{cluster.web.host}/v1/chat/completions?x=1"
    result = ensure(cluster, cluster.begin(vlm_url=given, llm_url=cluster.web.url))
    assert result.status == "done", result.problem
    found = endpoints(result)
    assert [found[role]["url"] for role in ("vlm", "llm")] == [f"{cluster.web.url}/v1"] * 2
    assert found["vlm"]["models"] == ["mine"]
    assert servers.calls("kubectl") == servers.calls("installer") == []


def test_a_dead_endpoint_of_the_users_is_an_error(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """It is never replaced by another one in silence."""
    dead = f"http://127.0.0.1:{unused_port()}"
    result = ensure(cluster, cluster.begin(vlm_url=dead))
    assert result.problem
    assert result.problem.code == "engine.endpoint"
    assert dead in result.problem.message
    assert servers.calls("installer") == []


def test_a_key_alone_means_no_endpoint(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """With keys for other services around, the cluster's own servers are used."""
    cluster.more |= {"OPENAI_API_KEY": "sk-made-up", "VLM_API_KEY": "another"}
    servers.set("deployed")
    servers.set("warm")
    assert not any(each["external"] for each in endpoints(ensure(cluster, cluster.begin())).values())
    assert cluster.web.requests == []


def test_the_embedded_engine_needs_none(cluster: OsmoWorkspace, servers: ModelServers) -> None:
    """A run on this machine asks neither kubectl nor installer."""
    run_id = cluster.workspace.begin(cluster.workspace.clip(), engine="local")
    result = ensure(cluster, run_id)
    assert (result.status, result.data["needed"]) == ("done", False)
    assert servers.calls("kubectl") == []
