"""Where a camera goes that moves ahead: the horizon before it, and what it sees of its own vehicle."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Map, Plane, halved, quantile

_CORNERS, _APART, _QUALITY = 150, 5, 0.005
_WINDOW = (11, 11)
_RETURNS = 0.5  # pixels, within which a corner that is followed back must come out where it was
_MOVES = 0.5  # pixels
_FEWEST = 20
_PIXELS_OFF = 0.5  # by which corners may miss their epipolar line
_PAIRS, _FRAMES_APART = 4, 2
_FEWEST_PAIRS, _MOST_FAILURES = 2, 1
_AGREE, _LEAST = 0.04, 0.1  # of the height
_AHEAD = 0.95  # part of the motion that is along the axis of the lens
_SHARE, _PARALLAX_PX = 0.25, 1.0
_LANE = 0.42  # of the width: half of the lane at the picture's lower edge
_NEAR = 0.7  # of the way from the horizon to the picture's lower edge
_OWN_FROM = 0.72  # of the height; a vehicle that hides more of the road isn't looked for
_OWN_BELOW = 0.35  # of the way from the horizon to the lower edge
_STEADY = 0.2  # quantile: four fifths of the frames show the edge
_SHARPEST, _SHARP, _SEEN = 8.0, 2.5, 0.93
_SLOPE = 4  # columns, in which the edge goes up or down by at most a row
_RIM = 10  # rows
_STEP = 1.0


@dataclass(frozen=True, eq=False)
class Heading:
    """What is known of a camera that moves ahead over level ground."""

    horizon: float
    """Its row, as a part of the height."""
    own: Map
    """1 where its own vehicle is seen, at the small size."""

    @cached_property
    def closed(self) -> Map:
        """1 where no ground can be: above the horizon, softly, and on the vehicle."""
        rows = (np.arange(len(self.own), dtype=np.float32)[:, None] + 0.5) / len(self.own)
        above = np.clip((self.horizon + 0.02 - rows) / 0.03, 0, 1)
        return cv2.max(self.own, np.repeat(above, self.own.shape[1], axis=1))

    @cached_property
    def lane(self) -> Map:
        """1 where the camera is about to come, softly: a stripe as wide as a lane, seen from amid it."""
        rows, columns = self.own.shape
        down = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) / rows - self.horizon
        across = np.abs(np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / columns
        half = _LANE * np.maximum(down, 0) / (1 - self.horizon)
        lane: Map = np.clip((half - across) / 0.05 + 0.5, 0, 1) * (1 - self.closed)
        return lane

    @cached_property
    def near(self) -> Map:
        """The nearest part of the lane, some seven metres, on which hardly anything can stand."""
        near: Map = self.lane.copy()
        near[: int((self.horizon + _NEAR * (1 - self.horizon)) * len(near))] = 0
        return near

    def halved(self) -> Heading:
        """Return the same for half the small size."""
        return Heading(self.horizon, halved(self.own))


def heading_of(lumas: Sequence[Plane], focal: float) -> Heading | None:
    """Return where a camera goes that moves ahead, told by frames' luma, in order; None if it doesn't.

    What it moves toward stays where it is while all else spreads from there, its focus of expansion. On level
    ground that lies on the horizon, whatever hills or trees hide it. The direction is that of the essential
    matrix between frames (Nistér, "An Efficient Solution to the Five-Point Relative Pose Problem", IEEE PAMI
    2004), which tells it from a turn of the camera, found by USAC (Raguram and others, IEEE PAMI 2013);
    several pairs of frames have to agree.

    Args:
        lumas: Small frames, some tens of milliseconds apart.
        focal: Focal length in pixels of them.
    """
    horizon = _horizon_ahead(lumas, focal)
    return None if horizon is None else Heading(horizon, _own_vehicle(lumas, horizon))


def _horizon_ahead(lumas: Sequence[Plane], focal: float) -> float | None:
    pairs, rows = _pairs(len(lumas)), list[float]()
    for looked_at, (first, second) in enumerate(pairs):
        if looked_at - len(rows) > _MOST_FAILURES:
            return None
        points = _followed(lumas[first], lumas[second])
        row = None if points is None else _row_ahead(*points, focal, lumas[first].shape)
        rows += [] if row is None else [row]
    if not rows:
        return None
    horizon = quantile(rows, 0.5)
    agree = sum(abs(row - horizon) <= _AGREE for row in rows)
    sure = agree >= max(_FEWEST_PAIRS, len(pairs) - _MOST_FAILURES) and _LEAST <= horizon <= 1 - _LEAST
    return horizon if sure else None


def _pairs(count: int) -> list[tuple[int, int]]:
    """Return pairs of frames between which motion is looked for, spread over a number of them."""
    apart = min(_FRAMES_APART, count - 2)
    if apart < 1:
        return []
    firsts = np.linspace(0, count - 1 - apart, min(_PAIRS, count - apart))
    return [(first, first + apart) for first in np.rint(firsts).astype(int).tolist()]


def _followed(before: Plane, after: Plane) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return corners, (x, y), in both frames (Shi and Tomasi; Lucas and Kanade, as in `Odometer`)."""
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _APART)
    if corners is None or len(corners) < _FEWEST:
        return None
    blank = np.empty_like(corners)
    found, there, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, blank, winSize=_WINDOW)
    again, back, _ = cv2.calcOpticalFlowPyrLK(after, before, found, blank.copy(), winSize=_WINDOW)
    misses = np.abs(again - corners).max(axis=(1, 2))
    # What moves along, dirt on the windscreen and the vehicle itself, tells nothing.
    moves = np.abs(found - corners).max(axis=(1, 2)) > _MOVES
    sure = (there.ravel() == 1) & (back.ravel() == 1) & (misses < _RETURNS) & moves
    if np.count_nonzero(sure) < _FEWEST:
        return None
    return corners[sure, 0], found[sure, 0]


def _row_ahead(
    old: NDArray[np.float32], new: NDArray[np.float32], focal: float, shape: tuple[int, ...]
) -> float | None:
    rows, columns = shape
    lens = np.array([[focal, 0, columns / 2], [0, focal, rows / 2], [0, 0, 1]])
    essential, inliers = cv2.findEssentialMat(old, new, lens, cv2.USAC_DEFAULT, 0.999, _PIXELS_OFF)
    if essential is None or essential.shape != (3, 3):  # of a plane there may be several
        return None
    agree = inliers.ravel() > 0
    count, turn, shift, _ = cv2.recoverPose(essential, old, new, lens, mask=inliers)
    _, down, along = shift.ravel().tolist()
    if abs(along) < _AHEAD or count < _SHARE * len(old):
        return None
    rays = np.column_stack([old, np.ones(len(old))]) @ (lens @ turn @ np.linalg.inv(lens)).T
    parallax = np.linalg.norm(new - rays[:, :2] / rays[:, 2:], axis=1)[agree]
    if quantile(parallax, 0.5) < _PARALLAX_PX:
        return None
    return 0.5 + focal * down / along / rows


def _own_vehicle(lumas: Sequence[Plane], horizon: float) -> Map:
    """Return where the camera's own vehicle is, 1: below an edge that stays where it is while all else moves.

    It lies low in the picture and well below the `horizon`, from side to side: the smooth path of the
    greatest steady contrast, by dynamic programming; of two, as a bonnet has with its rim, it is the upper.
    The foot of a wall along the road stays where it is as well, but between two of them the road moves.
    """
    rows, columns = lumas[0].shape
    first = int(max(_OWN_FROM, horizon + _OWN_BELOW * (1 - horizon)) * rows)
    across = columns // _SLOPE
    own = np.zeros((rows, columns), np.float32)
    if rows - first < 4 or len(lumas) < 4 or across < 4:
        return own
    steady = _steady_edges([luma[first:] for luma in lumas], across)
    lower = cv2.dilate(steady, np.ones((_RIM, 1)), anchor=(0, 0), borderValue=0)
    path = _path(steady + 0.5 * lower)
    sharp = steady[path, np.arange(across)]
    if sharp.mean() < _SHARP or (sharp > _SHARP / 2).mean() < _SEEN:
        return own
    edge = cv2.resize(path.astype(np.float32)[None], (columns, 1), interpolation=cv2.INTER_LINEAR)
    own[np.arange(rows)[:, None] >= first - 1 + np.rint(edge)] = 1
    return own


def _steady_edges(bands: Sequence[Plane], columns: int) -> Map:
    """Return how strong most bands have an edge from row to row, at so many columns, up to a limit."""
    soft = [cv2.blur(band, (5, 3)) for band in bands]
    edges = np.stack([np.abs(cv2.Sobel(band, cv2.CV_32F, 0, 1, scale=1 / 8)) for band in soft])
    rank = int(_STEADY * len(edges))
    steady = np.minimum(np.partition(edges, rank, axis=0)[rank], _SHARPEST)
    narrow: Map = cv2.resize(steady, (columns, len(steady)), interpolation=cv2.INTER_AREA)
    return narrow


def _path(gains: Map) -> NDArray[np.intp]:
    """Return the row in each column of the path of the greatest sum, a row up or down from one to the next.

    What goes up and down comes at a cost.
    """
    rows, columns = gains.shape
    total, came = gains[:, 0], np.zeros((columns, rows), np.intp)
    own = np.arange(rows)
    for column in range(1, columns):
        padded = np.pad(total, 1, constant_values=-np.inf)
        step = np.argmax([padded[1:-1], padded[:-2] - _STEP, padded[2:] - _STEP], axis=0)
        came[column] = own + np.array([0, -1, 1])[step]
        total = total[came[column]] - _STEP * (step > 0) + gains[:, column]
    path = np.empty(columns, np.intp)
    path[-1] = int(np.argmax(total))
    for column in range(columns - 1, 0, -1):
        path[column - 1] = came[column, path[column]]
    return path
