"""Maps that follow what moves, interpolated up to a plane's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from skill_tools.workers.augmentation.effects.growth import Growth


@pytest.mark.parametrize(
    ("small", "full"),
    [
        ((180, 320), (720, 1280)),
        ((240, 320), (576, 768)),
        ((180, 320), (480, 854)),
        ((101, 203), (303, 609)),
        ((7, 9), (14, 18)),
    ],
    ids=lambda size: f"{size[1]}x{size[0]}",
)
def test_a_map_that_follows_changes_is_as_if_all_had_been_grown(
    small: tuple[int, int], full: tuple[int, int]
) -> None:
    """Whatever changes from frame to frame, every pixel is that of the whole map's interpolation."""
    rng = np.random.default_rng(1)
    large, codes = np.empty(full, np.uint8), rng.integers(0, 256, small, dtype=np.uint8)
    growth = Growth({"gain": [large]})
    for _ in range(30):
        codes = codes.copy()
        for _ in range(3):
            top, left = (int(rng.integers(0, length)) for length in small)
            height, width = rng.integers(1, 30, 2).tolist()
            codes[top : top + height, left : left + width] = rng.integers(0, 256)
        growth.follow({"gain": codes})
        whole = cv2.resize(codes, full[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(large, whole)
