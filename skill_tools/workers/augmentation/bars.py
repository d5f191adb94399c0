"""Black bars around a picture (letterbox, pillarbox): they are no part of what a camera saw."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Plane, Planes

_BLACK = 32  # code of luma; a bar is as good as black, in whatever range
_EVEN_CODES, _RINGING_CODES = 4, 32  # by which lines of a bar get lighter than its first, on average, at most
_NEUTRAL_CODES = 6
_EDGE_CODES = 10  # by which the picture is lighter than the bar, right inside of it
_EDGE = 3  # lines, in which a picture that was scaled begins
_THINNEST = 0.01
_LEAST_PICTURE = 0.2


def picture_in(frames: Sequence[Planes]) -> Box | None:
    """Return the part of a scene's frames that lies between black bars; None where it is all of them.

    A bar is even, black and colourless in all frames given, as wide as the one across, and the picture begins
    right behind it with a step: a night sky fades into what is below, and the road isn't as dark. A bar with
    words on it, and one without another across from it, counts as a part of the picture, as does all
    where nothing is to be seen. The box begins on even columns and rows, as chroma does: rather is a line of
    a bar in it than one of the picture outside.
    """
    first = frames[0]
    if not any(_black_around(first, axis) for axis in (0, 1)):
        return None
    lightest = reduce(np.maximum, [frame.y for frame in frames])
    top = _bar(lightest) if _black_around(first, 0) else 0
    between = lightest[top : len(lightest) - top]
    left = _bar(between.T) if _black_around(first, 1) else 0
    top, left = top - top % 2, left - left % 2
    height, width = lightest.shape
    box = Box(left, top, width - 2 * left, height - 2 * top)
    return box if box.area < lightest.size and box.area >= _LEAST_PICTURE * lightest.size else None


def _black_around(frame: Planes, axis: int) -> bool:
    """Tell whether a frame's first and last row are black, or, for axis 1, its columns."""
    return all(
        np.take(frame.y, place, axis).max() <= _BLACK + _RINGING_CODES
        and np.take(frame.y, place, axis).mean() <= _BLACK
        and all(
            abs(np.take(plane, place, axis).mean() - 128) <= _NEUTRAL_CODES for plane in (frame.u, frame.v)
        )
        for place in (0, -1)
    )


def _bar(lightest: Plane) -> int:
    """Return how many rows each of two bars has, above and below; 0 if there are none."""
    means, most = lightest.mean(axis=1), lightest.max(axis=1)
    pairs = []
    for lines in (np.s_[::1], np.s_[::-1]):
        mean, top = means[lines], most[lines]
        inside = np.flatnonzero((mean > mean[0] + _EVEN_CODES) | (top > mean[0] + _RINGING_CODES))
        if not inside.size:
            return 0
        pairs.append((int(inside[0]), mean))
    rows, mean = min(pairs, key=lambda pair: pair[0])
    if rows < _THINNEST * len(lightest) or mean[rows : rows + _EDGE].max() < mean[0] + _EDGE_CODES:
        return 0
    return rows
