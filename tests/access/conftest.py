"""A server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.access.web_lab import WebLab


@pytest.fixture
def web() -> Iterator[WebLab]:
    """Give a real HTTP server on this machine."""
    lab = WebLab()
    yield lab
    lab.close()
