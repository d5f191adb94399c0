"""What tests of several rooms need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mock_osmo.bench import MockOsmo


@pytest.fixture
def mock_osmo(tmp_path: Path) -> MockOsmo:
    """Give an `osmo` that remembers nothing yet but one user, one pool and the bucket `s3://lab`."""
    folder = tmp_path / "lab"
    folder.mkdir()
    return MockOsmo(folder)
