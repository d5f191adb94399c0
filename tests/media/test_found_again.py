"""A box is found again where the variant has one of its class, in its frame and nearly its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skill_tools.media.found_again import FoundAgain, matches


def labels(*boxes: tuple[int, int, tuple[float, ...]]) -> dict[str, Any]:
    """Return a COCO document with boxes: image, category, and left, top, width, height."""
    return {
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": list(box)} for image, category, box in boxes
        ]
    }


ORIGINAL = labels((1, 1, (10, 10, 20, 40)), (1, 3, (50, 50, 30, 20)), (2, 1, (12, 10, 20, 40)))


@pytest.mark.parametrize(
    ("variant", "found"),
    [
        (ORIGINAL, 3),
        (labels(), 0),
        (labels((1, 1, (14, 12, 20, 40))), 1),
        (labels((1, 1, (30, 10, 20, 40))), 0),
        (labels((1, 2, (10, 10, 20, 40))), 0),
        (labels((3, 1, (10, 10, 20, 40))), 0),
        (labels((2, 1, (12, 10, 20, 40)), (2, 1, (13, 10, 20, 40))), 1),
    ],
)
def test_frame_class_and_place_have_to_agree(variant: dict[str, Any], found: int) -> None:
    """Another frame, another class and another place aren't the box; a doubled one counts once."""
    result = FoundAgain.of(ORIGINAL, variant)
    assert result == FoundAgain(3, found)
    assert result.share == found / 3


def test_each_box_is_found_by_one_alone() -> None:
    """Two boxes that overlap need two boxes to be found, and the better pair goes first."""
    two = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], float)
    assert matches(two, two[:1]) == 1
    assert matches(two, two) == 2


def test_nothing_to_compare() -> None:
    """Without labels on both sides there is no figure; without boxes nothing is missed."""
    assert FoundAgain.of(ORIGINAL, None) is None
    assert FoundAgain.of(None, ORIGINAL) is None
    none = FoundAgain.of(labels(), ORIGINAL)
    assert none is not None
    assert none.share == 1
