"""A clip that is dark, rainy, foggy or snowy already is recognised, and not made so a second time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skill_tools.media.probe import probe
from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.cli import main

SAMPLE = Path(__file__).parents[3] / "assets/samples/campus_walkway.mp4"
FRAMES = 32


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the first seconds of a real clip in full daylight."""
    path, info = tmp_path_factory.mktemp("campus") / "campus.mp4", probe(SAMPLE)
    with ClipWriter(
        path,
        width=info.width,
        height=info.height,
        rate=info.fps,
        time_base=info.time_base,
        crf=12,
        preset="ultrafast",
        like=info,
    ) as writer:
        for _, frame in zip(range(FRAMES), read_frames(SAMPLE), strict=False):
            writer.write(frame)
    return path


def variant(clip: Path, folder: Path, **values: str) -> tuple[Path, dict[str, Any]]:
    """Make a strong variant; return its clip and its metadata."""
    config = folder.with_suffix(".json")
    config.write_text(
        json.dumps(
            {
                "data": {"input_video": str(clip), "output_dir": str(folder)},
                "augmentation": {"sampled_vars": values, "strength": 0.85},
                "output": {"crf": 12, "preset": "ultrafast"},
                "pipeline": {"retry": 0},
            }
        )
    )
    assert main(["--config", str(config)]) == 0
    return folder / "augmented_video.mp4", json.loads((folder / "metadata.json").read_text())


def lumas(clip: Path) -> np.ndarray:
    """Return the luma of every fourth frame."""
    frames = [frame.to_ndarray()[: frame.height] for frame in read_frames(clip)]
    return np.stack(frames[::4]).astype(np.float32)


@pytest.mark.parametrize(
    ("variable", "value", "note"),
    [
        ("time_of_day", "night", "dark already"),
        ("time_of_day", "sunset", "colour already"),
        ("weather", "rain", "falls in the source already"),
        ("weather", "snow", "falls in the source already"),
        ("weather", "fog", "foggy already"),
    ],
)
def test_what_is_there_already_is_not_doubled(
    variable: str, value: str, note: str, campus: Path, tmp_path: Path
) -> None:
    """Made again from a variant, a value changes far less than it did at first, and the notes say why."""
    first, told = variant(campus, tmp_path / "first", **{variable: value})
    again, told_again = variant(first, tmp_path / "again", **{variable: value})
    source, once, twice = lumas(campus), lumas(first), lumas(again)
    assert np.abs(twice - once).mean() < 0.55 * np.abs(once - source).mean()
    assert not any("already" in said for said in told["notes"])
    assert any(note in said for said in told_again["notes"])
    assert told_again["evaluators"]["attribute_verification"]["already_in_the_source"] == [variable]


def test_a_night_does_not_turn_black(campus: Path, tmp_path: Path) -> None:
    """Darkened a third time, what could be seen can still be seen."""
    clip = campus
    for name in ("a", "b", "c"):
        clip, _ = variant(clip, tmp_path / name, time_of_day="night")
    luma = lumas(clip)
    assert np.median(luma) > 30
    assert np.percentile(luma, 95) - np.percentile(luma, 5) > 20


def test_snow_on_snow_stays_snow(campus: Path, tmp_path: Path) -> None:
    """The ground isn't burnt out, and its relief is kept."""
    first, _ = variant(campus, tmp_path / "first", surface="snow")
    again, _ = variant(first, tmp_path / "again", surface="snow")
    ground = lumas(again)[:, 330:560, 20:420]
    assert 150 < np.median(ground) < 215
    assert ground.std() > 4


def test_lit_and_weathered_clips_are_no_false_alarm(campus: Path, tmp_path: Path) -> None:
    """Another value than the source's own is shown in full: a night in a rainy clip, fog at sunset."""
    rainy, _ = variant(campus, tmp_path / "rain", weather="rain")
    _, told = variant(rainy, tmp_path / "night", time_of_day="night")
    verified = told["evaluators"]["attribute_verification"]
    assert verified["passed"]
    assert "already_in_the_source" not in verified
