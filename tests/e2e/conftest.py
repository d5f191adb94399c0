"""One whole run of the sample's first frames, beside a second one, which many small tests look at."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from skill_tools.media.probe import probe
from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.storage.mirror import RunMirror
from tests.tools.workspace_bench import PATIENCE_S, REPOSITORY, Workspace, vda_command

SAMPLE = REPOSITORY / "assets" / "samples" / "campus_walkway.mp4"
FRAMES = 40
# Spaces, quotes, a percent sign and other letters: nothing on the way may break at any of them.
ODD_NAME = 'it\'s "Zoë" [1]: {a}, 100 % #2'


@dataclass(frozen=True)
class Finished:
    """A `vda run` that has ended: how, what it said, and what it left."""

    workspace: Workspace
    exit_code: int
    stdout: str
    stderr: str
    processes: tuple[str, ...]
    """The command lines that named the workspace when both runs had ended."""
    files: tuple[str, ...]
    """Everything in the workspace at that moment."""

    @property
    def result(self) -> dict[str, Any]:
        """The object on standard output."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.result["run_id"])

    @property
    def mirror(self) -> RunMirror:
        """What was staged."""
        return RunMirror(Path(self.result["data"]["run_local_dir"]))


def cut_of_the_sample(path: Path) -> Path:
    """Write the sample's first frames as a clip of their own."""
    info = probe(SAMPLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ClipWriter(path, width=info.width, height=info.height, rate=info.fps) as writer:
        for number, frame in enumerate(islice(read_frames(SAMPLE), FRAMES)):
            writer.write_bgr(frame.to_ndarray(format="bgr24"), number)
    return path


def wait_for(condition: Callable[[], Any], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def processes_of(workspace: Workspace) -> list[str]:
    """Return the command lines of all processes that were started for a workspace."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    mine = {str(os.getpid()), str(os.getppid())}
    return [
        line.strip()
        for line in listed.stdout.splitlines()
        if str(workspace.root) in line and line.split()[0] not in mine
    ]


@contextmanager
def started(workspace: Workspace, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a `vda` command; whatever happens, neither it nor its run outlives the test."""
    process = subprocess.Popen(
        vda_command(*words, workspace=workspace.root),
        cwd=workspace.folder,
        env=workspace.process_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        with workspace.journal() as journal:
            runs = [run.run_id for run in journal.runs()]
        for run_id in runs:
            workspace.call("cancel", run_id=run_id)


def half_done(files: Iterable[str]) -> list[str]:
    """Return the names of files that somebody was still writing."""
    return [name for name in files if ".part" in name or name.endswith(".tmp")]


def _run_both(folder: Path) -> None:
    """Run the sample's cut and a small clip at the same time in one workspace, and keep what came of it."""
    workspace = Workspace(folder)
    clips = [
        (str(cut_of_the_sample(folder / "clips" / "walkway.mp4")), "--set", "weather=rain"),
        (workspace.clip("small.mp4"), "--variants", "2"),
    ]
    running = []
    for clip, *more in clips:
        command = vda_command("run", clip, *more, "--flow", "e2e", "--json", workspace=workspace.root)
        running.append(
            subprocess.Popen(
                command,
                cwd=folder,
                env=workspace.process_environ(VDA_ENGINE="local"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ended = [(*process.communicate(timeout=PATIENCE_S), process.returncode) for process in running]
    kept = {"ended": ended, "processes": processes_of(workspace), "files": workspace.files}
    (folder / "kept.json").write_text(json.dumps(kept))


@pytest.fixture(scope="session")
def both_runs(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Finished, Finished]:
    """Give both finished runs; of several test processes the first makes them and the others wait."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / ODD_NAME
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "kept.json").exists():
            _run_both(folder)
    kept = json.loads((folder / "kept.json").read_text())
    first, second = (
        Finished(Workspace(folder), code, out, err, tuple(kept["processes"]), tuple(kept["files"]))
        for out, err, code in kept["ended"]
    )
    return first, second


@pytest.fixture(scope="session")
def finished(both_runs: tuple[Finished, Finished]) -> Finished:
    """Give the finished run of the sample's first frames."""
    return both_runs[0]
