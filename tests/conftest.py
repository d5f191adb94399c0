"""What tests of several rooms need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mock_osmo.bench import MockOsmo
from tests.tools.workspace_bench import Workspace


@pytest.fixture
def mock_osmo(tmp_path: Path) -> MockOsmo:
    """Give an `osmo` that remembers nothing yet but one user, one pool and the bucket `s3://lab`."""
    folder = tmp_path / "lab"
    folder.mkdir()
    return MockOsmo(folder)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give a workspace that nothing was done in yet."""
    return Workspace(tmp_path)
