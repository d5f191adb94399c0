"""The last stage: a variant's brightness changes no more from frame to frame than its source's does."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from skill_tools.workers.augmentation.planes import Plane, Planes, mean_luma
from skill_tools.workers.augmentation.scene import Scene, View

_FOLLOWS_S = 0.5
_COUNTED_ROWS = 8
_HALVINGS = 7
_CODES = np.arange(256.0)


class _Bounds(NamedTuple):
    kept: float
    """Share of the source's distance from its running mean, where that is large."""
    flicker: float
    """Codes of a distance half of which is kept, further by that share."""
    least: float
    """Codes; a change by less isn't seen, and a plane that is left alone costs nothing."""


_STILL, _MOVING = _Bounds(0.8, 0.0, 0.04), _Bounds(0.8, 0.5, 0.15)


class Steadying:
    """Keeps a frame's mean luma as near to its running mean as the source's is to its own, by exposure.

    What deepens contrast would take a source's flicker along and add to it. The running mean follows within
    half a second, so what lasts (a lamp goes on, the camera turns to the dark) is shown as the effects have
    it.

    Where the camera moves, no block of a picture can be kept as it is, so encoders move the mean by tenths of
    a code, a P frame otherwise than a B frame: what is as small as that is kept least, by the shrinkage
    d²/(|d| + c) of a distance d.
    """

    def __init__(self, scene: Scene) -> None:
        """Steady the frames of a scene; the first one is left as it is."""
        self._black = scene.levels.black
        self._bounds = _STILL if scene.still else _MOVING
        self._means: tuple[float, float] | None = None
        """Running means of the source and of the variant."""
        self._seen_s = 0.0

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        shown = mean_luma(planes)
        away = self._wanted(view, shown) - shown
        least = self._bounds.least
        # It begins at nothing: were small changes alone left out, those about the limit would come and go.
        change = away * (1 - (least / away) ** 4) if abs(away) > least else 0.0
        above_black = shown - self._black
        if not change or above_black < 1:
            return planes
        gain = 1 + change / above_black
        rounding, changes = _rounding(planes.y, gain, self._black, change)
        if abs(changes - change) >= abs(change):
            return planes
        planes = planes.own()
        plus = self._black * (1 - gain) + rounding
        cv2.convertScaleAbs(planes.y, dst=planes.y, alpha=gain, beta=plus)
        return planes

    def _wanted(self, view: View, shown: float) -> float:
        """Return the mean luma that a frame is to have, which has `shown`."""
        source = view.mean_luma
        follows = 1 - math.exp(-abs(view.time_s - self._seen_s) / _FOLLOWS_S)
        usual_source, usual = self._means or (source, shown)
        usual_source += follows * (source - usual_source)
        usual += follows * (shown - usual)
        self._means, self._seen_s = (usual_source, usual), view.time_s
        away = abs(source - usual_source)
        most = self._bounds.kept * away * away / (away + self._bounds.flicker + 1e-9)
        return usual + float(np.clip(shown - usual, -most, most))


def _rounding(plane: Plane, gain: float, black: float, change: float) -> tuple[float, float]:
    """Return what to add, within half a code, for rounding to come next to `change`, and what comes of it.

    A change by fractions of a code takes those codes to their neighbours that it brings over a half, and
    that may be those of much of a picture, or of none: half of a foggy one may be of a single code.
    """
    counts = cv2.calcHist([plane[::_COUNTED_ROWS]], [0], None, [256], [0, 256]).ravel()
    shares = counts / cv2.sumElems(counts)[0]
    codes = black + (_CODES - black) * gain

    def changes(plus: float) -> float:
        return float(shares @ (np.rint(codes + plus) - _CODES))

    low, high = -0.5, 0.5
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if changes(middle) < change:
            low = middle
        else:
            high = middle
    return min(((plus, changes(plus)) for plus in (low, high)), key=lambda pair: abs(pair[1] - change))
