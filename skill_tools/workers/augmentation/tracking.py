"""A scene followed from frame to frame: its ground, sky and depth, and the camera's way over the ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import RLock

import cv2
import numpy as np

from skill_tools.workers.augmentation.ground import (
    GroundColours,
    areas_of,
    horizon_of,
    metres_to,
    spared,
    trust_in,
)
from skill_tools.workers.augmentation.odometry import Motion, Odometer, Pose
from skill_tools.workers.augmentation.planes import Map, Planes, grow, halved
from skill_tools.workers.augmentation.scene import Geometry, Scene, View, shrunk, sky_in

FOLLOWED_EVERY_S = 0.062
"""How often what changes slowly is looked at under a moving camera: every other frame at 30 a second."""

_GROUND_MEMORY_S, _SKY_MEMORY_S, _TRUST_MEMORY_S, _TILT_MEMORY_S = 0.25, 0.12, 1.0, 0.5
_LEARNED_EVERY_S, _LEARNED_AT_MOST_EVERY_S = 2.0, 0.2
_LEARNED = 0.5  # share of it in what is then known
_NEAR = 0.75  # of the height; what is below lies right before the camera
_CHANGED = 0.75  # of the usual probability of ground there
_GROUNDS_COLOUR, _PASSAGE = 0.6, 0.3  # probabilities of ground, above which a colour isn't the sky's


class Tracker:
    """Follows a scene from frame to frame: constant under a still camera, smoothed under a moving one."""

    def __init__(self, scene: Scene, *, from_start: bool = True) -> None:
        """Follow `scene` from its first frame, or from another, where nothing is remembered."""
        self.scene = scene
        self.lock = RLock()
        """Held while a frame is looked at: two threads ask, and each frame counts once."""
        self._followed = None if scene.still else _Followed(scene, from_start=from_start)
        self._origin: Pose = np.eye(2, 3)
        self._odometer: Odometer | None = None
        self._is_covered = False
        """Whether something is laid on the ground, which alone makes it worth being followed."""
        # Where no ground can be told nothing is laid on it, so there is no way to be counted.
        if not scene.still and scene.geometry.trust:
            self._odometer = Odometer(scene.focal, scene.geometry.camera_height_m, scene.geometry.horizon)

    def look(
        self, planes: Planes, index: int, time_s: float, shrink: Callable[[], Planes] | None = None
    ) -> View:
        """Return what there is to know about a frame, given as it is before the edit or at the small size.

        `shrink` returns a small copy of it, for whoever has one already.
        """
        return View(time_s, index, planes, shrink or partial(shrunk, planes), self)

    def geometry(self, view: View) -> Geometry:
        """Return the geometry of the next frame; each frame is to be asked about once, in their order."""
        if self._followed is None:
            return self.scene.geometry
        motion = self._odometer.follow(view.small.y) if self._odometer and self._is_covered else None
        geometry = self._followed.to(view.small, view.time_s, motion)
        if self._odometer:
            self._odometer.ground = geometry.ground
        return geometry

    def pose(self, view: View) -> Pose:
        """Return the camera's place at the next frame, likewise."""
        _ = view.geometry  # before which the way has been followed
        if not self._odometer:
            return self._origin
        if not self._is_covered:
            self._is_covered = True
            self._odometer.follow(view.small.y)
        return self._odometer.pose


class _Followed:
    """The geometry under a moving camera.

    Colours, sky and depth are looked at every other frame or so, ground follows in steps of every frame: what
    lags behind the picture now and then would flicker. What is remembered of it moves with the picture: else
    whoever stood before it would be seen where he was. Every two seconds it is learned anew what colours the
    ground has, and how far it may be taken for one.
    """

    def __init__(self, scene: Scene, *, from_start: bool) -> None:
        self._scene, self._geometry = scene, scene.geometry
        # Depth is told by what stays where it was in the picture: it is then the same, be ground laid or not.
        self._standing, self._laid = (_Remembered(scene.geometry.ground) for _ in range(2))
        self._colours, self._trust = scene.colours, scene.geometry.trust
        self._horizon = scene.geometry.horizon
        """By which distances are told; what lies on the ground is laid by that of the first frames."""
        self._looked_s = self._seen_s = -np.inf
        self._learned_s: float | None = None
        self._usual_near: float | None = None
        self._remembers = from_start

    def to(self, frame: Planes, time_s: float, motion: Motion | None) -> Geometry:
        """Return the geometry with what the next frame shows, a small one, to which the ground has moved."""
        small = self._colours.contrast.stretched(frame)
        looks = time_s - self._looked_s >= FOLLOWED_EVERY_S
        fresh = self._looked_at(frame, small, time_s) if looks else None
        kept = self._kept(time_s - self._seen_s, _GROUND_MEMORY_S)
        self._standing.follow(fresh, kept)
        self._laid.follow(fresh, kept, motion)
        if looks:
            self._geometry = replace(self._geometry, depth_m=self._depth_m(time_s - self._looked_s))
            self._looked_s = time_s
        self._seen_s, self._remembers = time_s, True
        return replace(self._geometry, ground=spared(self._laid.ground, small))

    def _looked_at(self, frame: Planes, small: Planes, time_s: float) -> Map:
        """Take in what a frame shows of the sky, and learn; return where it shows ground.

        `small` is the frame stretched.
        """
        since_s = time_s - self._looked_s
        half = Planes(*map(halved, (frame.y, frame.u, frame.v)))
        coarse = half if small is frame else self._colours.contrast.stretched(half)
        likely = self._colours.likely_in(coarse)
        known = halved(self._standing.ground) if self._remembers else np.zeros_like(likely)
        sky = self._sky(half, cv2.max(known, np.clip((likely - _GROUNDS_COLOUR) / _PASSAGE, 0, 1)), since_s)
        self._learn(coarse, small, known, halved(sky), likely, time_s)
        kept = _kept(since_s, _TRUST_MEMORY_S)
        trust = kept * self._geometry.trust + (1 - kept) * self._trust
        self._geometry = replace(self._geometry, sky=sky, trust=trust)
        return self._colours.ground_in(likely, known if self._remembers else None, small, sky)

    def _sky(self, half: Planes, ground: Map, since_s: float) -> Map:
        """Return the sky with what a frame of half the small size shows of it.

        Bright `ground` that reaches up to the edge, where the camera looks down, is none.
        """
        old = self._geometry.sky
        seen = sky_in(half, self._scene.levels)
        seen *= 1 - ground
        kept = self._kept(since_s, _SKY_MEMORY_S)
        return cv2.addWeighted(old, kept, grow(seen, old.shape[::-1]), 1 - kept, 0.0)

    def _learn(self, coarse: Planes, small: Planes, known: Map, sky: Map, likely: Map, time_s: float) -> None:
        """Learn what the ground's colours are where the camera has come to.

        Now and then, and as soon as what lies right before the camera no longer has the colours of before:
        they are then taken as they are.
        """
        near = float(likely[int(_NEAR * len(likely)) :].mean())
        usual = self._usual_near = near if self._usual_near is None else max(self._usual_near, near)
        since_s = time_s - self._learned_s if self._learned_s is not None else 0.0
        self._learned_s = time_s - since_s
        changed = since_s >= _LEARNED_AT_MOST_EVERY_S and near < _CHANGED * usual
        if not changed and since_s < _LEARNED_EVERY_S:
            return
        self._learned_s, self._usual_near = time_s, None
        trodden = np.zeros_like(known)
        colours, ground = GroundColours.learned(
            coarse, sky, trodden, self._colours.contrast, areas_of(coarse), known
        )
        self._colours = self._colours.mixed(colours, 1.0 if changed else _LEARNED)
        # What the scene begins with as no ground isn't followed, so that what lies on it would slide.
        if self._scene.geometry.trust:
            trust = trust_in(grow(ground, small.y.shape[::-1]), small, colours)
            self._trust += _LEARNED * (trust - self._trust)

    def _depth_m(self, since_s: float) -> Map:
        """Return the depth, partly as it was; it has no detail that half the size would lose."""
        old = self._geometry
        ground, sky = (halved(part) for part in (self._standing.ground, old.sky))
        kept = _kept(since_s, _TILT_MEMORY_S)
        self._horizon = kept * self._horizon + (1 - kept) * horizon_of(ground, sky)
        depth = metres_to(ground, sky, self._horizon, old.camera_height_m, self._scene.size)
        kept = self._kept(since_s, _GROUND_MEMORY_S)
        return cv2.addWeighted(old.depth_m, kept, grow(depth, old.depth_m.shape[::-1]), 1 - kept, 0.0)

    def _kept(self, since_s: float, memory_s: float) -> float:
        return _kept(since_s, memory_s) if self._remembers else 0.0


class _Remembered:
    """A map of the ground that is looked for now and then, smooth in time."""

    def __init__(self, ground: Map) -> None:
        self.ground = self._fresh = ground

    def follow(self, fresh: Map | None, kept: float, motion: Motion | None = None) -> None:
        """Take in what is seen in the next frame, if it was looked for; `kept` of the map remains.

        What is remembered goes along with a `motion` of the picture.
        """
        if fresh is not None:
            self._fresh = fresh
        elif motion is not None:
            self._fresh = _moved(self._fresh, motion)
        if motion is not None:
            self.ground = _moved(self.ground, motion)
        self.ground = cv2.addWeighted(self.ground, kept, self._fresh, 1 - kept, 0.0)


def _moved(part: Map, motion: Motion) -> Map:
    return cv2.warpAffine(part, motion, part.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def _kept(since_s: float, memory_s: float) -> float:
    """Return how much of what was known before remains after a time; of the first frame 37 %."""
    return float(np.exp(-min(since_s, memory_s) / memory_s))
