"""A variant's mean luma changes no more from frame to frame than its source's does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.config import load_config
from skill_tools.workers.augmentation.effects.base import Grade
from skill_tools.workers.augmentation.effects.steadying import Steadying
from skill_tools.workers.augmentation.planes import Levels, Planes
from skill_tools.workers.augmentation.scene import Scene, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker
from skill_tools.workers.augmentation.variant import METADATA_NAME, VIDEO_NAME, make_variants

SAMPLE = Path(__file__).resolve().parents[3] / "assets/samples/campus_walkway.mp4"
SIZE = (160, 90)
RATE = 25
CONTRAST = 1.4


def lit(level: float, *, shift: int = 0) -> Planes:
    """Return a textured picture of a mean luma, moved by some columns."""
    texture = np.random.default_rng(3).normal(0, 12, SIZE[::-1])
    luma = np.clip(level + np.roll(texture, shift, axis=1), 16, 235)
    chroma = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    return Planes(np.rint(luma).astype(np.uint8), chroma, chroma.copy())


def scene_of(*, still: bool) -> Scene:
    """Return the scene of a camera that stands or turns."""
    scene = understand(
        [shrunk(lit(120, shift=0 if still else 9 * index)) for index in range(12)], SIZE, Levels()
    )
    assert scene.still is still
    return scene


def shown(levels: Sequence[float], scene: Scene, *, steadied: bool) -> np.ndarray:
    """Return the mean luma of frames whose contrast was deepened."""
    stage, steadying, tracker = Grade.contrast(CONTRAST).stage(Levels()), Steadying(scene), Tracker(scene)
    means = []
    for index, level in enumerate(levels):
        planes = lit(level)
        view = tracker.look(lit(level), index, index / RATE)
        planes = stage.apply(planes, view)
        means.append((steadying.apply(planes, view) if steadied else planes).y.mean())
    return np.array(means)


def jitter(means: Sequence[float] | np.ndarray) -> float:
    """Return the mean change from frame to frame."""
    return float(np.abs(np.diff(means)).mean())


@pytest.mark.parametrize("codes", [0.5, 2.0, 12.0])
def test_contrast_adds_nothing_to_a_flicker(codes: float) -> None:
    """A lamp's flicker is none the stronger for a deeper contrast, which by itself makes it so."""
    levels = [120 + codes * (-1) ** index for index in range(40)]
    scene = scene_of(still=True)
    assert jitter(shown(levels, scene, steadied=False)) > 1.2 * jitter(levels)
    assert jitter(shown(levels, scene, steadied=True)) <= jitter(levels)


def test_least_flicker_is_weakened_under_a_moving_camera() -> None:
    """What encoders would add to finds half of it gone, large changes are kept nearly whole."""
    scene = scene_of(still=False)
    small, large = ([120 + codes * (-1) ** index for index in range(40)] for codes in (0.4, 20.0))
    assert jitter(shown(small, scene, steadied=True)) < 0.5 * jitter(small)
    assert jitter(shown(large, scene, steadied=True)) > 0.7 * jitter(large)


@pytest.mark.parametrize("codes", [0.1, 0.2, 0.3])
def test_fog_that_thickens_is_not_made_to_flicker(codes: float) -> None:
    """Where most pixels share a code and get darker bit by bit, nothing is lifted by more than that."""
    scene = scene_of(still=False)
    steadying, tracker, source = Steadying(scene), Tracker(scene), lit(120)
    plain, steadied = [], []
    for index in range(60):
        planes = lit(150 - codes * index / 3, shift=index)
        planes.y[:60] = round(180 - codes * index / 3)
        plain.append(planes.y.mean())
        steadied.append(steadying.apply(planes, tracker.look(source, index, index / RATE)).y.mean())
    assert jitter(steadied) <= 1.05 * jitter(plain) + 0.01


def test_what_lasts_is_shown_as_the_effects_have_it() -> None:
    """Two seconds after the light has changed for good, the grade alone is to be seen."""
    levels = [120.0] * 10 + [70.0] * 60
    scene = scene_of(still=True)
    steadied, plain = (shown(levels, scene, steadied=choice) for choice in (True, False))
    assert steadied[-1] == pytest.approx(plain[-1], abs=1.0)
    assert np.abs(np.diff(steadied)).max() < np.abs(np.diff(plain)).max()


def test_an_even_clip_is_left_alone() -> None:
    """Frames of an even light are the very ones given, to the last bit, and not copied."""
    scene = scene_of(still=True)
    steadying, tracker = Steadying(scene), Tracker(scene)
    for index in range(5):
        planes = lit(120)
        assert steadying.apply(planes, tracker.look(planes, index, index / RATE)) is planes


def means_of(path: Path) -> list[float]:
    """Return the mean luma of each of a clip's frames."""
    return [Planes.of(frame, editable=False).y.mean() for frame in read_frames(path)]


def variant_of(clip: Path, folder: Path, *wanted: str) -> Path:
    """Make a variant in a folder; return its file."""
    config = folder / "config.yaml"
    config.write_text("data: {input_video: '', output_dir: ''}\n")
    given = [f"data.input_video={clip}", f"data.output_dir={folder}"]
    make_variants([load_config(config, [*given, *(f"augmentation.sampled_vars.{each}" for each in wanted)])])
    return folder / VIDEO_NAME


def turned(path: Path, frames: int = 60) -> Path:
    """Write the sample as a camera sees it that turns by a pixel a frame."""
    with ClipWriter(path, width=640, height=272, rate=Fraction(RATE), crf=10) as writer:
        for index, frame in enumerate(islice(read_frames(SAMPLE), frames)):
            picture = cv2.resize(frame.to_ndarray(format="bgr24"), (768, 326), interpolation=cv2.INTER_CUBIC)
            writer.write_bgr(picture[27:299, index : index + 640], index)
    return path


@pytest.mark.parametrize("value", ["weather=clear", "lighting=dim"])
def test_a_variants_file_is_as_steady_as_its_source(tmp_path: Path, value: str) -> None:
    """The encoder adds nothing to a quiet clip's changes of light, be they deepened or dark and grainy."""
    variant = variant_of(SAMPLE, tmp_path, value)
    assert jitter(means_of(variant)) <= 1.05 * jitter(means_of(SAMPLE))


def test_a_quiet_file_is_steady_under_a_moving_camera_too(tmp_path: Path) -> None:
    """Where a turning camera sees an even light, the encoder adds no flicker, though nothing is edited."""
    clip = turned(tmp_path / "turned.mp4")
    variant = variant_of(clip, tmp_path)
    assert not json.loads((tmp_path / METADATA_NAME).read_text())["scenes"][0]["still"]
    assert jitter(means_of(variant)) <= 1.05 * jitter(means_of(clip))
