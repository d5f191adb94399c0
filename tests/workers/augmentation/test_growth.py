"""Maps that follow what moves: joined, and interpolated up to a plane's size."""

from __future__ import annotations

from functools import reduce
from typing import cast

import cv2
import numpy as np
import pytest

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.effects.growth import Growth
from skill_tools.workers.augmentation.effects.veils import Change, FixedVeil, JoinedVeils, Spared
from skill_tools.workers.augmentation.scene import View

_SHAPE = (18, 32)


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
    names = ("gain", "add", "more")
    large = {name: np.empty(full, np.uint8) for name in names}
    codes = {name: rng.integers(0, 256, small, dtype=np.uint8) for name in names}
    growth = Growth({name: [plane] for name, plane in large.items()})
    for turn in range(40):
        codes = {name: plane.copy() for name, plane in codes.items()}
        for number in range(3):
            # Now and then at an edge of the picture, where interpolation has nothing beyond.
            top, left = (int(rng.integers(-4, length)) for length in small)
            height, width = rng.integers(5, 30, 2).tolist()
            changed = names if turn % 2 else names[: number + 1]
            for name in changed:
                codes[name][max(0, top) : top + height, max(0, left) : left + width] = rng.integers(0, 256)
        growth.follow(codes)
        for name, plane in large.items():
            whole = cv2.resize(codes[name], full[::-1], interpolation=cv2.INTER_LINEAR)
            np.testing.assert_array_equal(plane, whole)


def _some_change(rng: np.random.Generator) -> Change:
    gain, *adds = rng.random((4, *_SHAPE)).astype(np.float32)
    return Change(gain, *(40 * add for add in adds))


class _Passing:
    """A veil that spares something else in each frame."""

    def __init__(self, change: Change, rng: np.random.Generator) -> None:
        self._change, self._rng = change, rng

    def change(self, view: View) -> Spared:  # noqa: ARG002 - every veil takes one
        """Return the change, spared in some place and lit in another."""
        cover = np.zeros(_SHAPE, np.uint8)
        cover[3:9, 10:20] = self._rng.integers(0, 256, (6, 10))
        box = Box(8, 5, 12, 13)
        self.last = Spared(self._change, cover, (box, self._rng.random((13, 12)).astype(np.float32) * 30))
        return self.last


@pytest.mark.parametrize("where", range(3))
def test_a_change_that_spares_what_passes_is_joined_as_if_it_had_been_made_anew(where: int) -> None:
    """Joined with and without it once, the bytes come out as those of the chain made for the frame."""
    rng = np.random.default_rng(3)
    others = [_some_change(rng) for _ in range(2)]
    passing = _Passing(_some_change(rng), rng)
    veils = JoinedVeils([*map(FixedVeil, others[:where]), passing, *map(FixedVeil, others[where:])])
    for _ in range(3):
        codes = veils.change(cast("View", None)).codes()
        whole = reduce(Change.then, [*others[:where], passing.last.whole(), *others[where:]]).codes()
        for name, plane in whole.items():
            np.testing.assert_allclose(codes[name], plane.astype(np.float64), atol=1)
            assert float((codes[name] != plane).mean()) < 0.01, name


def test_of_two_changes_that_spare_what_passes_both_do() -> None:
    """One is made for the frame, the other joined."""
    rng = np.random.default_rng(4)
    veils = [_Passing(_some_change(rng), rng) for _ in range(2)]
    codes = JoinedVeils(veils).change(cast("View", None)).codes()
    whole = veils[0].last.whole().then(veils[1].last.whole()).codes()
    for name, plane in whole.items():
        np.testing.assert_allclose(codes[name], plane.astype(np.float64), atol=1)
