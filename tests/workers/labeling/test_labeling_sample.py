"""The whole way on the sample clip: real people, followed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from skill_tools.workers.labeling.config import load_config
from skill_tools.workers.labeling.job import run_job
from skill_tools.workers.labeling.summary import Summary


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that the labels go to."""
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def summary(sample_clip: Path, out: Path) -> Summary:
    """Label the whole sample clip."""
    return run_job(load_config(None, [f"data.input_video={sample_clip}", f"data.output_dir={out}"]), {})


def test_people_and_cars_are_counted(summary: Summary) -> None:
    """About a dozen people and exactly the two parked cars are tracked, and nothing that isn't there."""
    assert 10 <= summary.tracks["person"] <= 15
    assert summary.tracks["car"] == 2
    assert summary.tracks["bus"] == summary.tracks["motorcycle"] == 0


def test_parked_cars_keep_their_numbers(summary: Summary, out: Path) -> None:
    """What stands still through the clip is one track through the clip."""
    ids = Counter(line.split(",")[1] for line in (out / "tracks_mot.txt").read_text().splitlines())
    assert sum(1 for frames in ids.values() if frames >= 0.95 * summary.frames) >= 2
