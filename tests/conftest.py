"""What tests of several rooms need; what a fixture is made of is imported when one is asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.access.web_lab import WebLab
    from tests.mock_osmo.bench import MockOsmo
    from tests.tools.osmo_bench import OsmoWorkspace
    from tests.tools.workspace_bench import Workspace

# What a shell puts in the background is deaf to Ctrl-C, and so would be what tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def mock_osmo(tmp_path: Path) -> MockOsmo:
    """Give an `osmo` that remembers nothing yet but one user, one pool and the bucket `s3://lab`."""
    from tests.mock_osmo.bench import MockOsmo

    folder = tmp_path / "lab"
    folder.mkdir()
    return MockOsmo(folder)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give a workspace that nothing was done in yet."""
    from tests.tools.workspace_bench import Workspace

    return Workspace(tmp_path)


@pytest.fixture
def web() -> Iterator[WebLab]:
    """Give a real HTTP server on this machine."""
    from tests.access.web_lab import WebLab

    lab = WebLab()
    yield lab
    lab.close()


@pytest.fixture
def cluster(tmp_path: Path, mock_osmo: MockOsmo, web: WebLab) -> OsmoWorkspace:
    """Give a workspace on the mock `osmo`, with a hub and registries on this machine."""
    from tests.tools.osmo_bench import OsmoWorkspace

    return OsmoWorkspace(tmp_path, mock_osmo, web)
