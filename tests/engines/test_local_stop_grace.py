"""What a stopped task's own processes are given to tidy up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from skill_tools.engines.base import SubmitRequest, has_ended
from skill_tools.engines.local.engine import LocalEngine

TIDY = """
import pathlib, signal, sys, time
def tidy(*_):
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).write_text("tidied")
    sys.exit(0)
signal.signal(signal.SIGTERM, tidy)
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


def test_work_that_a_shell_waits_for_has_the_grace_to_tidy_up(tmp_path: Path) -> None:
    """A shell dies of the stop at once; its child still gets to the end of its own clean-up."""
    tidied, ready = tmp_path / "tidied", tmp_path / "ready"
    worker = tmp_path / "worker.py"
    worker.write_text(TIDY)
    workflow = tmp_path / "flow.yaml"
    task = {
        "name": "work",
        "image": "any",
        "command": ["bash", "-c", f"{sys.executable} {worker} {tidied} {ready}; true"],
    }
    workflow.write_text(yaml.safe_dump({"version": 2, "workflow": {"name": "grace", "tasks": [task]}}))
    engine = LocalEngine(tmp_path / "engine")
    workflow_id = engine.submit(SubmitRequest(workflow, {}, "local")).workflow_id
    _until(ready.exists)

    engine.cancel(workflow_id)
    _until(lambda: has_ended(engine.query(workflow_id).status))

    assert engine.query(workflow_id).status == "FAILED_CANCELED"
    assert tidied.read_text() == "tidied"


def _until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
