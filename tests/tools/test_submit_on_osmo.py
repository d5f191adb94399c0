"""Guard, submit and poll on OSMO: the canonical command, sent once, and OSMO's states told as they are."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from skill_tools.tool import ToolResult
from tests.mock_osmo.service.mock_state import pool
from tests.tools.osmo_bench import OsmoWorkspace
from tests.tools.workspace_bench import rules_in

MANY = 12


def clips(cluster: OsmoWorkspace, count: int) -> list[str]:
    """Make several different clips."""
    return [cluster.workspace.clip(f"cam{at:02}.mp4", shade=20 + at, frames=2) for at in range(count)]


def poll_to_the_end(cluster: OsmoWorkspace, run_id: str) -> ToolResult:
    """Poll without waiting until the run has ended; the mock moves on one step with each look."""
    result = cluster.workspace.call("poll", run_id=run_id)
    while result.status == "running":
        result = cluster.workspace.follow(result.next[0].model_copy(update={"arguments": {"run_id": run_id}}))
    return result


def test_a_dry_run_shows_the_canonical_command_and_sends_nothing(cluster: OsmoWorkspace) -> None:
    """One file, one pool, one `--set-string` with every value; tasks, images and URLs beside it."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="e2e")
    shown = cluster.workspace.call("submit", run_id=run_id, dry_run=True)
    assert shown.ok, shown.problem
    assert cluster.mock.asked("workflow", "submit") == []
    workflows = shown.data["workflows"]
    assert isinstance(workflows, list)
    (workflow,) = workflows
    assert isinstance(workflow, dict)
    words = shlex.split(str(workflow["command"]))
    assert words[:3] == ["osmo", "workflow", "submit"]
    assert Path(words[3]).name == "e2e.yaml"
    assert words[4:7] == ["--pool", "default", "--set-string"]
    pairs = dict(word.split("=", 1) for word in words[7:])
    assert pairs["cosmos_model_cache_url"] == "s3://lab/data/models/cosmos_transfer"
    assert pairs["auto_labeling_model_cache_url"] == "s3://lab/data/models/auto_labeling"
    assert (pairs["run_id"], pairs["video"], pairs["storage_url"]) == (run_id, "car", "s3://lab")
    assert [task["name"] for task in workflow["tasks"]] == [
        "setup",
        "pl_original_worker_0",
        "cosmos_worker_0",
        "pl_augmented_worker_0",
    ]
    assert workflow["tasks"][2]["image"] == "nvcr.io/nvidia/paidf-augmentation:1.0.0"
    sent = cluster.workspace.call("submit", run_id=run_id)
    assert sent.status == "running", sent.problem
    (asked,) = cluster.mock.asked("workflow", "submit")
    assert ["osmo", *asked] == words


def test_a_submit_of_unknown_outcome_is_looked_for_and_not_sent_again(cluster: OsmoWorkspace) -> None:
    """The client dies after sending: the outcome is unknown, and the next submit finds the run id."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="auto_labeling")
    cluster.more["MOCK_OSMO_FAULT"] = "die_after_send:workflow submit"
    unknown = cluster.workspace.call("submit", run_id=run_id)
    assert unknown.problem
    assert unknown.problem.retry == "inspect"
    del cluster.more["MOCK_OSMO_FAULT"]
    found = cluster.workspace.call("submit", run_id=run_id)
    assert found.status == "running", found.problem
    assert "SUBMIT-STAMP" in rules_in(found)
    assert len(cluster.mock.asked("workflow", "submit")) == 1
    assert cluster.workspace.call("submit", run_id=run_id).status == "denied"


def test_a_client_that_died_before_sending_is_sent_again(cluster: OsmoWorkspace) -> None:
    """Nothing is found for the run id, so it is sent; there is one workflow in the end."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="auto_labeling")
    cluster.more["MOCK_OSMO_FAULT"] = "die:workflow submit"
    assert not cluster.workspace.call("submit", run_id=run_id).ok
    del cluster.more["MOCK_OSMO_FAULT"]
    assert cluster.workspace.call("submit", run_id=run_id).status == "running"
    assert len(cluster.mock.state["workflows"]) == 1


def test_the_guard_says_what_osmo_would_refuse(cluster: OsmoWorkspace) -> None:
    """A credential that has gone since preflight is a red check, with OSMO's words."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="auto_labeling")
    cluster.mock.change(credentials=[])
    guard = cluster.workspace.call("check_submission", run_id=run_id)
    assert guard.problem
    assert "Could not find the credential: hf_token" in guard.problem.message


def test_a_group_is_no_larger_than_the_pool(cluster: OsmoWorkspace) -> None:
    """Six variants on a pool of two GPUs are made by two workers, since a group starts as a whole."""
    usage = {"usage": 0, "capacity": 2, "free": 2}
    cluster.mock.change(pools=[pool("default", total=usage)])
    run_id = cluster.guarded(*clips(cluster, 2), variants=3)
    shown = cluster.workspace.call("submit", run_id=run_id, dry_run=True)
    workflows = shown.data["workflows"]
    assert isinstance(workflows, list)
    (workflow,) = workflows
    assert isinstance(workflow, dict)
    assert " workers=2" in str(workflow["command"])
    assert [task["name"] for task in workflow["tasks"]].count("cosmos_worker_1") == 1
    assert len(workflow["tasks"]) == 5


def test_more_variants_than_a_workflow_takes_are_shared_by_workers(cluster: OsmoWorkspace) -> None:
    """One clip with sixteen variants is one workflow of at most twenty tasks."""
    cluster.mock.change(pools=[pool("default", quota={"used": 0, "free": 99, "limit": 99})])
    run_id = cluster.guarded(cluster.workspace.clip(), variants=16)
    sent = cluster.workspace.call("submit", run_id=run_id)
    assert sent.status == "running", sent.problem
    (document,) = cluster.mock.state["workflows"].values()
    assert sum(len(group["tasks"]) for group in document["groups"]) <= 20


def test_a_large_set_is_several_workflows_under_one_run(cluster: OsmoWorkspace) -> None:
    """Twelve clips of e2e are submitted, polled, told and staged together."""
    given = clips(cluster, MANY)
    run_id = cluster.guarded(*given, flow="e2e")
    sent = cluster.workspace.call("submit", run_id=run_id)
    assert sent.status == "running", sent.problem
    commands = cluster.mock.asked("workflow", "submit")
    assert len(commands) == 2
    pairs = [dict(word.split("=", 1) for word in command[6:]) for command in commands]
    assert [each["batch"] for each in pairs] == ["0", "1"]
    assert {each["run_id"] for each in pairs} == {run_id}
    assert sum(len(each["video"].split(",")) for each in pairs) == MANY
    done = poll_to_the_end(cluster, run_id)
    assert done.ok, done.problem
    assert done.data["state"] == "COMPLETED"
    workflows = done.data["workflows"]
    assert isinstance(workflows, list)
    assert [each["status"] for each in workflows if isinstance(each, dict)] == ["COMPLETED"] * 2
    for each in pairs:
        put_outputs(cluster, each, Path(given[0]).read_bytes())
    staged = cluster.workspace.follow(done.next[0])
    assert staged.ok, staged.problem
    stems = [Path(clip).stem for clip in given]
    assert staged.data["variants"] == [f"{stem}_aug0" for stem in stems]
    manifests = staged.data["manifests"]
    assert isinstance(manifests, list)
    assert [Path(str(path)).parts[-3] for path in manifests] == ["setup_b0", "setup_b1"]


def put_outputs(cluster: OsmoWorkspace, values: dict[str, str], clip: bytes) -> None:
    """Put into the storage what the tasks of a workflow would have left there."""
    root = f"s3://lab/datasets/{values['dataset']}-outputs/{values['run_id']}"
    stems = values["video"].split(",")
    entry = {"aug_idx": 0, "sampled_vars": {"weather": "rain"}}
    configs = [
        entry | {"video": f"{stem}.mp4", "video_name": stem, "config": f"{stem}_aug0.yaml"} for stem in stems
    ]
    manifest = json.dumps({"configs": configs, "total": len(configs)}).encode()
    cluster.mock.put(f"{root}/setup_b{values['batch']}/configs/manifest.yaml", manifest)
    for stem in stems:
        cluster.mock.put(f"{root}/outputs/augmented/{stem}_aug0/augmented_video.mp4", clip)
        for place in (f"pseudo_labeled/{stem}", f"pseudo_labeled_augmented/{stem}_aug0"):
            cluster.mock.put(f"{root}/outputs/{place}/summary.json", b"{}")


def test_a_half_sent_set_is_sent_to_its_end(cluster: OsmoWorkspace) -> None:
    """The second of two submits is refused: nothing is sent twice, and nothing is forgotten."""
    run_id = cluster.guarded(*clips(cluster, 7), flow="e2e")
    cluster.more["MOCK_OSMO_FAULT"] = "slow*1:workflow submit;http_400*1:workflow submit"
    assert not cluster.workspace.call("submit", run_id=run_id).ok
    del cluster.more["MOCK_OSMO_FAULT"]
    done = poll_to_the_end(cluster, run_id)
    assert done.next[0].tool == "submit"
    assert cluster.workspace.follow(done.next[0]).status == "running"
    assert len(cluster.mock.state["workflows"]) == 2
    assert poll_to_the_end(cluster, run_id).next[0].tool == "stage_artifacts"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            {"status": "FAILED", "exit_code": 137, "failure_message": "OOM killed"},
            "with exit code 137. OOM killed",
        ),
        (
            {"status": "FAILED_IMAGE_PULL", "exit_code": None, "failure_message": "ErrImagePull"},
            "ended FAILED_IMAGE_PULL. ErrImagePull",
        ),
    ],
)
def test_a_failed_task_is_named_with_its_exit_code_and_last_lines(
    cluster: OsmoWorkspace, end: dict[str, object], said: str
) -> None:
    """Of all that ended with it, the task that failed of its own is told, and `next` shows its log."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="e2e")
    script = cluster.folder / "script.json"
    script.write_text(json.dumps({"cosmos_worker_0": end}))
    cluster.more["MOCK_OSMO_SCRIPT"] = str(script)
    assert cluster.workspace.call("submit", run_id=run_id).ok
    failed = poll_to_the_end(cluster, run_id)
    assert failed.problem
    assert failed.problem.code == "engine.task_failed"
    assert failed.problem.message.startswith("cosmos_worker_0 ended ")
    assert said in failed.problem.message
    assert "[cosmos_worker_0]" in failed.problem.message
    assert failed.next[0].arguments == {"run_id": run_id, "task": "cosmos_worker_0"}
    assert cluster.workspace.follow(failed.next[0]).ok


def test_a_cancelled_run_is_told_as_cancelled(cluster: OsmoWorkspace) -> None:
    """`cancel` ends it, and poll says by whom."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="auto_labeling")
    assert cluster.workspace.call("submit", run_id=run_id).ok
    assert cluster.workspace.call("cancel", run_id=run_id).ok
    told = cluster.workspace.call("poll", run_id=run_id)
    assert told.data["state"] == "FAILED_CANCELED"
    assert told.problem
    assert "canceled by user: testuser" in told.problem.message


def test_values_without_a_run_are_checked_down_to_the_storage(cluster: OsmoWorkspace) -> None:
    """The guard lists data set and caches for full values; what is missing there is named."""
    run_id = cluster.guarded(cluster.workspace.clip(), flow="e2e")
    with cluster.workspace.journal() as journal:
        guard = journal.passed_by_tool(run_id)["check_submission"]
    batches = guard["batches"]
    assert isinstance(batches, list)
    (batch,) = batches
    assert isinstance(batch, dict)
    values = batch["values"]
    assert isinstance(values, dict)
    named = {"workflow": "assets/configs/osmo/e2e.yaml"}
    good = cluster.workspace.call("check_submission", **named, values=values)
    assert good.ok, good.problem
    emptied = values | {"cosmos_model_cache_url": "s3://lab/nothing"}
    no_cache = cluster.workspace.call("check_submission", **named, values=emptied)
    assert no_cache.problem
    assert "s3://lab/nothing holds nothing" in no_cache.problem.message
    other = cluster.workspace.call("check_submission", **named, values=values | {"video": "truck"})
    assert other.problem
    assert "missing: ['truck']" in other.problem.message


def test_a_workflow_file_of_ones_own_is_looked_at_itself(cluster: OsmoWorkspace) -> None:
    """A copy in which setup lost a file that tasks need is red, though the skill's own file is whole."""
    own = cluster.workspace.settings.workflows_dir / "e2e.yaml"
    copy = cluster.folder / "e2e.yaml"
    copy.write_text(
        own.read_text().replace("auto_labeling/question_bank.json\n", "auto_labeling/bank.json\n", 1)
    )
    whole = cluster.workspace.call("check_submission", workflow="e2e.yaml")
    assert whole.ok, whole.problem
    broken = cluster.workspace.call("check_submission", workflow=str(copy))
    assert broken.problem
    assert "cookbook files in setup: question_bank.json" in broken.problem.message
