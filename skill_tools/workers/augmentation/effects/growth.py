"""Maps of the small size at a plane's size, of which only what changed is interpolated again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from math import lcm

import cv2
import numpy as np

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Plane

_CELL = 8  # pixels of the small size, at least
_LARGEST_CELL = 32
_MOST = 0.6  # of the cells; if more have changed, all is grown at once


class Growth:
    """Small maps interpolated up to planes' sizes, in memory that stays its own.

    Before a standing camera maps change where something moves, and growing them is what a veil costs. They
    are compared with those before in square cells whose edges are pixels of all sizes, and changed cells
    are grown with what lies around them, so that each pixel comes out as if all had been grown.
    """

    def __init__(self, full: Mapping[str, Sequence[Plane]]) -> None:
        """Grow each map into the arrays of bytes that `full` names for it."""
        self._full = [(name, plane) for name, planes in full.items() for plane in planes]
        self._codes: Mapping[str, Plane] = {}
        self._unit = self._cell = 0

    def follow(self, codes: Mapping[str, Plane]) -> None:
        """Make the large maps show small ones, of bytes and all of one size."""
        boxes = self._changed(codes)
        self._codes = codes
        for name, full in self._full:
            if boxes is None:
                cv2.resize(codes[name], full.shape[::-1], dst=full, interpolation=cv2.INTER_LINEAR)
            else:
                for box in boxes:
                    self._grow(codes[name], full, box)

    def _changed(self, codes: Mapping[str, Plane]) -> list[Box] | None:
        """Return the boxes, in cells, that hold every change; None for everything."""
        if not self._codes:
            self._unit = lcm(*(_unit(codes[name].shape, full.shape) for name, full in self._full))
            self._cell = self._unit * -(-_CELL // self._unit)
            return None
        if self._cell > _LARGEST_CELL:
            return None
        changes = reduce(cv2.max, (cv2.absdiff(part, self._codes[name]) for name, part in codes.items()))
        # Each pixel gets the most of the cell that begins there.
        most = cv2.dilate(changes, np.ones((self._cell, self._cell), np.uint8), anchor=(0, 0))
        cells = np.ascontiguousarray(most[:: self._cell, :: self._cell])
        boxes = list(_boxes(cells))
        area = sum(box.area for box in boxes)
        return boxes if area < _MOST * cells.size else None

    def _grow(self, codes: Plane, full: Plane, box: Box) -> None:
        rows, columns = (
            _Span.around(cells.start, cells.stop, self._cell, self._unit, little, large)
            for cells, little, large in zip(box.slices, codes.shape, full.shape, strict=True)
        )
        grown = cv2.resize(
            codes[rows.source, columns.source], (columns.length, rows.length), interpolation=cv2.INTER_LINEAR
        )
        full[rows.target, columns.target] = grown[rows.inner, columns.inner]


@dataclass(frozen=True)
class _Span:
    """Some cells of an axis, and around them what they are interpolated from and what hangs on them."""

    source: slice
    """Of the small size."""
    length: int
    """That of the source, grown."""
    target: slice
    """Of the full size."""
    inner: slice
    """The target, counted from the source's start."""

    @classmethod
    @lru_cache(maxsize=4096)
    def around(cls, start: int, stop: int, cell: int, unit: int, little: int, large: int) -> _Span:
        """Return the span of cells of `cell` pixels on an axis of `little` pixels that grow to `large`."""

        def grown(place: int) -> int:
            return place * large // little

        start, stop = start * cell, stop * cell
        source = slice(max(0, start - 2 * unit), min(little, stop + 2 * unit))
        target = slice(grown(max(0, start - unit)), grown(min(little, stop + unit)))
        first = grown(source.start)
        return cls(
            source, grown(source.stop) - first, target, slice(target.start - first, target.stop - first)
        )


def _boxes(cells: Plane) -> Iterator[Box]:
    """Yield boxes around what is connected and not 0."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(cells)
    for left, top, across, down, _ in stats[1:count].tolist():
        yield Box(left, top, across, down)


def _unit(small: tuple[int, ...], full: tuple[int, ...]) -> int:
    """Return the least number of pixels of the small size that is a whole number of the full size's."""
    return lcm(*(Fraction(large, little).denominator for large, little in zip(full, small, strict=True)))
