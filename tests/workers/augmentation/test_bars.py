"""Black bars around a picture stay black, and the picture between is edited as one without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.bars import picture_in
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.preview import Request, preview
from skill_tools.workers.augmentation.variant import METADATA_NAME

from .conftest import HEIGHT, WIDTH, planes, street, variant_of, write_street


def in_bars(picture: np.ndarray, above: int = 0, beside: int = 0) -> np.ndarray:
    """Return a BGR picture with black bars around it."""
    return cv2.copyMakeBorder(picture, above, above, beside, beside, cv2.BORDER_CONSTANT)


def night() -> np.ndarray:
    """Return a picture whose sky is black, gets lighter towards the ground, and whose corners are dark."""
    rows = np.linspace(0, 90, HEIGHT)[:, None] * np.hanning(WIDTH)[None]
    return np.repeat(np.maximum(rows - 20, 0)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(("above", "beside"), [(24, 0), (0, 40), (12, 20), (9, 0)])
def test_the_picture_between_bars_is_found(above: int, beside: int) -> None:
    """Above, beside or around; an odd bar gives a line to the picture, since chroma has two a sample."""
    frames = [planes(in_bars(street(index), above, beside)) for index in range(0, 12, 4)]
    odd = above % 2
    assert picture_in(frames) == Box(beside, above - odd, WIDTH, HEIGHT + 2 * odd)


def test_bars_are_found_behind_a_fade() -> None:
    """A scene that comes out of the dark has the bars that it has when it is light."""
    frames = [planes((in_bars(street(0), 24) * gain).astype(np.uint8)) for gain in (0.0, 0.3, 0.9)]
    assert picture_in(frames) == Box(0, 24, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "picture",
    [
        street(0),
        night(),
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        in_bars(street(0), 24)[24:],
        cv2.putText(in_bars(street(0), 24), "12:00", (2, HEIGHT + 46), 0, 1.4, (255, 255, 255), 3),
        cv2.rectangle(in_bars(street(0), 24), (0, 0), (WIDTH, 23), (90, 20, 10), -1),
    ],
    ids=["no bars", "a night sky", "nothing", "one bar", "a bar of words", "a coloured bar"],
)
def test_what_is_no_pair_of_black_bars_belongs_to_the_picture(picture: np.ndarray) -> None:
    """Only what is black, even and the same on both sides is left out."""
    assert picture_in([planes(picture)]) is None


@pytest.fixture
def letterboxed(tmp_path: Path) -> Path:
    """Return a clip of the street with a bar above and one below."""
    with ClipWriter(tmp_path / "letterboxed.mp4", width=WIDTH, height=HEIGHT + 48, rate=25, crf=8) as writer:
        for index in range(12):
            writer.write_bgr(in_bars(street(index), 24), index)
    return tmp_path / "letterboxed.mp4"


def lumas(path: Path) -> list[np.ndarray]:
    """Return the luma of each frame."""
    return [Planes.of(frame).y.astype(int) for frame in read_frames(path)]


@pytest.mark.parametrize("wanted", ["weather=fog", "weather=snow", "time_of_day=night"])
def test_a_variant_keeps_the_bars_and_edits_the_picture(
    letterboxed: Path, tmp_path: Path, wanted: str
) -> None:
    """No fog lies on a bar and nothing falls before it; the picture is like that of a clip without bars."""
    barred = lumas(variant_of(letterboxed, tmp_path / "barred", wanted))
    bare = lumas(variant_of(write_street(tmp_path / "letterboxed_.mp4"), tmp_path / "bare", wanted))
    bars = [np.vstack([luma[:22], luma[-22:]]) for luma in barred]
    assert max(bar.max() for bar in bars) <= 20
    assert np.mean([abs(one[24:-24].mean() - two.mean()) for one, two in zip(barred, bare, strict=True)]) < 3
    told = json.loads((tmp_path / "barred" / METADATA_NAME).read_text())
    assert told["scenes"][0]["picture"] == {"left": 0, "top": 24, "across": WIDTH, "down": HEIGHT}
    assert f"Black bars stay as they are; the picture has {WIDTH}x{HEIGHT} pixels." in told["notes"]


@pytest.mark.parametrize("kind", ["still", "video"])
def test_a_preview_keeps_the_bars_as_well(
    letterboxed: Path, tmp_path: Path, kind: Literal["still", "video"]
) -> None:
    """What a run leaves alone, its preview does."""
    output = tmp_path / ("p.png" if kind == "still" else "p.mp4")
    preview(Request(letterboxed, output, kind, variables={"weather": "fog"}, alone=True))
    shown = cv2.imread(str(output)).max(axis=2) if kind == "still" else lumas(output)[-1]
    assert max(shown[:22].max(), shown[-22:].max()) <= 24
    assert shown[30:60].mean() > 120
