"""The model caches on OSMO: filled by the cache workflow, once, and looked at again."""

from __future__ import annotations

import json

from skill_tools.tool import ToolResult
from tests.tools.osmo_bench import CACHES, TOKEN, OsmoWorkspace

WORKFLOW = "setup_model_cache.yaml"


def guarded_with_empty_caches(cluster: OsmoWorkspace) -> str:
    """Bring a run to the guard, whose only objection is the caches."""
    cluster.more["HF_TOKEN"] = TOKEN
    run_id = cluster.begin(cluster.workspace.clip(), flow="auto_labeling", storage_url="s3://lab")
    assert cluster.preflight(run_id=run_id, no_probe=True).ok
    for tool in ("derive_storage_url", "prepare_dataset"):
        assert cluster.workspace.call(tool, run_id=run_id).ok
    return run_id


def ensure(cluster: OsmoWorkspace, run_id: str) -> ToolResult:
    """Call the tool without waiting."""
    return cluster.workspace.call("ensure_cache", run_id=run_id, wait_s=0)


def until_it_ended(cluster: OsmoWorkspace, run_id: str) -> ToolResult:
    """Do what `next` says until the cache workflow has ended."""
    result = ensure(cluster, run_id)
    while result.status == "running":
        (step,) = result.next
        assert step.tool == "ensure_cache"
        result = ensure(cluster, run_id)
    return result


def test_an_empty_cache_is_filled_by_itself_and_the_guard_follows(cluster: OsmoWorkspace) -> None:
    """The guard names `ensure_cache`; it sends the cache workflow once and waits on until both are full."""
    run_id = guarded_with_empty_caches(cluster)
    guard = cluster.workspace.call("check_submission", run_id=run_id)
    assert guard.ok, guard.problem
    assert (guard.data["complete"], guard.data["cache_full"]) == (False, False)
    assert guard.next[0].tool == "ensure_cache"
    refused = cluster.workspace.call("submit", run_id=run_id)
    assert refused.status == "denied"
    first = ensure(cluster, run_id)
    assert (first.status, first.data["full"]) == ("running", False)
    assert [bubble.body for bubble in first.messages]
    (sent,) = cluster.mock.asked("workflow", "submit")
    assert sent[2].endswith(f"/{WORKFLOW}")
    assert "hf_credential=hf_token" in sent
    assert f"run_id={run_id}" in sent
    cluster.fill_caches()
    full = ensure(cluster, run_id)
    assert (full.status, full.data["full"], full.next[0].tool) == ("done", True, "check_submission")
    assert cluster.workspace.follow(full.next[0]).data["complete"] is True
    assert len(cluster.mock.asked("workflow", "submit")) == 1


def test_one_empty_cache_of_two_is_not_full(cluster: OsmoWorkspace) -> None:
    """Both caches have to hold something."""
    run_id = guarded_with_empty_caches(cluster)
    cluster.mock.put(f"s3://lab/data/models/{CACHES[0]}/weights.bin", b"weights")
    assert ensure(cluster, run_id).status == "running"


def test_a_failed_cache_workflow_is_told_with_its_log_and_can_be_tried_again(cluster: OsmoWorkspace) -> None:
    """The next call sends a new workflow, not the one that failed."""
    run_id = guarded_with_empty_caches(cluster)
    script = cluster.folder / "script.json"
    failing = {"status": "FAILED", "exit_code": 1, "failure_message": "Exit Code 1"}
    script.write_text(json.dumps({"cosmos_transfer_cache": failing}))
    cluster.more["MOCK_OSMO_SCRIPT"] = str(script)
    failed = until_it_ended(cluster, run_id)
    assert failed.problem
    assert "setup_model_cache-1 ended FAILED" in failed.problem.message
    assert "[cosmos_transfer_cache]" in failed.problem.message
    del cluster.more["MOCK_OSMO_SCRIPT"]
    again = ensure(cluster, run_id)
    assert (again.status, again.data["workflow_id"]) == ("running", "setup_model_cache-2")


def test_a_cache_workflow_of_unknown_outcome_is_found_again(cluster: OsmoWorkspace) -> None:
    """When the client dies after sending, the next call finds what was sent and sends nothing."""
    run_id = guarded_with_empty_caches(cluster)
    cluster.more["MOCK_OSMO_FAULT"] = "die_after_send:workflow submit"
    unknown = ensure(cluster, run_id)
    assert unknown.problem
    assert unknown.problem.retry == "inspect"
    del cluster.more["MOCK_OSMO_FAULT"]
    found = ensure(cluster, run_id)
    assert (found.status, found.data["workflow_id"]) == ("running", "setup_model_cache-1")
    assert len(cluster.mock.asked("workflow", "submit")) == 1
