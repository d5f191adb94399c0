"""A preview's process loads before its request is known, answers one, and never outlives its block."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from skill_tools.errors import EngineError
from skill_tools.settings import Settings
from skill_tools.tools.preview_worker import PreviewWorker, preview_worker, started_early
from tests.tools.workspace_bench import Workspace

PATIENCE_S = 60.0


def settings(folder: Path, **environ: str) -> Settings:
    """Return settings of a workspace with an environment of its own."""
    return Settings.read(workspace=folder, environ={"PATH": "/usr/bin:/bin", **environ})


def request(clip: str, target: Path) -> bytes:
    """Return a request for a still, as JSON."""
    wanted = {"clip": clip, "output": str(target), "variables": {"weather": "fog"}}
    return json.dumps(wanted).encode()


def environment_of(process: int) -> bytes:
    """Return a process's environment, which is there a moment after the process is."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if seen := Path(f"/proc/{process}/environ").read_bytes():
            return seen
        time.sleep(0.01)
    raise TimeoutError


def test_the_process_started_early_answers_the_first_request(workspace: Workspace, tmp_path: Path) -> None:
    """It is asked once; whoever asks again gets a process that starts then."""
    here = settings(tmp_path)
    with started_early(here):
        with preview_worker(here) as early:
            answer = json.loads(early.answer(request(workspace.clip(), tmp_path / "a.png"), PATIENCE_S))
        with preview_worker(here) as late:
            assert late is not early
            answered_late = json.loads(late.answer(request(workspace.clip(), tmp_path / "b.png"), PATIENCE_S))
    assert answer["cells"] == answered_late["cells"]
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_process_that_nobody_asks_ends_with_the_block(tmp_path: Path) -> None:
    """A call that is refused, or fails, leaves no process behind."""
    here = settings(tmp_path)
    with pytest.raises(KeyError), PreviewWorker(here) as worker:
        raise KeyError
    assert worker._process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ends_without_an_answer_is_told_of(tmp_path: Path) -> None:
    """Its last words and its exit code are in the error, instead of what JSON isn't."""
    with PreviewWorker(settings(tmp_path)) as worker, pytest.raises(EngineError) as caught:
        worker.answer(b"no request", PATIENCE_S)
    assert caught.value.code == "engine.preview"
    assert "ended with code 1" in str(caught.value)


def test_an_answer_that_is_no_json_is_told_of(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that says something else than its answer is an engine's error, as one that says nothing is."""
    monkeypatch.setattr("skill_tools.tools.preview_worker.MODULE", "this")
    result = workspace.call("preview", clip=workspace.clip(), variables={"weather": "fog"})
    assert result.problem.code == "engine.preview"
    assert "JSON" in result.problem.message


def test_a_process_that_takes_too_long_is_told_of(workspace: Workspace, tmp_path: Path) -> None:
    """Who doesn't answer in time is ended, and that is said."""
    with PreviewWorker(settings(tmp_path)) as worker, pytest.raises(EngineError) as caught:
        worker.answer(request(workspace.clip(), tmp_path / "a.png"), 0.01)
    assert "no answer within 0.01 s" in str(caught.value)
    assert worker._process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_sees_nobody_s_keys(tmp_path: Path) -> None:
    """What is secret in the caller's environment isn't in the worker's."""
    with PreviewWorker(settings(tmp_path, OPENAI_API_KEY="sk-not-to-be-seen", LANG="C")) as worker:
        seen = environment_of(worker._process.pid)
    assert b"LANG=C" in seen
    assert b"sk-not-to-be-seen" not in seen
