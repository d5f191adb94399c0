"""The engines that the contract is held against, each in a laboratory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skill_tools.engines.base import Engine, SubmitRequest, WorkflowState, has_ended
from skill_tools.engines.local.engine import LocalEngine
from tests.engines.local_bench import wait_for
from tests.mock_osmo.bench import MockOsmo

WORKFLOW = """\
workflow:
  name: "{{dataset}}"
  timeout: {exec_timeout: 10m}
  resources:
    default: {cpu: 1, platform: "{{gpu_platform}}"}
  groups:
  - name: setup_group
    tasks:
    - name: setup
      image: ubuntu:22.04
      command: [bash, -c]
      args: ["echo configured; {{setup}}; cat {{input:0}}/* > {{output}}/config"]
      inputs: [{url: "{{storage_url}}/datasets/{{dataset}}"}]
      outputs: [{url: "{{storage_url}}/datasets/{{dataset}}-outputs/{{run_id}}/setup_b{{batch}}"}]
  - name: work_group
    tasks:
    - name: worker_0
      lead: true
      image: ubuntu:22.04
      command: [bash, -c]
      args: ["echo one; echo two; echo three; cp {{input:0}}/config {{output}}/made"]
      inputs: [{task: setup}]
      outputs: [{url: "{{storage_url}}/datasets/{{dataset}}-outputs/{{run_id}}/outputs"}]
    - name: worker_1
      image: ubuntu:22.04
      command: [bash, -c, "test -e {{input:setup}}/config"]
      inputs: [{task: setup}]
default-values:
  batch: "0"
  setup: "true"
"""


@dataclass
class Lab:
    """An engine, a storage, and a workflow that reads from it and writes to it."""

    engine: Engine
    folder: Path
    storage_url: str
    pool: str
    platform: str
    submitted: list[str] = field(default_factory=list)

    def request(self, *, without: str = "", pool: str | None = None, **values: str) -> SubmitRequest:
        """Return the submit of the workflow with these values, and `without` one of them."""
        file = self.folder / "flow.yaml"
        file.write_text(WORKFLOW)
        given = {
            "dataset": "demo",
            "run_id": "run-0a1b2c3d",
            "storage_url": self.storage_url,
            "gpu_platform": self.platform,
            **values,
        }
        given.pop(without, None)
        return SubmitRequest(file, given, pool or self.pool)

    def submit(self, **values: str) -> str:
        """Submit the workflow."""
        self.submitted.append(self.engine.submit(self.request(**values)).workflow_id)
        return self.submitted[-1]

    def watch(self, workflow_id: str) -> list[WorkflowState]:
        """Ask for a workflow's state until it has ended, and return all that was seen."""
        seen: list[WorkflowState] = []

        def is_over() -> bool:
            seen.append(self.engine.query(workflow_id))
            return has_ended(seen[-1].status)

        wait_for(is_over, f"the end of {workflow_id}")
        return seen

    def end_of(self, workflow_id: str) -> WorkflowState:
        """Wait for a workflow's end and return its state."""
        return self.watch(workflow_id)[-1]

    def holds(self, url: str, **sizes: int) -> bool:
        """Tell whether exactly these files lie below a URL; sizes are compared where they are known."""
        found = {stored.path: stored.size for stored in self.engine.list(url)}
        return found.keys() == sizes.keys() and all(
            found[path] in {None, size} for path, size in sizes.items()
        )


def _local(folder: Path) -> Lab:
    store = folder / "my store"
    store.mkdir()
    return Lab(LocalEngine(folder / "state"), folder, store.as_uri(), "local", "embedded")


def _osmo(folder: Path) -> Lab:
    (folder / "osmo").mkdir()
    engine = MockOsmo(folder / "osmo").engine(MOCK_OSMO_RUN="1")
    return Lab(engine, folder, "s3://lab", "default", "h100")


LABS: dict[str, Callable[[Path], Lab]] = {"local": _local, "osmo": _osmo}


@pytest.fixture(params=sorted(LABS))
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Give each engine in turn; its workflows are ended when the test is."""
    lab = LABS[request.param](tmp_path)
    yield lab
    for workflow_id in lab.submitted:
        lab.engine.cancel(workflow_id)
        lab.end_of(workflow_id)


@pytest.fixture
def engine(lab: Lab) -> Engine:
    """Give each engine in turn."""
    return lab.engine
