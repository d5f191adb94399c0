"""An embedded engine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skill_tools.engines.local.engine import LocalEngine
from tests.engines.local_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give an embedded engine whose workflows are ended when the test is."""
    bench = Bench(tmp_path, LocalEngine(tmp_path / "state"))
    yield bench
    for workflow_id in bench.submitted:
        bench.engine.cancel(workflow_id)
    for workflow_id in bench.submitted:
        bench.end_of(workflow_id)
