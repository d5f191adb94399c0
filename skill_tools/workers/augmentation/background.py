"""Whether a camera stands, and what it sees when nothing passes."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Map, Plane, Planes, percentiles, quantile

_STILL_SHIFT = 0.6
_STILL_DIFFERENCE = 5.0
_EDGE_CODES = 10  # change of luma by pixel
_FEWEST_EDGES = 100  # pixels
_LOOKED_AT_EVERY_S = 0.2
_STRONG = 24.0  # change of luma by pixel, beyond which an edge counts no more
_FAINT = 1.0  # the same on average, by which a quarter has edges
_FEWEST_QUARTERS = 2
_UNLIKE = 0.6  # correlation


def is_still(samples: Sequence[Planes]) -> bool:
    """Tell whether the camera stands: most pixels keep their value, and as a rule nothing shifts as a whole.

    Three quarters of the samples have to agree. Shifts are looked for where the edges don't tell already
    that there is none.
    """
    if len(samples) < 2:
        return True
    first, *others = (sample.y for sample in samples)
    differences = [cv2.absdiff(other, first) for other in others]
    changes = [percentiles(difference, [60])[0] for difference in differences]
    if quantile(changes, 0.75) >= _STILL_DIFFERENCE:
        return False
    edges = _edges(first)
    doubtful = [
        other for other, difference in zip(others, differences, strict=True) if not _stay(edges, difference)
    ]
    if len(doubtful) <= (len(others) - 1) / 4:
        return True
    enough = len(others) - int(0.75 * (len(others) - 1))  # that shift, whatever the rest do
    shifts = [0.0] * (len(others) - len(doubtful))
    for other in doubtful:
        shifts.append(_shift(first, other))
        if sum(shift >= _STILL_SHIFT for shift in shifts) >= enough:
            return False
    return quantile(shifts, 0.75) < _STILL_SHIFT


class Standpoint:
    """What a standing camera sees, by which it is told when it moves off.

    Edges stay where they are in light and dark, and hardly anything that passes hides those of all four
    quarters of a picture: of edges across or of edges down, all quarters have to correlate no longer, and
    that twice.
    """

    def __init__(self, background: Planes) -> None:
        """Keep in mind what is seen, at the small size, when nothing passes."""
        self._here = _edges_by_quarter(background)
        self._looked_s = -np.inf
        self._doubted = False

    def is_left(self, shrink: Callable[[], Planes], time_s: float) -> bool:
        """Tell by a later frame whether the camera has moved off; looked at a few times a second.

        `shrink` returns the frame at the small size.
        """
        if abs(time_s - self._looked_s) < _LOOKED_AT_EVERY_S:
            return False
        self._looked_s = time_s
        doubted, self._doubted = self._doubted, self._doubts(shrink())
        return doubted and self._doubted

    def _doubts(self, small: Planes) -> bool:
        now = _edges_by_quarter(small)
        for direction in (0, 1):
            known = [
                float((here * there).sum())
                for here, there in zip(self._here[direction], now[direction], strict=True)
                if here.any()
            ]
            if len(known) >= _FEWEST_QUARTERS and max(known) < _UNLIKE:
                return True
        return False


def _edges_by_quarter(frame: Planes) -> list[list[Map]]:
    """Return the edges across, then those down, of each quarter: centred, of length 1, or 0 where few are."""
    luma = cv2.blur(frame.y, (3, 3))
    rows, columns = (length // 2 for length in luma.shape)
    found = []
    for axis in ((1, 0), (0, 1)):
        edges = np.minimum(np.abs(cv2.Sobel(luma, cv2.CV_32F, *axis, scale=1 / 8)), _STRONG)
        halves = edges[:rows], edges[rows:]
        found.append(
            [_unit(quarter) for half in halves for quarter in (half[:, :columns], half[:, columns:])]
        )
    return found


def _unit(edges: Map) -> Map:
    if not edges.size:
        return edges
    centred = edges - edges.mean()
    length = float(np.linalg.norm(centred))
    told: Map = centred * np.float32((length > _FAINT * math.sqrt(edges.size)) / max(length, 1e-6))
    return told


def _edges(luma: Plane) -> list[tuple[NDArray[np.intp], Plane]]:
    """Return the pixels of edges across and down, and by what half the shift that tells would change each."""
    edges = []
    for axis in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(luma, cv2.CV_16S, *axis, scale=1 / 8)).ravel()
        places = np.flatnonzero(slope >= _EDGE_CODES)
        edges.append((places, (slope[places] * (_STILL_SHIFT / 2)).astype(np.uint8)))
    return edges


def _stay(edges: list[tuple[NDArray[np.intp], Plane]], difference: Plane) -> bool:
    """Tell whether most edges of either direction are where they were, by a picture's difference."""
    codes = difference.ravel()
    return all(
        places.size >= _FEWEST_EDGES and 2 * np.count_nonzero(codes[places] <= limits) > places.size
        for places, limits in edges
    )


def _shift(first: Plane, other: Plane) -> float:
    """Return how far a picture is shifted in pixels, across or down; 0 where that can't be told.

    By phase correlation (Kuglin and Hines, 1975), which now and then errs.
    """
    one, two = first.astype(np.float32), other.astype(np.float32)
    shift, response = cv2.phaseCorrelate(one, two, _window(one.shape))
    return max(map(abs, shift)) if response > 0.1 else 0.0


@lru_cache(maxsize=1)
def _window(shape: tuple[int, int]) -> Map:
    return cv2.createHanningWindow(shape[::-1], cv2.CV_32F)


def median(samples: Sequence[Planes]) -> Planes:
    """Return what most samples show at each pixel: the scene without what passes."""
    return Planes(
        *(_middle([getattr(sample, name) for sample in samples]) for name in ("y", "u", "v")),
    )


def _middle(planes: list[Plane]) -> Plane:
    """Return the median of each pixel over planes, of an even number the lower mean of the two in the middle.

    A sorting network of minima and maxima (Batcher, "Sorting Networks and their Applications", 1968),
    which takes whole planes at once and so a tenth of the time of sorting each pixel's values.
    """
    ranked = list(planes)
    for low, high in _comparators(len(ranked)):
        ranked[low], ranked[high] = cv2.min(ranked[low], ranked[high]), cv2.max(ranked[low], ranked[high])
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    return cv2.addWeighted(lower, 0.5, upper, 0.5, 0) if lower is not upper else lower


def _comparators(count: int) -> Iterator[tuple[int, int]]:
    """Yield the exchanges of Batcher's odd-even merge sort of `count` values (Knuth, TAOCP 3, 5.2.2 M)."""
    top = 1 << max(0, (count - 1).bit_length() - 1)
    block = top
    while block:
        step, offset, distance = top, 0, block
        while True:
            yield from (
                (index, index + distance) for index in range(count - distance) if index & block == offset
            )
            if step == block:
                break
            distance, step, offset = step - block, step >> 1, block
        block >>= 1
