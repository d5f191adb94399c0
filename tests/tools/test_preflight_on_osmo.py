"""Preflight on OSMO: secrets, pool and platform, images, hub and scope, tolerations, storage."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.access.web_lab import Reply, Request, unused_port
from tests.mock_osmo.service.mock_state import pool
from tests.tools.osmo_bench import KEY, TOKEN, OsmoWorkspace, checks
from tests.tools.workspace_bench import everything_in, rules_in


def test_a_missing_token_is_asked_for_and_nothing_is_set(cluster: OsmoWorkspace) -> None:
    """Without a token here or in OSMO the run stops with one question that names the variable."""
    result = cluster.preflight(run_id=cluster.begin())
    assert result.status == "needs_input"
    assert result.problem
    assert result.problem.code == "needs_input.SECRET-REQUIRED"
    assert "HF_TOKEN" in result.problem.message
    assert "SECRET-REQUIRED" in rules_in(result)
    assert not cluster.mock.asked("credential", "set")


def test_the_script_says_what_is_missing_in_one_line(cluster: OsmoWorkspace) -> None:
    """The documented command line prints `USER_INPUT_REQUIRED:` and leaves with 3."""
    done = cluster.workspace.vda("script", "bash scripts/preflight_credentials.sh --no-probe")
    assert done.returncode == 3
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("USER_INPUT_REQUIRED:")]
    assert "HF_TOKEN" in line


def test_keys_are_stored_and_no_process_is_handed_one(cluster: OsmoWorkspace) -> None:
    """A token and a borrowed key become OSMO's two credentials, without a trace anywhere else."""
    cluster.more |= {"HUGGING_FACE_HUB_TOKEN": TOKEN, "OPENAI_API_KEY": KEY}
    result = cluster.preflight(run_id=cluster.begin(), no_probe=True)
    assert result.ok, result.problem
    assert cluster.stored["hf_token"]["payload"] == {"token": TOKEN}
    assert cluster.stored["nvcr_io"]["payload"] == {
        "registry": "nvcr.io",
        "username": "$oauthtoken",
        "auth": KEY,
    }
    assert result.data["credentials"] == ["hf_token", "nvcr_io"]
    told = json.dumps([result.model_dump(mode="json"), cluster.mock.calls]).encode()
    for text in (told, everything_in(cluster.workspace.root)):
        assert TOKEN.encode() not in text
        assert KEY.encode() not in text


def test_a_credential_is_kept_until_its_key_is_new_or_a_refresh_is_asked_for(cluster: OsmoWorkspace) -> None:
    """The same token is stored once; another one replaces it; `refresh` stores it again."""
    cluster.more["HF_TOKEN"] = TOKEN
    run_id = cluster.begin()
    assert checks(cluster.preflight(run_id=run_id, no_probe=True))["credential hf_token"].startswith(
        "ok: stored"
    )
    before = len(cluster.mock.calls)
    kept = cluster.preflight(run_id=run_id, no_probe=True)
    assert checks(kept)["credential hf_token"].endswith("kept as it is")
    assert "SECRET-REFRESH" in rules_in(kept)
    assert [call for call in cluster.mock.calls[before:] if call[:2] == ["credential", "set"]] == []
    cluster.more["HF_TOKEN"] = f"{TOKEN}2"
    assert "replaced" in checks(cluster.preflight(run_id=run_id, no_probe=True))["credential hf_token"]
    assert cluster.stored["hf_token"]["payload"] == {"token": f"{TOKEN}2"}
    again = cluster.preflight(run_id=run_id, no_probe=True, refresh=True)
    assert "replaced" in checks(again)["credential hf_token"]
    assert cluster.stored.keys() == {"hf_token"}


def test_what_osmo_has_already_needs_no_key_here(cluster: OsmoWorkspace) -> None:
    """With the credential stored by somebody, nothing is asked and nothing is set."""
    cluster.mock.engine().set_credential("hf_token", "GENERIC", {"token": "theirs"}, replace=False)
    before = len(cluster.mock.asked("credential", "set"))
    result = cluster.preflight(run_id=cluster.begin(), no_probe=True)
    assert result.ok, result.problem
    assert len(cluster.mock.asked("credential", "set")) == before
    assert cluster.stored["hf_token"]["payload"] == {"token": "theirs"}


def test_a_token_file_is_found(cluster: OsmoWorkspace) -> None:
    """The hub client's own file serves where no variable is set."""
    file = Path(cluster.mock.environ["HOME"], ".cache", "huggingface", "token")
    file.parent.mkdir(parents=True)
    file.write_text(f"{TOKEN}\n")
    assert cluster.preflight(run_id=cluster.begin(), no_probe=True).ok
    assert cluster.stored["hf_token"]["payload"] == {"token": TOKEN}


def test_a_refused_key_replaces_nothing(cluster: OsmoWorkspace) -> None:
    """A token that the hub turns down is a red check, and the stored one stays as it was."""
    cluster.mock.engine().set_credential("hf_token", "GENERIC", {"token": "good"}, replace=False)
    cluster.web.routes["/api/whoami-v2"] = Reply(401)
    cluster.more["HF_TOKEN"] = TOKEN
    result = cluster.preflight(run_id=cluster.begin(), workflow=cluster.workflow(cluster.image("a/b:1")))
    assert not result.ok
    assert checks(result)["hub: the token"].startswith("failed: ")
    assert cluster.stored["hf_token"]["payload"] == {"token": "good"}


def test_a_key_that_osmo_refuses_is_red_and_the_old_one_stays(cluster: OsmoWorkspace) -> None:
    """A refusal by OSMO's own look at the registry is told in its words."""
    cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": "refuse-me"}
    result = cluster.preflight(run_id=cluster.begin(), no_probe=True)
    assert not result.ok
    assert "the lab refuses this key" in checks(result)["credential nvcr_io"]
    assert cluster.stored.keys() == {"hf_token"}


def test_every_image_is_asked_for_at_its_registry(cluster: OsmoWorkspace) -> None:
    """Open, behind a token exchange, denied, missing, broken and silent images are told apart."""
    cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": KEY}
    host = cluster.web.host

    def guarded(request: Request) -> Reply:
        if request.headers.get("authorization") == "Bearer pass":
            return Reply()
        realm = f'Bearer realm="http://{host}/token",service="lab",scope="repository:team/keyed:pull"'
        return Reply(401, headers={"WWW-Authenticate": realm})

    def token(request: Request) -> Reply:
        with_key = request.headers.get("authorization", "").startswith("Basic ")
        return Reply(body={"token": "pass"}) if with_key else Reply(401)

    cluster.web.routes |= {"/v2/team/keyed/manifests/1": guarded, "/token": token}
    nobody = f"127.0.0.1:{unused_port()}/team/gone:1"
    images = {
        cluster.image("team/open:1"): "ok: can be pulled",
        f"{host}/team/keyed:1": "ok: can be pulled",
        cluster.image("team/closed:1", Reply(403)): "failed: registry access failure on this image",
        cluster.image("team/untagged:9", Reply(404)): "failed: there is no such tag",
        cluster.image("team/broken:1", Reply(503)): "warning: the registry does not answer",
        nobody: "warning: the registry does not answer",
    }
    result = cluster.preflight(run_id=cluster.begin(), workflow=cluster.workflow(*images))
    found = checks(result)
    for image, wanted in images.items():
        assert found[f"image: {image}"].startswith(wanted)
    assert "image: not/this:one" not in found
    assert "SECRET-EVIDENCE" in rules_in(result)
    assert result.problem
    assert result.problem.code == "engine.preflight"


def test_a_stored_registry_credential_softens_what_nobody_here_can_prove(cluster: OsmoWorkspace) -> None:
    """Denied without a key, for a registry that OSMO has a credential of: a warning, no failure."""
    payload = {"registry": cluster.web.host, "username": "me", "auth": "theirs"}
    cluster.mock.engine().set_credential("lab", "REGISTRY", payload, replace=False)
    cluster.more["HF_TOKEN"] = TOKEN
    image = cluster.image("team/closed:1", Reply(401))
    result = cluster.preflight(run_id=cluster.begin(), workflow=cluster.workflow(image))
    assert result.ok, result.problem
    assert checks(result)[f"image: {image}"].startswith("warning: registry access failure")


def test_the_flows_own_images_are_probed_where_no_file_is_named(cluster: OsmoWorkspace) -> None:
    """A run's images are those of its workflow; out of reach they are warnings, and the run can start."""
    cluster.more["HF_TOKEN"] = TOKEN
    result = cluster.preflight(run_id=cluster.begin(flow="auto_labeling"))
    assert result.ok, result.problem
    images = [name for name in checks(result) if name.startswith("image: nvcr.io/")]
    assert len(images) == 2


def test_the_cache_workflow_can_be_named_too(cluster: OsmoWorkspace) -> None:
    """`--workflow` takes every file of the skill, flow or not."""
    cluster.more["HF_TOKEN"] = TOKEN
    named = "assets/configs/osmo/setup_model_cache.yaml"
    result = cluster.preflight(run_id=cluster.begin(), workflow=named)
    assert [name for name in checks(result) if name.startswith("image: ")] == [
        "image: nvcr.io/nvidia/base/ubuntu:22.04_20240212"
    ]


def test_a_workflow_that_is_not_there_is_bad_input(cluster: OsmoWorkspace) -> None:
    """A name that is neither a file nor a flow's is refused before anything is set."""
    cluster.more["HF_TOKEN"] = TOKEN
    result = cluster.preflight(run_id=cluster.begin(), workflow="somewhere/else.yaml")
    assert result.problem
    assert result.problem.code == "input.unknown_flow"
    assert cluster.stored == {}


def test_the_scope_is_probed_with_the_key(cluster: OsmoWorkspace) -> None:
    """An organisation that the key doesn't reach is red, and that key is not stored."""
    cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": KEY, "NGC_ORG": "acme", "NGC_TEAM": "vision"}
    cluster.web.routes["/token"] = Reply(401)
    result = cluster.preflight(run_id=cluster.begin(), workflow=cluster.workflow(cluster.image("a/b:1")))
    assert checks(result)["ngc scope: group/ngc:acme/vision"].startswith("failed: ")
    assert cluster.stored.keys() == {"hf_token"}


def test_no_probe_asks_nobody(cluster: OsmoWorkspace) -> None:
    """In a closed network neither registry nor hub hears of a preflight."""
    cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": KEY, "NGC_ORG": "acme"}
    assert cluster.preflight(run_id=cluster.begin(), no_probe=True).ok
    assert cluster.web.requests == []


def test_all_probes_are_under_way_at_the_same_time(cluster: OsmoWorkspace) -> None:
    """Two images, the hub's two questions and the scope each wait until all five have been asked."""
    cluster.more |= {"HF_TOKEN": TOKEN, "NGC_API_KEY": KEY, "NGC_ORG": "acme"}
    meeting = threading.Barrier(5)

    def met(_: Request) -> Reply:
        meeting.wait(20)
        return Reply(body={"name": "me", "token": "pass"})

    images = [cluster.image(f"team/{name}:1") for name in ("a", "b")]
    cluster.web.routes = dict.fromkeys([*cluster.web.routes, "/token"], met)
    result = cluster.preflight(run_id=cluster.begin(), workflow=cluster.workflow(*images))
    assert result.ok, result.problem
    assert not meeting.broken


def test_the_gpu_toleration_is_looked_for_in_the_pod_templates(cluster: OsmoWorkspace) -> None:
    """Without it a warning says what would happen; with it, by key or for all taints, the check is green."""
    cluster.more["HF_TOKEN"] = TOKEN
    run_id = cluster.begin()
    assert checks(cluster.preflight(run_id=run_id, no_probe=True))["GPU toleration"].startswith("warning")
    for toleration in ({"key": "nvidia.com/gpu", "operator": "Exists"}, {"operator": "Exists"}):
        cluster.mock.change(pod_templates={"default_user": {"spec": {"tolerations": [toleration]}}})
        assert checks(cluster.preflight(run_id=run_id, no_probe=True))["GPU toleration"].startswith("ok")


def test_pod_templates_that_only_administrators_see_are_a_warning(cluster: OsmoWorkspace) -> None:
    """A look that OSMO doesn't allow keeps no run from starting."""
    cluster.more |= {"HF_TOKEN": TOKEN, "MOCK_OSMO_FAULT": "http_403:config show"}
    result = cluster.preflight(run_id=cluster.begin(), no_probe=True)
    assert result.ok, result.problem
    assert checks(result)["GPU toleration"].startswith("warning")


@pytest.mark.parametrize(
    ("storage", "credential", "status"),
    [
        ("gs://lab", None, "failed"),
        ("gs://lab", {"endpoint": "gs://lab"}, "ok"),
        ("s3://lab/deep", {"endpoint": "s3://lab"}, "ok"),
        ("s3://lab", {"endpoint": "s3://laboratory"}, "warning"),
        ("azure://account/container", {"endpoint": "azure://account"}, "ok"),
    ],
)
def test_the_data_credential_is_matched_by_its_profile(
    cluster: OsmoWorkspace, storage: str, credential: dict[str, str] | None, status: str
) -> None:
    """A storage without a credential is a failure, or a warning where the cluster's own rights may do."""
    cluster.more["HF_TOKEN"] = TOKEN
    if credential:
        keys = {"access_key_id": "me", "access_key": "secret"}
        cluster.mock.engine().set_credential("data", "DATA", credential | keys, replace=False)
    clip = cluster.workspace.clip()
    result = cluster.preflight(run_id=cluster.begin(clip, storage_url=storage), no_probe=True)
    assert checks(result)["storage access"].startswith(f"{status}: ")


def test_no_pool_online_is_a_question(cluster: OsmoWorkspace) -> None:
    """Where none is ONLINE a person says which one to wait for; no credential was set for the question."""
    cluster.more["HF_TOKEN"] = TOKEN
    cluster.mock.change(pools=[pool("default", status="OFFLINE"), pool("night", status="MAINTENANCE")])
    result = cluster.preflight(run_id=cluster.begin(), no_probe=True)
    assert result.status == "needs_input"
    assert result.problem
    assert result.problem.code == "needs_input.POOL-ONLINE"
    assert "default OFFLINE, night MAINTENANCE" in result.problem.expected
    assert cluster.stored == {}


def test_of_several_pools_the_default_or_the_named_one_is_used(cluster: OsmoWorkspace) -> None:
    """The profile's default decides, then the caller; without either it is asked."""
    cluster.more["HF_TOKEN"] = TOKEN
    pools = [pool("default"), pool("night"), pool("gone", status="OFFLINE")]
    cluster.mock.change(pools=pools, default_pool="night")
    run_id = cluster.begin()
    assert cluster.preflight(run_id=run_id, no_probe=True).data["pool"] == "night"
    cluster.mock.change(default_pool="gone")
    asked = cluster.preflight(run_id=run_id, no_probe=True)
    assert asked.problem
    assert asked.problem.message == "Which pool shall the run use: default, night?"
    named = cluster.preflight(run_id=run_id, no_probe=True, pool="default")
    assert (named.data["pool"], named.data["pools"]) == ("default", ["default", "night"])
    assert cluster.preflight(run_id=run_id, no_probe=True, pool="gone").status == "needs_input"


def test_the_platform_is_the_pools_default_or_the_only_one_or_asked_for(cluster: OsmoWorkspace) -> None:
    """A platform is never guessed, and one that the pool doesn't list is never taken."""
    cluster.more["HF_TOKEN"] = TOKEN
    run_id = cluster.begin()
    assert cluster.preflight(run_id=run_id, no_probe=True).data["platform"] == "default"
    assert cluster.preflight(run_id=run_id, no_probe=True, platform="l40s").data["platform"] == "l40s"
    assert cluster.preflight(run_id=run_id, no_probe=True, platform="abacus").status == "needs_input"
    cluster.mock.change(pools=[pool("default", default_platform=None)])
    asked = cluster.preflight(run_id=run_id, no_probe=True)
    assert asked.problem
    assert asked.problem.code == "needs_input.PLATFORM-EXACT"
    cluster.mock.change(pools=[pool("default", default_platform=None, platforms={"h100": ""})])
    assert cluster.preflight(run_id=run_id, no_probe=True).data["platform"] == "h100"


def test_nothing_is_stored_before_the_time_overview(cluster: OsmoWorkspace) -> None:
    """A preflight that doesn't name its run finds it, and keeps to the order of the run all the same."""
    cluster.more["HF_TOKEN"] = TOKEN
    cluster.workspace.begin(engine="osmo")
    assert cluster.preflight(no_probe=True).ok
    assert cluster.stored == {}


def test_an_osmo_that_nobody_is_logged_in_to_is_told(cluster: OsmoWorkspace) -> None:
    """The run was begun on OSMO; without a login there is a clear error, and no question."""
    cluster.more["HF_TOKEN"] = TOKEN
    run_id = cluster.begin()
    cluster.mock.change(user=None)
    result = cluster.preflight(run_id=run_id, no_probe=True)
    assert result.status == "failed"
    assert result.problem
    assert "logged in" in result.problem.message
