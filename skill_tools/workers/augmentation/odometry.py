"""How far a moving camera has come over flat ground, so that what lies there stays where it lies."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Map, Plane, quantile

Pose = NDArray[np.float64]
"""2 x 3: takes metres to the side of and away from the camera to metres on the ground; at first the same."""
Motion = NDArray[np.float64]
"""2 x 3: takes pixels (x, y) of one frame to those of the next."""

_FEATURES = 60
_WINDOW = (9, 9)
_TEN_ROUNDS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 10, 0.03)
_FEWEST = 8
_AROUND_A_CORNER = 4  # rows, on which it depends whether it is one
_OLDEST = 4  # frames that corners are followed before others are looked for
_PIXELS_OFF = 1.5  # by which corners may miss a motion and still agree
_LEAST_PIXELS = 0.5
_MOST_ZOOM = 1.2  # from frame to frame
_NEAREST_ROWS = 0.25  # of the height below the horizon; what is nearer to it is too far to be measured


class Odometer:
    """Adds up the camera's motion from frame to frame.

    Corners on the ground (Shi and Tomasi, "Good Features to Track", 1994) are followed by pyramidal optical
    flow (Lucas and Kanade, 1981; Bouguet, 2000), laid onto the ground plane, and joined into one turn and
    shift by RANSAC (Fischler and Bolles, 1981). Where too few agree, the motion of the frame before is taken
    to go on. Metres are right only as far as the camera's height and the horizon are; patterns then still
    move with the ground, a little too far or not far enough.
    """

    def __init__(self, focal: float, height_m: float, horizon: float) -> None:
        """Begin where the camera is.

        Args:
            focal: Focal length in pixels of the small size.
            height_m: Of the camera above the ground.
            horizon: Its row, as a part of the picture's height.
        """
        self._focal, self._height_m, self._horizon = focal, height_m, horizon
        self.pose: Pose = np.eye(2, 3)
        """At the last frame that was followed to."""
        self.ground: Map | None = None
        """Where ground is in that frame, which is to be said before the next one is followed to."""
        self._step: Pose = np.eye(2, 3)
        self._luma: Plane | None = None
        self._corners: Plane | None = None
        self._age = 0

    def follow(self, luma: Plane) -> Motion | None:
        """Follow the ground to the next frame, given its luma at the small size.

        Return how the ground moved in the picture, as a turn, zoom and shift; None if that can't be told, or
        is less than half a pixel.
        """
        motion = None
        if self._luma is not None and self.ground is not None:
            self._step, motion = self._between(self._luma, luma, self.ground)
            turn, shift = self._step[:, :2], self._step[:, 2]
            back = self.pose[:, :2] @ turn.T
            self.pose = np.column_stack([back, self.pose[:, 2] - back @ shift])
        self._luma = luma
        return motion

    def _between(self, before: Plane, after: Plane, ground: Map) -> tuple[Pose, Motion | None]:
        """Return the turn and shift of the ground before the camera, and its motion in the picture."""
        corners = self._corners
        if corners is None or len(corners) < _FEATURES // 2 or self._age >= _OLDEST:
            corners, self._age = self._found(before, ground), 0
        if corners is None or len(corners) < _FEWEST:
            self._corners = None
            return self._step, None
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            before,
            after,
            corners,
            np.empty_like(corners),
            winSize=_WINDOW,
            maxLevel=3,
            criteria=_TEN_ROUNDS,
        )
        followed = status.ravel() == 1
        self._corners, self._age = found[followed], self._age + 1
        pixels = [points.reshape(-1, 2)[followed] for points in (corners, found)]
        motion = _in_picture(*pixels)
        old, new = (self._on_ground(points, *before.shape) for points in pixels)
        seen = np.isfinite(new).all(axis=1)
        if np.count_nonzero(seen) < _FEWEST:
            return self._step, motion
        return self._rigid(old[seen], new[seen]), motion

    def _found(self, luma: Plane, ground: Map) -> Plane | None:
        """Return corners on the ground near enough; what is above isn't even looked at."""
        first = max(0, round((self._horizon + _NEAREST_ROWS) * len(luma)))
        above = max(0, first - _AROUND_A_CORNER)
        mask = (ground[above:] > 0.6).astype(np.uint8)
        mask[: first - above] = 0
        if len(mask) <= _AROUND_A_CORNER:
            return None
        corners = cv2.goodFeaturesToTrack(luma[above:], _FEATURES, 0.01, 4, mask=mask)
        return None if corners is None else corners + np.array((0, above), np.float32)

    def _rigid(self, old: NDArray[np.float64], new: NDArray[np.float64]) -> Pose:
        tolerance = 0.03 * self._height_m
        fitted, inliers = cv2.estimateAffinePartial2D(old, new, ransacReprojThreshold=tolerance)
        if fitted is None or np.count_nonzero(inliers) < max(_FEWEST, len(old) // 4):
            return self._step
        agree = inliers.ravel() == 1
        turn = fitted[:, :2] / np.sqrt(max(float(np.linalg.det(fitted[:, :2])), 1e-9))
        shift = [quantile(part, 0.5) for part in (new[agree] - old[agree] @ turn.T).T]
        return np.column_stack([turn, shift])

    def _on_ground(self, points: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float64]:
        """Return where pixels (x, y) lie on the ground in metres; nowhere, NaN, at the horizon and above."""
        below = points[:, 1].astype(np.float64) - self._horizon * rows
        away = self._focal * self._height_m / np.where(below > 1.0, below, np.nan)
        return np.stack([(points[:, 0] - columns / 2) * away / self._focal, away], axis=1)


def _in_picture(old: NDArray[np.float32], new: NDArray[np.float32]) -> Motion | None:
    """Return the motion on which most of some points agree, None if they don't."""
    if len(old) < _FEWEST:
        return None
    fitted, inliers = cv2.estimateAffinePartial2D(
        old, new, ransacReprojThreshold=_PIXELS_OFF, maxIters=100, refineIters=2
    )
    if fitted is None or np.count_nonzero(inliers) < max(_FEWEST, len(old) // 2):
        return None
    motion = fitted.astype(np.float64)
    far = np.abs(cv2.transform(old[None], motion)[0] - old).max()
    return motion if far > _LEAST_PIXELS and 1 / _MOST_ZOOM < np.hypot(*motion[:, 0]) < _MOST_ZOOM else None
