"""Rectangles of whole pixels, and which of them are alike and stand in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skill_tools.workers.augmentation.planes import Plane

_FEWEST = 3


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels."""

    left: int
    top: int
    across: int
    down: int

    @property
    def area(self) -> int:
        """Pixels."""
        return self.across * self.down

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.across, self.down

    @property
    def right(self) -> int:
        """The column behind its last one."""
        return self.left + self.across

    @property
    def bottom(self) -> int:
        """The row below its last one."""
        return self.top + self.down

    @property
    def centre(self) -> tuple[float, float]:
        """Column and row of the middle."""
        return self.left + (self.across - 1) / 2, self.top + (self.down - 1) / 2

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts the box out of a plane."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def in_planes(self) -> tuple[tuple[slice, slice], ...]:
        """What cuts it out of the three planes of a 4:2:0 frame, if it begins on an even column and row."""
        halves = (
            slice(self.top // 2, (self.bottom + 1) // 2),
            slice(self.left // 2, (self.right + 1) // 2),
        )
        return self.slices, halves, halves

    def scaled_by(self, across: float, down: float) -> Box:
        """Return the box of a picture scaled by such factors: it begins on an even column and row."""
        left, top = (2 * round(edge * by / 2) for edge, by in ((self.left, across), (self.top, down)))
        return Box(
            left, top, max(2, round(self.right * across) - left), max(2, round(self.bottom * down) - top)
        )

    def meets(self, other: Box) -> bool:
        """Tell whether two boxes have a pixel in common."""
        return max(self.left, other.left) < min(self.right, other.right) and max(self.top, other.top) < min(
            self.bottom, other.bottom
        )

    def joined(self, other: Box) -> Box:
        """Return the smallest box around two."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)

    def wider(self, by: int, shape: tuple[int, ...]) -> Box:
        """Return the box with a margin, as far as a plane of `shape` goes."""
        left, top = max(0, self.left - by), max(0, self.top - by)
        right, bottom = min(shape[1], self.right + by), min(shape[0], self.bottom + by)
        return Box(left, top, right - left, bottom - top)

    def scaled(self, small: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return what cuts the box out of a plane of `shape` that shows what one of `small` does."""
        rows, columns = shape[0] / small[0], shape[1] / small[1]
        return (
            slice(round(self.top * rows), round(self.bottom * rows)),
            slice(round(self.left * columns), round(self.right * columns)),
        )


def alike(boxes: Sequence[Box], luma: Plane, within: float) -> Iterator[list[int]]:
    """Yield the indices of boxes that stand beside or above one another, of one size, three or more.

    Their mean lumas differ by less than `within` codes from one to the next.
    """
    tone = [float(luma[box.slices].mean()) for box in boxes]
    groups = {index: {index} for index in range(len(boxes))}
    for one, box in enumerate(boxes):
        for other in range(one):
            near = abs(tone[one] - tone[other]) < within and groups[one] is not groups[other]
            if near and _neighbours(box, boxes[other]):
                groups[one] |= groups[other]
                for index in groups[other]:
                    groups[index] = groups[one]
    for first, members in groups.items():
        if first == min(members) and len(members) >= _FEWEST:
            yield sorted(members)


def _neighbours(one: Box, other: Box) -> bool:
    tall, short = max(one.down, other.down), min(one.down, other.down)
    wide, narrow = max(one.across, other.across), min(one.across, other.across)
    if tall > 1.35 * short + 1 or wide > 1.8 * narrow + 1:
        return False
    right, below = np.abs(np.subtract(one.centre, other.centre))
    beside = below < 0.3 * short + 0.25 * right and wide <= right < 3.2 * wide + 2
    above = right < 0.3 * narrow and tall <= below < 3.0 * tall + 2
    return bool(beside or above)
