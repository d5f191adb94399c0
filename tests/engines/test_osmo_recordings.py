"""The engine understands what the real client and service were recorded to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from skill_tools.engines.osmo import refusals, replies, transfer
from skill_tools.engines.osmo.client import unwritten
from skill_tools.engines.osmo.process import Finished
from skill_tools.engines.osmo.tables import read_table
from skill_tools.errors import EngineUnavailable, OutcomeUnknown

GOLDEN = Path(__file__).parents[1] / "mock_osmo" / "golden"


def recorded(name: str, exit_code: int = 0) -> Finished:
    """Return a recording as if the command had just run."""
    texts = [GOLDEN / f"{name}.{side}" for side in ("out", "err")]
    stdout, stderr = (file.read_text() if file.exists() else "" for file in texts)
    return Finished(("osmo",), exit_code, stdout, stderr)


@pytest.mark.parametrize(
    ("name", "exit_code", "code"),
    [
        ("logged_out", 2, "not_logged_in"),
        ("unreachable", 10, "unreachable"),
        ("submit_platform", 1, "wrong_platform"),
        ("submit_maintenance", 1, "pool_maintenance"),
        ("submit_dead_backend", 10, "pool_without_backend"),
        ("submit_no_credential", 1, "missing_credential"),
        ("validate_no_credential", 2, "missing_credential"),
        ("submit_no_data_credential", 1, "missing_credential"),
        ("data_no_credential", 2, "missing_credential"),
        ("submit_undefined_json", 1, "undefined_variable"),
        ("submit_repeated_released", 1, "undefined_variable"),
        ("submit_bash_length", 1, "template"),
        ("submit_name", 1, "bad_name"),
        ("submit_name_long", 2, "name_too_long"),
        ("submit_bad_yaml", 1, "bad_yaml"),
        ("submit_lone_block_released", 2, "bad_yaml"),
        ("submit_bad_url", 10, "bad_url"),
        ("submit_no_script", 1, "missing_file"),
        ("submit_no_file", 1, "missing_file"),
        ("submit_no_workflow", 2, "unknown_workflow"),
        ("validate_too_many", 2, "too_many_tasks"),
        ("validate_too_large", 1, "resource_too_large"),
        ("validate_reversed", 10, "bad_spec"),
        ("validate_empty", 2, "bad_spec"),
        ("validate_image", 2, "image_unreachable"),
        ("query_missing", 2, "unknown_workflow"),
        ("query_missing_json", 2, "unknown_workflow"),
        ("logs_no_task", 2, "unknown_task"),
        ("cancel_missing", 0, "unknown_workflow"),
        ("credential_duplicate", 2, "credential_exists"),
        ("credential_no_bucket", 2, "unknown_bucket"),
        ("data_unreachable", 2, "storage_unreachable"),
    ],
)
def test_each_recorded_refusal_has_its_code(name: str, exit_code: int, code: str) -> None:
    """Refusals are told apart, keep their words without the frame, and are no unknown outcome."""
    finished = recorded(name, exit_code)
    assert refusals.refusal_of(finished).code == f"engine.{code}"
    words = refusals.words_of(finished)
    assert words
    assert "Error message" not in words
    assert "Server responded" not in words
    transient = code == "storage_unreachable"
    assert isinstance(unwritten(finished, "it"), OutcomeUnknown) == transient


def test_service_out_of_reach_is_unavailable_and_not_unknown() -> None:
    """A connection that was refused has sent nothing, so a write may simply be repeated later."""
    error = unwritten(recorded("unreachable", 10), "it")
    assert isinstance(error, EngineUnavailable)
    assert not isinstance(error, OutcomeUnknown)


def test_submissions_are_read_from_the_text() -> None:
    """Id, overview and warnings come from the success text."""
    plain = replies.submission(recorded("submit").stdout)
    assert (plain.workflow_id, plain.overview[-10:], plain.warnings) == ("vda-demo-1", "vda-demo-1", ())
    low = replies.submission(recorded("submit_low").stdout)
    assert low.warnings == ("LOW priority can be preempted during the run.",)
    with pytest.raises(replies.UnreadableReplyError):
        replies.submission(recorded("submit_platform").stdout)


def test_failed_workflow_is_read_with_its_cause() -> None:
    """Exit code, lead, message and order come from the recorded document."""
    state = replies.workflow(recorded("query_failed").stdout)
    assert (state.status, state.failure) == ("FAILED", "worker_0: Exit Code 137")
    assert [(task.name, task.status, task.exit_code) for task in state.tasks] == [
        ("setup", "COMPLETED", 0),
        ("worker_0", "FAILED", 137),
        ("worker_1", "FAILED", None),
    ]
    assert [task.lead for task in state.tasks] == [True, True, False]
    assert state.submitted == pytest.approx(1795455460.211104)


def test_upstream_failure_is_told_from_its_cause() -> None:
    """Of a failed first group and a group behind it, the first is the cause."""
    state = replies.workflow(recorded("query_upstream").stdout)
    assert state.failure == "setup: Exit Code 2. lab failure"
    assert {task.status for task in state.tasks} == {"FAILED", "FAILED_UPSTREAM"}
    assert state.tasks[-1].exit_code == 3000


def test_cancelled_refused_and_waiting_workflows_are_read() -> None:
    """States without exit codes, without groups and between groups are understood."""
    cancelled = replies.workflow(recorded("query_cancelled").stdout)
    assert cancelled.failure == "setup: Task was canceled by user: testuser. lab test"
    refused = replies.workflow(recorded("query_refused").stdout)
    assert (refused.status, refused.tasks) == ("FAILED_SUBMISSION", ())
    waiting = replies.workflow(recorded("query_waiting").stdout)
    assert (waiting.status, waiting.tasks[1].status, waiting.ended) == ("RUNNING", "PROCESSING", None)


def test_pools_of_several_kinds_are_read() -> None:
    """Pools that share nodes appear once, with their status and platforms."""
    pools = {pool.name: pool for pool in replies.pools(recorded("pools_json").stdout)}
    assert {name: pool.status for name, pool in pools.items()} == {
        "default": "ONLINE",
        "dead-pool": "OFFLINE",
        "gpu-pool": "ONLINE",
        "maint-pool": "MAINTENANCE",
    }
    assert pools["gpu-pool"].platforms == ("h100",)


def test_lists_are_read_newest_first() -> None:
    """Workflows come newest first, though the service sorts them the other way."""
    names = replies.workflow_names(recorded("list_json").stdout)
    assert names == ("vda-demo-13", "vda-demo-11", "vda-demo-7")


def test_tables_of_the_recordings_are_read() -> None:
    """Credentials and nodes come by their columns."""
    rows = read_table(recorded("credentials_many").stdout)
    assert [row["Name"] for row in rows] == ["lab_s3b", "trl", "nvcr2", "nvcr_team", "other_name", "hf_token"]
    assert replies.local_profiles(recorded("credentials_many").stdout) == {"s3://lab", "s3://osmo"}
    nodes = read_table(recorded("resources").stdout)
    assert len(nodes) == 8
    assert nodes[1] == {
        "Node": "",
        "Pool": "default",
        "Platform": "h100",
        "Type": "",
        "Storage [Gi]": "0/1999",
        "CPU [#]": "0/127",
        "Memory [Gi]": "0/1023",
        "GPU [#]": "0/8",
    }


def test_listings_of_the_recordings_are_read() -> None:
    """Keys are made relative, and the count is held against the lines."""
    found = replies.objects(recorded("data_list_recursive").stdout, "datasets")
    assert len(found) == 14
    assert found[0].path == "dslash/up/a.mp4"
    assert replies.objects(recorded("data_list_empty").stdout, "nothing") == ()
    assert replies.objects(recorded("data_list").stdout, "datasets") == ()


def test_log_lines_of_a_recording_are_read() -> None:
    """Heading and the frame at the end of an abnormal log are left out."""
    lines = replies.log_lines(recorded("logs_failed").stdout)
    assert lines[0].endswith("[setup] lab: hello from setup")
    assert "[worker_0] lab: task worker_0 failing with 137" in lines[-1]


def test_upload_that_skips_a_file_says_so_on_standard_error() -> None:
    """The words that give a partial upload away are those of the recording."""
    assert transfer.NOT_SENT in recorded("data_upload_missing").stderr
