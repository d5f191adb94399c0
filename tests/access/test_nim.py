"""The cluster's model servers are looked at with kubectl and deployed by the owner's installer."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.access.nim import Nims
from skill_tools.errors import EngineError
from tests.tools.osmo_bench import KEY, TOKEN, ModelServers, executable


@pytest.fixture
def servers(tmp_path: Path) -> ModelServers:
    """Give a cluster without model servers."""
    return ModelServers(tmp_path)


def nims(servers: ModelServers, **more: str) -> Nims:
    """Return the cluster as the skill sees it."""
    return Nims.from_environment({"PATH": "/usr/bin:/bin", **servers.environ, **more})


def test_models_come_through_the_service_proxy(servers: ModelServers) -> None:
    """A warm server lists its models; one that is not there or not ready lists none."""
    servers.set("deployed")
    servers.set("warm", "qwen3-vl")
    assert nims(servers).models("vlm") == ("qwen3-vl-model",)
    assert nims(servers).models("llm") == ()
    (asked, _) = servers.calls("kubectl")
    path = "/api/v1/namespaces/osmo-nims/services/http:qwen3-vl:8000/proxy/v1/models"
    assert asked == f"get --raw {path}"


def test_nobody_can_look_without_kubectl_or_cluster(servers: ModelServers) -> None:
    """No kubectl, and a cluster that can't be reached, are no sign that a server is missing."""
    assert nims(servers, VDA_KUBECTL="/nowhere/kubectl").models("vlm") is None
    (servers.folder / "no_cluster").touch()
    assert nims(servers).models("vlm") is None


def test_an_answer_that_is_no_list_is_no_model(servers: ModelServers) -> None:
    """Garbage from a server doesn't count as healthy."""
    for said in ("<html>", "[]", '{"data": null}', '{"data": [1, {"name": "x"}]}'):
        executable(servers.folder / "kubectl", f"echo '{said}'")
        assert nims(servers).models("vlm") == ()


def test_the_installer_is_given_the_allow_list_and_the_keys_by_their_names(servers: ModelServers) -> None:
    """It deploys both servers and no others; a borrowed NGC key reaches it under NGC's name."""
    nims(servers, OPENAI_API_KEY=KEY, HF_TOKEN=TOKEN, NIM_SERVICES="everything").deploy()
    assert servers.calls("installer") == [
        f"HF_TOKEN={TOKEN}",
        f"NGC_API_KEY={KEY}",
        "NIM_SERVICES=qwen3-vl qwen25-14b",
    ]


def test_without_an_installer_it_says_what_to_configure(servers: ModelServers) -> None:
    """The error names the variable, and the way without the cluster's own servers."""
    with pytest.raises(EngineError, match="VDA_NIM_INSTALLER") as caught:
        nims(servers, VDA_NIM_INSTALLER="/nowhere/install.sh").deploy()
    assert caught.value.code == "engine.no_installer"
    assert "vlm_url" in caught.value.remedy


def test_a_failing_installer_is_quoted(servers: ModelServers) -> None:
    """Its exit code and last words are in the error."""
    executable(servers.folder / "install.sh", "echo 'no GPU is left' >&2; exit 7")
    with pytest.raises(EngineError, match="ended with 7: no GPU is left"):
        nims(servers).deploy()
