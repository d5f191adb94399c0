"""A film's frames show the original and the variant with their words, in the clip's own codes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.media.drawing import Plate, plate, stamp
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.side_by_side import SideBySide, planar

SIZE = (320, 180)


def gradient() -> np.ndarray:
    """Return a BGR picture whose colours change smoothly."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.dstack([columns * 0.7, rows * 1.3, 255 - columns * 0.7]).astype(np.uint8)


def words(title: str) -> Plate:
    """Return words that such a picture has room for."""
    return plate(title, {}, picture_height=300, max_width=SIZE[0] - 20)


def to_planes(picture: np.ndarray, levels: Levels) -> Planes:
    """Return a BGR picture as planes."""
    return Planes.of(in_planes(VideoFrame.from_ndarray(picture, format="bgr24"), levels))


def to_picture(frame: VideoFrame, levels: Levels) -> np.ndarray:
    """Return a frame as a BGR picture."""
    return frame.to_ndarray(
        format="bgr24", src_colorspace=levels.matrix, src_color_range=2 if levels.full_range else 1
    )


@pytest.mark.parametrize("levels", [Levels(), Levels(full_range=True), Levels(matrix=1)])
@pytest.mark.parametrize("title", ["rain 0.86", "evening 0.9"])
def test_words_on_planes_look_as_on_a_picture(levels: Levels, title: str) -> None:
    """In any range and matrix, and whether the plate's sides are even or odd."""
    label, picture, planes = words(title), gradient(), to_planes(gradient(), levels)
    stamp(picture, label, 20, 10)
    for plane, part, half in zip(
        (planes.y, planes.u, planes.v), planar(label, levels), (1, 2, 2), strict=True
    ):
        stamp(plane, part, 20 // half, 10 // half)
    apart = cv2.absdiff(to_picture(planes.framed(), levels), picture)
    # What is left is the rounding of codes, there and back, and colour at half the size.
    assert apart[10 : 10 + label.height, 20 : 20 + label.width].mean() < apart.mean() + 2


def test_both_sides_are_shown_whole() -> None:
    """But for the words in the outer corners, each side is its frame to the last bit."""
    before, after = to_planes(gradient(), Levels()), to_planes(255 - gradient(), Levels())
    shown = Planes.of(SideBySide(SIZE, Levels(), words("clip"), words("night")).frame(before, after))
    assert shown.size == (2 * SIZE[0], SIZE[1])
    assert np.array_equal(shown.y[60:, : SIZE[0]], before.y[60:])
    assert np.array_equal(shown.y[60:, SIZE[0] :], after.y[60:])
    assert np.array_equal(shown.u[30:, SIZE[0] // 2 :], after.u[30:])
    for side, plain in ((shown.y[:, : SIZE[0]], before.y), (shown.y[:, SIZE[0] :], after.y)):
        changed = np.flatnonzero((side != plain).any(axis=0))
        assert changed.size > 20
    assert (shown.y[:, : SIZE[0]] != before.y)[:, : SIZE[0] // 2].any()
    assert not (shown.y[:, SIZE[0] :] != after.y)[:, : SIZE[0] // 2].any()
