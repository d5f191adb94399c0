"""A submit is sent once: whatever died in between, and whoever else is trying."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skill_tools.engines.base import SubmitRequest
from skill_tools.registry import opened
from tests.tools.workspace_bench import Workspace, rules_in


@pytest.fixture
def ready(workspace: Workspace) -> Iterator[tuple[Workspace, str]]:
    """Give a run that waits for its submit; whatever is sent is cancelled afterwards."""
    run_id = workspace.begin(workspace.clip(), flow="auto_labeling")
    workspace.pass_until(run_id, "submit")
    yield workspace, run_id
    workspace.call("cancel", run_id=run_id)


def request_of(workspace: Workspace, run_id: str) -> SubmitRequest:
    """Return the submit that the guard saw."""
    with workspace.journal() as journal:
        guard = journal.passed_by_tool(run_id)["check_submission"]
    batches = guard["batches"]
    assert isinstance(batches, list)
    assert isinstance(batches[0], dict)
    values = batches[0]["values"]
    assert isinstance(values, dict)
    return SubmitRequest(
        Path(str(guard["workflow"])), {k: str(v) for k, v in values.items()}, str(guard["pool"])
    )


def claimed_by(workspace: Workspace, run_id: str, pid: int) -> None:
    """Leave a claim in the journal as if another process had made it."""
    with workspace.journal() as journal:
        assert journal.claim(run_id, "0", request_of(workspace, run_id).values, "local")
    with sqlite3.connect(workspace.settings.journal_file) as db:
        db.execute(
            "UPDATE submissions SET detail = json_set(detail, '$.pid', ?) WHERE run_id = ? AND batch = '0'",
            (pid, run_id),
        )
    db.close()


def dead_pid() -> int:
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def workflows_of(workspace: Workspace, run_id: str) -> tuple[str, ...]:
    """Return the workflows that the engine has of a run."""
    request = request_of(workspace, run_id)
    with opened(workspace.settings) as context:
        return context.engines.named("local").find(run_id, request.values)


def test_a_dry_run_shows_the_command_and_sends_nothing(ready: tuple[Workspace, str]) -> None:
    """The one line with one --set-string and every value, the tasks it would start, and no claim."""
    workspace, run_id = ready
    shown = workspace.call("submit", run_id=run_id, dry_run=True)
    (workflow,) = shown.data["workflows"]
    command = str(workflow["command"])
    assert command.startswith("osmo workflow submit ")
    assert command.count("--set-string") == 1
    assert "--set " not in command
    assert f"run_id={run_id}" in command
    assert [task["name"] for task in workflow["tasks"]] == ["setup", "pl_original_worker_0"]
    assert workflows_of(workspace, run_id) == ()


def test_a_claim_whose_process_died_before_it_sent_is_sent_once(ready: tuple[Workspace, str]) -> None:
    """The engine knows nothing of it, so it is sent now."""
    workspace, run_id = ready
    claimed_by(workspace, run_id, dead_pid())
    sent = workspace.call("submit", run_id=run_id)
    assert (sent.ok, sent.status) == (True, "running"), sent.problem
    assert workflows_of(workspace, run_id) == (sent.data["workflows"][0]["workflow_id"],)


def test_a_workflow_whose_sender_died_before_writing_it_down_is_not_sent_again(
    ready: tuple[Workspace, str],
) -> None:
    """The engine has it already: it is found, written down, and the decision says so."""
    workspace, run_id = ready
    claimed_by(workspace, run_id, dead_pid())
    with opened(workspace.settings) as context:
        before = context.engines.named("local").submit(request_of(workspace, run_id)).workflow_id
    found = workspace.call("submit", run_id=run_id)
    assert found.ok, found.problem
    assert found.data["workflows"][0]["workflow_id"] == before
    assert "SUBMIT-STAMP" in rules_in(found)
    assert workflows_of(workspace, run_id) == (before,)


def test_while_another_process_is_sending_nobody_else_does(ready: tuple[Workspace, str]) -> None:
    """A living claim is respected; the answer is to look first, not to send again."""
    workspace, run_id = ready
    claimed_by(workspace, run_id, os.getppid())
    result = workspace.call("submit", run_id=run_id)
    assert result.problem
    assert (result.exit_code, result.problem.retry) == (5, "inspect")
    assert workflows_of(workspace, run_id) == ()


def test_of_two_processes_that_submit_at_once_one_sends(ready: tuple[Workspace, str]) -> None:
    """Both end without a second workflow, whichever was first."""
    workspace, run_id = ready
    command = [sys.executable, "-m", "skill_tools.cli", "call", "--workspace", str(workspace.root), "submit"]
    both = [
        subprocess.Popen(
            [*command, f'{{"run_id": "{run_id}"}}'],
            env=workspace.process_environ(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    codes = sorted(process.wait() for process in both)
    assert codes[0] == 0
    assert codes[1] in {0, 4, 5}
    assert len(workflows_of(workspace, run_id)) == 1
