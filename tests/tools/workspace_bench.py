"""A workspace with small clips in it, and the tools called there as an agent calls them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from skill_tools.journal import Journal
from skill_tools.media.video import ClipWriter
from skill_tools.registry import call
from skill_tools.settings import Settings
from skill_tools.tool import NextStep, ToolResult

REPOSITORY = Path(__file__).resolve().parents[2]
MAX_STEPS = 12
PATIENCE_S = 240.0


def make_clip(path: Path, *, frames: int = 12, width: int = 160, height: int = 120, shade: int = 40) -> Path:
    """Write a clip of a red block that crosses a grey slope; another `shade` makes another clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    slope = np.linspace(shade, 220, width, dtype=np.uint8)[None, :, None]
    with ClipWriter(path, width=width, height=height, rate=Fraction(10)) as writer:
        for index in range(frames):
            image = np.broadcast_to(slope, (height, width, 3)).copy()
            left = index * 5 % (width - 40)
            image[height // 4 : height // 2, left : left + 30] = (30, 30, 220)
            writer.write_bgr(image, index)
    return path


@dataclass
class Workspace:
    """A folder to work in; clips lie beside it, so that it holds only what the tools leave."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The workspace itself; nobody makes it but the tools."""
        return self.folder / "workspace"

    @property
    def settings(self) -> Settings:
        """The settings of a call made here, in an environment without anybody's keys."""
        plain = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(REPOSITORY),
            "VDA_DATA_ROOTS": str(self.folder / "data"),
        }
        return Settings.read(workspace=self.root, environ={**plain, **self.environ})

    @property
    def files(self) -> list[str]:
        """Everything that lies in the workspace."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def clip(self, name: str = "car.mp4", **how: int) -> str:
        """Make a clip beside the workspace and return its path."""
        return str(make_clip(self.folder / "clips" / name, **how))

    def call(self, tool: str, **arguments: Any) -> ToolResult:
        """Call a tool."""
        return call(tool, arguments, settings=self.settings)

    def follow(self, step: NextStep) -> ToolResult:
        """Make a call that a result named."""
        return self.call(step.tool, **step.arguments)

    def step(self, step: NextStep) -> ToolResult:
        """Make a call that a result named, and it alone."""
        return self.call(
            step.tool, **{name: value for name, value in step.arguments.items() if name != "go_on"}
        )

    def begin(self, *clips: str, engine: str = "local", **wanted: Any) -> str:
        """Begin a run and return its id."""
        result = self.call("select_flow", clips=list(clips), engine=engine, **wanted)
        assert result.run_id, result.problem
        return result.run_id

    def pass_until(self, run_id: str, tool: str) -> ToolResult:
        """Follow `next` from the run's time overview on, up to the call before `tool`."""
        result = self.call("estimate_time", run_id=run_id)
        for _ in range(MAX_STEPS):
            assert result.ok, result.problem
            if result.next[0].tool == tool:
                return result
            result = self.step(result.next[0])
        raise AssertionError(f"{run_id} never came to {tool}")

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Open the workspace's journal."""
        journal = Journal(self.settings.journal_file)
        try:
            yield journal
        finally:
            journal.close()

    def pretend(self, result: ToolResult) -> None:
        """Write a result into the journal as if its tool had been called."""
        with self.journal() as journal:
            journal.record(result.run_id, {}, result)

    def vda(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `vda` as a process, with the workspace named where the command takes one."""
        return subprocess.run(
            vda_command(*words, workspace=self.root),
            env=self.process_environ(**environ),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def process_environ(self, **more: str) -> dict[str, str]:
        """Return what a process of the skill finds around it."""
        return {**self.settings.environ, **more}


def vda_command(command: str, *words: str, workspace: Path) -> list[str]:
    """Return the argument list of a `vda` command in a workspace."""
    return [sys.executable, "-m", "skill_tools.cli", command, "--workspace", str(workspace), *words]


def rules_in(result: ToolResult) -> list[str]:
    """Return the ids of the rules that did more than nod."""
    return [decision.rule for decision in result.decisions]


def everything_in(folder: Path) -> bytes:
    """Return the contents of every file below a folder, and the journal's after its last write."""
    for database in folder.rglob("*.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA wal_checkpoint")
        connection.close()
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def one_object(text: str) -> dict[str, Any]:
    """Read a text that is one JSON object and nothing else."""
    found = json.loads(text)
    assert isinstance(found, dict)
    return found
