"""Maps of the small size at a plane's size, of which only what changed is interpolated again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import groupby
from math import lcm
from operator import attrgetter
from typing import TypeAlias

import cv2
import numpy as np

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Plane

_CELL = 8  # pixels of the small size, at least
_LARGEST_CELL = 32
_SMALL = 4096  # pixels of the small size
_MORE = 0.6  # of what changes most
_MOST = 0.35  # of what growing everything takes; if more has changed, that is quicker


_Target: TypeAlias = tuple[Plane, tuple[Plane, ...]]
"""A small map and the planes of one size that are to show it."""


class Growth:
    """Small maps interpolated up to planes' sizes, in memory that stays its own.

    Before a standing camera maps change where something moves, and growing them is what a veil costs. They
    are compared with those before in square cells whose edges are pixels of all sizes, and changed cells
    are grown with what lies around them, so that each pixel comes out as if all had been grown.
    """

    def __init__(self, full: Mapping[str, Sequence[Plane]]) -> None:
        """Grow each map into the arrays of bytes that `full` names for it."""
        # What is as large as the one before it is a copy of that.
        self._full: list[tuple[str, tuple[Plane, ...]]] = [
            (name, tuple(same))
            for name, planes in full.items()
            for _, same in groupby(planes, attrgetter("shape"))
        ]
        self._codes: Mapping[str, Plane] = {}
        self._unit = self._cell = 0

    def follow(self, codes: Mapping[str, Plane]) -> None:
        """Make the large maps show small ones, of bytes and all of one size."""
        changed = self._changed(codes)
        self._codes = codes
        if changed is None:
            for name, (full, *copies) in self._full:
                cv2.resize(codes[name], full.shape[::-1], dst=full, interpolation=cv2.INTER_LINEAR)
                for copy in copies:
                    copy[:] = full
            return
        rows = next(iter(codes.values())).shape[0]
        for names, boxes in changed:
            targets: dict[tuple[int, ...], list[_Target]] = {}
            for name, planes in self._full:
                if name in names:
                    targets.setdefault(planes[0].shape, []).append((codes[name], planes))
            for box in boxes:
                at_once = self._at_once(box, rows)
                for parts in targets.values():
                    for some in [parts] if at_once else [[part] for part in parts]:
                        self._grow(some, box)

    def _changed(self, codes: Mapping[str, Plane]) -> list[tuple[set[str], list[Box]]] | None:
        """Return which maps changed with boxes, in cells, that hold their changes; None for everything."""
        if not self._codes:
            self._unit = lcm(*(_unit(codes[name].shape, full.shape) for name, (full, *_) in self._full))
            self._cell = self._unit * -(-_CELL // self._unit)
            return None
        if self._cell > _LARGEST_CELL:
            return None
        changes = {name: cv2.absdiff(part, self._codes[name]) for name, part in codes.items()}
        area = {name: cv2.countNonZero(part) for name, part in changes.items()}
        limit = _MOST * next(iter(codes.values())).size
        if self._cost(area) >= limit:
            return None
        most = max(area.values())
        # What mirrors things changes in more places than what they hide.
        groups = [{name for name in codes if (area[name] > _MORE * most) is much} for much in (True, False)]
        changed = [
            (names, list(_boxes(reduce(cv2.max, (changes[name] for name in names)), self._cell)))
            for names in groups
            if names
        ]
        cells = {name: sum(box.area for box in boxes) for names, boxes in changed for name in names}
        return changed if self._cost(cells) * self._cell**2 < limit else None

    def _cost(self, area: Mapping[str, int]) -> float:
        """Return the mean of an area of each map, by how large it is grown."""
        sizes = [(area[name], full.size) for name, (full, *_) in self._full]
        return sum(part * size for part, size in sizes) / sum(size for _, size in sizes)

    def _at_once(self, box: Box, rows: int) -> bool:
        """Tell whether maps may be grown one under the other, within a box of maps of so many `rows`.

        Not where that takes more memory than is quick, and not at the picture's edges, where each goes on
        as it ends and not as the next one begins.
        """
        inside = box.top > 0 and box.bottom * self._cell + 2 * self._unit <= rows
        return inside and box.area * self._cell**2 <= _SMALL

    def _grow(self, parts: Sequence[_Target], box: Box) -> None:
        """Grow maps within a box, in cells, to one size: one under the other, all at once."""
        small, (large, *_) = parts[0]
        rows, columns = (
            _Span.around(cells.start, cells.stop, self._cell, self._unit, *lengths)
            for *lengths, cells in zip(small.shape, large.shape, box.slices, strict=True)
        )
        place, target = (rows.source, columns.source), (rows.target, columns.target)
        given = small[place] if len(parts) == 1 else cv2.vconcat([codes[place] for codes, _ in parts])
        grown = cv2.resize(given, (columns.length, rows.length * len(parts)), interpolation=cv2.INTER_LINEAR)
        for above, (_, full) in enumerate(parts):
            begin = above * rows.length + rows.inner.start
            part = grown[begin : begin + rows.inner.stop - rows.inner.start, columns.inner]
            for each in full:
                each[target] = part


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


def _boxes(changes: Plane, cell: int) -> Iterator[Box]:
    """Yield boxes, in cells, around what is connected at sides and not 0; they may overlap."""
    # Each pixel gets the most of the cell that begins there.
    most = cv2.dilate(changes, np.ones((cell, cell), np.uint8), anchor=(0, 0))
    cells = np.ascontiguousarray(most[::cell, ::cell])
    count, _, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=4)
    for left, top, across, down, _ in stats[1:count].tolist():
        yield Box(left, top, across, down)


def _unit(small: tuple[int, ...], full: tuple[int, ...]) -> int:
    """Return the least number of pixels of the small size that is a whole number of the full size's."""
    return lcm(*(Fraction(large, little).denominator for large, little in zip(full, small, strict=True)))
