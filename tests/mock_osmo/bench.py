"""The mock on PATH, what it was asked, and an engine that asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skill_tools.engines.base import SubmitRequest
from skill_tools.engines.osmo import OsmoEngine

HERE = Path(__file__).resolve().parent
EXECUTABLE = HERE / "osmo"

WORKFLOW = """\
workflow:
  name: "{{dataset}}"
  groups:
  - name: setup_group
    tasks:
    - name: setup
      image: ubuntu:22.04
      command: [bash, -c, "true"]
      outputs:
      - url: "{{storage_url}}/datasets/{{dataset}}-outputs/{{run_id}}/setup_b{{batch}}"
  - name: work_group
    tasks:
    - name: worker_0
      lead: true
      image: ubuntu:22.04
      command: [bash, -c, "true"]
      inputs: [{task: setup}]
    - name: worker_1
      image: ubuntu:22.04
      command: [bash, -c, "true"]
      inputs: [{task: setup}]
  resources:
    default: {cpu: 1, platform: "{{gpu_platform}}"}
default-values:
  batch: "0"
"""
VALUES = {"dataset": "demo", "run_id": "run-0a1b2c3d", "storage_url": "s3://lab", "gpu_platform": "h100"}


@dataclass
class MockOsmo:
    """A mock with its own memory; `environ` is what a process needs to find and use it."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put the mock first on PATH, and the interpreter that has its libraries right after."""
        path = f"{HERE}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {
            "PATH": path,
            "HOME": str(self.folder),
            "MOCK_OSMO_STATE": str(self.folder / "osmo"),
            **self.environ,
        }
        self.bucket("s3://lab")

    def engine(self, **environ: str) -> OsmoEngine:
        """Return an engine over the mock; pauses between its tries take no time."""
        return OsmoEngine(str(EXECUTABLE), environ={**self.environ, **environ}, sleep=self.pauses.append)

    def faulty(self, fault: str) -> OsmoEngine:
        """Return an engine over the mock with a fault dialled in."""
        return self.engine(MOCK_OSMO_FAULT=fault)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the mock."""
        return subprocess.run(
            ["osmo", *arguments],
            env={**self.environ, **environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def bucket(self, url: str) -> Path:
        """Make a bucket or container, or a folder of one, and return the folder behind it."""
        scheme, _, rest = url.partition("://")
        folder = Path(self.environ["MOCK_OSMO_STATE"]) / "storage" / scheme / rest
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, url: str, content: bytes) -> None:
        """Store an object."""
        folder, _, name = url.rpartition("/")
        (self.bucket(folder) / name).write_bytes(content)

    @property
    def state(self) -> dict[str, Any]:
        """What the mock remembers."""
        file = self._file("state.json")
        if not file.exists():
            self.run("version")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def change(self, **values: object) -> None:
        """Change what the mock remembers."""
        self._file("state.json").write_text(json.dumps({**self.state, **values}))

    @property
    def calls(self) -> list[list[str]]:
        """Every command so far, as argument lists."""
        file = self._file("calls.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def asked(self, *words: str) -> list[list[str]]:
        """Return the commands that begin with these words."""
        return [call for call in self.calls if call[: len(words)] == list(words)]

    def request(
        self, values: Mapping[str, str] | None = None, *, text: str = WORKFLOW, pool: str = "default"
    ) -> SubmitRequest:
        """Write a workflow file and return its submit."""
        file = self.folder / "flow.yaml"
        file.write_text(text)
        return SubmitRequest(file, {**VALUES, **(values or {})}, pool)

    def _file(self, name: str) -> Path:
        return Path(self.environ["MOCK_OSMO_STATE"]) / name
