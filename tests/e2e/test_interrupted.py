"""A run that is interrupted ends cleanly; one that is killed goes on where it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from skill_tools.media.probe import probe
from skill_tools.storage.mirror import RunMirror
from skill_tools.tool import ToolResult
from tests.e2e.conftest import half_done, processes_of, started, wait_for
from tests.tools.workspace_bench import Workspace, one_object

AUGMENTING = ("--flow", "augmentation_and_al", "--engine", "local", "--set", "weather=rain")


def progress_of(workspace: Workspace, task: str) -> list[Path]:
    """Return the file in which a task says how far it is, once it has begun to."""
    return list(workspace.settings.state_dir.glob(f"engine/*/tasks/{task}*/**/progress.json"))


def only_run(workspace: Workspace) -> str:
    """Return the id of the one run that was begun."""
    with workspace.journal() as journal:
        (run,) = journal.runs()
    return run.run_id


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_run_and_leaves_nothing_half_done(
    workspace: Workspace, sign: signal.Signals
) -> None:
    """In the middle of the augmentation: the run is cancelled, no process and no half file stays."""
    clip = workspace.clip(frames=600, width=320, height=240)
    with started(workspace, "run", clip, *AUGMENTING) as process:
        wait_for(lambda: progress_of(workspace, "cosmos_worker_0"), "the augmentation's first frame")
        process.send_signal(sign)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in told
        assert processes_of(workspace) == []
    run_id = only_run(workspace)
    assert run_id in told
    assert half_done(workspace.files) == []
    assert not [name for name in workspace.files if name.endswith("augmented_video.mp4")]
    assert Path(clip).is_file()
    state = workspace.call("poll", run_id=run_id)
    assert (state.data["state"], state.exit_code) == ("FAILED_CANCELED", 5)
    stored = workspace.settings.local_storage / "datasets" / "car" / "car.mp4"
    assert probe(stored).frames == 600


def test_a_run_whose_every_process_was_killed_is_resumed_to_its_end(workspace: Workspace) -> None:
    """`kill -9` of the command and of the supervisor loses nothing and submits nothing twice."""
    clip = workspace.clip(frames=48, width=320, height=240)
    with started(workspace, "run", clip, *AUGMENTING) as process:
        wait_for(lambda: progress_of(workspace, "cosmos_worker_0"), "the augmentation's first frame")
        process.send_signal(signal.SIGKILL)
        process.wait()
        run_id = only_run(workspace)
        with workspace.journal() as journal:
            (sent,) = [one for one in journal.submissions(run_id) if one.batch == "0"]
        pid_file = workspace.settings.state_dir / "engine" / str(sent.workflow_id) / "supervisor.pid"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        wait_for(lambda: processes_of(workspace) == [], "the end of the tasks that lost their supervisor")
        resumed = workspace.vda("resume", run_id, "--json")
    assert resumed.returncode == 0, resumed.stderr
    result = ToolResult.model_validate(one_object(resumed.stdout))
    assert (result.ok, result.tool, result.run_id) == (True, "report", run_id)
    with workspace.journal() as journal:
        assert [one.workflow_id for one in journal.submissions(run_id) if one.batch == "0"] == [
            sent.workflow_id
        ]
    variant = RunMirror(workspace.settings.run_dir(run_id)).variant("car", 0)
    assert probe(variant).frames == 48
    assert processes_of(workspace) == []
    assert half_done(workspace.files) == []
