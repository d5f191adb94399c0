"""The panes of windows in a scene's background, by their shape, evenness and darkness."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box, alike
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, as_codes, numbers_in, quantile

_DARK_CODES = 22
_EVEN_CODES = (10, 14, 20, 28, 40)
_LIKE_CODES = 70
_MARGIN = 3
_REST = 0.3
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class Pane:
    """One pane of a window."""

    box: Box
    """All that belongs to it, and some pixels around."""
    mask: Plane
    """255 where its own colour shows, 0 where something stands before it, of the box's size."""
    corners: NDArray[np.float32]
    """Columns and rows of the small size, from its outer edge on, clockwise from the upper left; (4, 2)."""
    group: int
    """Number of the row or facade that it belongs to."""


def panes(frame: Planes, ground: Map, sky: Map, levels: Levels) -> Iterator[Pane]:
    """Yield the panes of windows: dark, even, four-cornered, alike, three or more beside or above another.

    Dark is what a bottom hat along rows or columns finds (Serra, "Image Analysis and Mathematical
    Morphology", 1982), on what is neither ground nor sky. Panes of one strip are parted by what stands
    between them, be it by its colour alone. A car has too few windows to count, a bus has enough. Missed are
    panes that mirror the sky, single windows, and those less than some 3 pixels wide at the small size; a
    fence before something dark may pass for windows.
    """
    boxes = _even_places(frame, (ground < 0.3) & (sky < 0.3) & (frame.y < levels.luma(0.45)))
    for group, members in enumerate(alike(boxes, frame.y, _LIKE_CODES)):
        yield from _outlined([boxes[index] for index in members], frame, group)


def _even_places(frame: Planes, where: NDArray[np.bool_]) -> list[Box]:
    """Return the even middles of what may be panes.

    Areas are taken at rising limits of unevenness, so that each grows until it would join another one.
    """
    height, width = frame.y.shape
    hats = [
        cv2.morphologyEx(frame.y, cv2.MORPH_BLACKHAT, np.ones(size, np.uint8))
        for size in ((1, width // 6 | 1), (height // 6 | 1, 1), (1, width // 20 | 1))
    ]
    dark = (cv2.max(hats[0], hats[1]) > _DARK_CODES) & where
    uneven = _unevenness(frame)
    found: dict[int, Box] = {}
    taken = np.zeros(dark.shape, np.int32)
    for limit in _EVEN_CODES:
        _take(dark & (uneven < limit), found, taken, most_parts=1)
    # What is too narrow to have an even middle is one pane as a whole.
    _take((hats[2] > _DARK_CODES) & where, found, taken, most_parts=0)
    _take(dark, found, taken, most_parts=0)
    return list(found.values())


def _take(areas: NDArray[np.bool_], found: dict[int, Box], taken: NDArray[np.int32], most_parts: int) -> None:
    """Add the rectangular parts of `areas`, each in place of those it covers, if these aren't too many."""
    for box, mask in _rectangles(areas.astype(np.uint8)):
        parts = numbers_in(taken[box.slices][mask])
        # What is much smaller was a spot on the pane.
        if sum(found[part].area > 0.25 * box.area for part in parts.tolist()) > most_parts:
            continue
        for part in parts.tolist():
            covered = taken[found.pop(part).slices]
            covered[covered == part] = 0
        number = max(found, default=0) + 1
        found[number] = box
        taken[box.slices][mask] = number


def _unevenness(frame: Planes) -> Plane:
    """Return the range of codes within three pixels by three, of luma and twice of chroma."""
    kernel = np.ones((3, 3), np.uint8)
    y, u, v = (cv2.morphologyEx(p, cv2.MORPH_GRADIENT, kernel) for p in frame.all)
    return cv2.addWeighted(y, 1.0, cv2.add(u, v), 2.0, 0)


def _rectangles(mask: Plane) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Yield the connected parts of `mask` that fill a rectangle, upright but for perspective."""
    height, width = mask.shape
    labels, stats = cv2.connectedComponentsWithStats(mask, connectivity=4)[1:3]
    across, down, area = (
        stats[:, part] for part in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA)
    )
    fits = (across >= 2) & (across < 0.2 * width) & (down >= 4) & (down < 0.25 * height)
    fits &= (area >= 12) & (area >= 0.7 * across * down) & (across < 4 * down) & (down < 6 * across)
    for label in np.flatnonzero(fits[1:]).tolist():
        box = Box(*map(int, stats[label + 1, :4]))
        yield box, labels[box.slices] == label + 1


def _outlined(boxes: Sequence[Box], frame: Planes, group: int) -> Iterator[Pane]:
    """Yield the panes whose even middles are in `boxes`, a row or facade of them.

    Panes are upright at their sides; above and below they follow the line on which those beside them end.
    """
    found: list[tuple[Box, Plane, tuple[float, float, float, float]]] = []
    for box in sorted(boxes, key=lambda box: box.area):
        wider = box.wider(_MARGIN, frame.y.shape)
        mask = _own_colour(box, wider, frame)
        edges = _edges(mask.astype(np.float32) / 255, box, wider)
        apart = all(_apart(edges, others) for _, _, others in found)
        if apart and _ends(edges, wider, frame.y.shape):
            found.append((wider, mask, edges))
    if len(found) < _FEWEST:
        return
    every = np.array([edges for _, _, edges in found]).reshape(-1, 4)
    for wider, mask, edges in found:
        left, right, top, bottom = edges
        half = (right - left) / 2
        above, below = _slopes(np.array(edges), every)
        corners = [
            (left, top - half * above),
            (right, top + half * above),
            (right, bottom + half * below),
            (left, bottom - half * below),
        ]
        yield Pane(wider, mask, np.array(corners, np.float32), group)


def _ends(edges: tuple[float, float, float, float], wider: Box, shape: tuple[int, ...]) -> bool:
    """Tell whether a pane ends within its box, or with the picture, on three sides or all; a wall goes on."""
    left, right, top, bottom = edges
    if right - left < 2 or bottom - top < 3:
        return False
    ended = (
        wider.left == 0 or left > wider.left + _REST,
        wider.right == shape[1] or right < wider.right - _REST,
        wider.top == 0 or top > wider.top + _REST,
        wider.bottom == shape[0] or bottom < wider.bottom - _REST,
    )
    return sum(ended) >= len(ended) - 1


def _apart(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    across = min(one[1], other[1]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[2], other[2])
    return across < 1 or down < 1


def _slopes(edges: NDArray[np.float64], every: NDArray[np.float64]) -> tuple[float, float]:
    """Return how steeply the upper and the lower ends of panes rise from one to those beside it."""
    away = every[:, :2].mean(axis=1) - edges[:2].mean()
    lower = np.abs(every[:, 2:].mean(axis=1) - edges[2:].mean())
    beside = (np.abs(away) > (edges[1] - edges[0]) / 2) & (lower < 0.4 * (edges[3] - edges[2]))
    if not beside.any():
        return 0.0, 0.0
    rises = (every[beside, 2:] - edges[2:]) / away[beside, None]
    above, below = np.clip([quantile(rise, 0.5) for rise in rises.T], -0.4, 0.4).tolist()
    return above, below


def _own_colour(box: Box, wider: Box, frame: Planes) -> Plane:
    """Return 255 where `wider` has the usual colour of `box`, 0 where it has another.

    What crosses a pane, a mullion or a post before it, has another colour.
    """
    distance = np.zeros((wider.down, wider.across), np.float32)
    for plane, weight in ((frame.y, 1.0), (frame.u, 2.0), (frame.v, 2.0)):
        own = quantile(plane[box.slices], 0.5)
        distance += weight * np.abs(plane[wider.slices].astype(np.float32) - own)
    row, column = box.top - wider.top, box.left - wider.left
    usual = quantile(distance[row : row + box.down, column : column + box.across], 0.7)
    return cv2.medianBlur(as_codes(np.clip(1.5 - distance / (2.2 * usual + 16), 0, 1)), 3)


def _edges(mask: Map, box: Box, wider: Box) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of a pane: where its mask, from the middle outwards, ends."""
    row, column = box.top - wider.top + box.down // 2, box.left - wider.left + box.across // 2
    rows = slice(row - box.down // 4, row + box.down // 4 + 1)
    columns = slice(column - box.across // 4, column + box.across // 4 + 1)
    run = np.minimum.accumulate
    left = column - quantile(run(mask[rows, :column][:, ::-1], axis=1).sum(axis=1), 0.5)
    right = column + quantile(run(mask[rows, column:], axis=1).sum(axis=1), 0.5)
    top = row - quantile(run(mask[:row, columns][::-1], axis=0).sum(axis=0), 0.5)
    bottom = row + quantile(run(mask[row:, columns], axis=0).sum(axis=0), 0.5)
    return wider.left + left, wider.left + right, wider.top + top, wider.top + bottom
