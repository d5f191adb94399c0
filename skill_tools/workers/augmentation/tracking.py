"""A scene followed from frame to frame: its ground, sky and depth, and the camera's way over the ground."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import RLock

import cv2
import numpy as np

from skill_tools.workers.augmentation.distance import horizon_of, metres_to
from skill_tools.workers.augmentation.ground import (
    Contrast,
    GroundColours,
    Layout,
    areas_of,
    spared,
    trust_in,
)
from skill_tools.workers.augmentation.heading import heading_of
from skill_tools.workers.augmentation.odometry import Motion, Odometer, Pose
from skill_tools.workers.augmentation.planes import Map, Plane, Planes, grow, halved
from skill_tools.workers.augmentation.scene import Geometry, Scene, View, apart, shrunk, sky_in

FOLLOWED_EVERY_S = 0.09
"""How often what changes slowly is looked at under a moving camera: every third frame at 30 a second."""

_GROUND_MEMORY_S, _SKY_MEMORY_S, _TRUST_MEMORY_S, _TILT_MEMORY_S = 0.25, 0.12, 1.0, 0.5
_LEARNED_EVERY_S, _LEARNED_AT_MOST_EVERY_S = 2.0, 0.2
_HEADED_EVERY_S = 5.0  # a vehicle's camera hardly nods
_LOOKS_AHEAD = 8  # by which it is told where the camera goes
_LEARNED = 0.5  # share of it in what is then known
_NEAR = 0.75  # of the height; what is below lies right before the camera
_STANDING_CODES = 1.5  # a pixel; noise is some half of it, a slow drive three times as much
_CHANGED, _LANE_CHANGED = 0.75, 0.5  # of the usual probability of ground there
_GROUNDS_COLOUR, _PASSAGE = 0.6, 0.3  # probabilities of ground, above which a colour isn't the sky's


class Tracker:
    """Follows a scene from frame to frame: constant under a still camera, smoothed under a moving one.

    Under a moving one sky, horizon, distances and the colours of the ground are looked at some ten times a
    second; the ground goes along with each frame, as far as it is asked for, since what lags behind the
    picture now and then would flicker. What colours the ground has, and whether it is one, is learned anew
    every two seconds, and as soon as what lies right before the camera has changed. How dark or colourful the
    source is stays as the scene began.
    """

    def __init__(self, scene: Scene, *, from_start: bool = True) -> None:
        """Follow `scene` from its first frame, or from another, where nothing is remembered."""
        self.scene = scene
        self.lock = RLock()
        """Held while a frame is looked at: two threads ask, and each frame counts once."""
        self._lookout = _Lookout(scene, from_start=from_start)
        self._ground = _Ground(scene.geometry, from_start=from_start)
        self._origin: Pose = np.eye(2, 3)
        self._odometer: Odometer | None = None
        """From when on something is laid on the ground, which alone makes it worth being followed."""

    def look(
        self, planes: Planes, index: int, time_s: float, shrink: Callable[[], Planes] | None = None
    ) -> View:
        """Return what there is to know about a frame, given as it is before the edit or at the small size.

        `shrink` returns a small copy of it, for whoever has one already.
        """
        return View(time_s, index, planes, shrink or partial(shrunk, planes), self)

    def distant(self, view: View) -> Geometry:
        """Return sky, distances and roughly the ground of the next frame.

        Each frame is to be asked about once, in their order, if at all.
        """
        if self.scene.still:
            return self.scene.geometry
        self._lookout.look(view.small, view.time_s)
        return self._lookout.geometry

    def geometry(self, view: View) -> Geometry:
        """Return the geometry of the next frame, likewise."""
        if self.scene.still:
            return self.scene.geometry
        motion = self._odometer.follow(view.small.y) if self._odometer else None
        distant = view.distant
        self._ground.follow(self._lookout.ground, self._lookout.trust, view.time_s, motion)
        bare = spared(self._ground.seen, self._lookout.contrast.stretched(view.small))
        geometry = replace(distant, ground=bare, trust=self._ground.trust)
        if self._odometer:
            self._odometer.ground = geometry.ground
        return geometry

    def pose(self, view: View) -> Pose:
        """Return the camera's place at the next frame, likewise."""
        geometry = view.geometry  # before which the way has been followed
        # Where no ground can be told nothing is laid on it, so there is no way to be counted.
        if self.scene.still or not (self._odometer or geometry.trust):
            return self._origin
        if not self._odometer:
            self._odometer = Odometer(self.scene.focal, geometry.camera_height_m, geometry.horizon)
            self._odometer.ground = geometry.ground
            self._odometer.follow(view.small.y)
        return self._odometer.pose


class _Lookout:
    """What is looked at some ten times a second under a moving camera: it tells the same to whoever asks.

    Every two seconds it is learned anew what colours the ground has, and how far it may be taken for one.
    """

    def __init__(self, scene: Scene, *, from_start: bool) -> None:
        self._scene = scene
        self.geometry = scene.geometry
        """As it was last looked at."""
        self.ground = scene.geometry.ground
        """Where the frame that was last looked at shows ground."""
        self.trust = scene.geometry.trust
        """How far the ground may be taken for one, as last learned."""
        self._colours = scene.colours
        self._heading = scene.heading
        self._horizon = scene.geometry.horizon
        """By which distances are told; what lies on the ground is laid by that of the first frames."""
        self._lumas: deque[Plane] = deque(maxlen=_LOOKS_AHEAD)
        """Of the frames that were last looked at."""
        self._looked_s = -np.inf
        self._headed_s = -np.inf
        self._learned_s: float | None = None
        self._usual_near = 0.0
        """The most likely that ground was right before the camera since it was learned."""
        self._remembers = from_start

    @property
    def contrast(self) -> Contrast:
        """How frames are stretched before their colours are judged."""
        return self._colours.contrast

    def look(self, frame: Planes, time_s: float) -> None:
        """Look at the next frame, a small one, if it is time."""
        since_s = time_s - self._looked_s
        if since_s < FOLLOWED_EVERY_S:
            return
        self._lumas.append(frame.y)
        small = self.contrast.stretched(frame)
        half = Planes(*map(halved, frame.all))
        coarse = half if small is frame else self.contrast.stretched(half)
        likely, known = self._colours.likely_in(coarse), self._known()
        is_ground = np.clip((likely - _GROUNDS_COLOUR) / _PASSAGE, 0, 1)
        sky = self._sky(half, is_ground if known is None else cv2.max(known, is_ground), since_s)
        self._learn(coarse, small, halved(sky), likely, time_s)
        self.ground = self._colours.ground_in(likely, known, small, sky, self._heading)
        kept = self._kept(since_s, _GROUND_MEMORY_S)
        ground = cv2.addWeighted(self.geometry.ground, kept, self.ground, 1 - kept, 0.0)
        kept = _kept(since_s, _TRUST_MEMORY_S)
        trust = kept * self.geometry.trust + (1 - kept) * self.trust
        self.geometry = replace(self.geometry, ground=ground, sky=sky, trust=trust)
        self.geometry = replace(self.geometry, depth_m=self._depth_m(coarse, since_s))
        self._looked_s, self._remembers = time_s, True

    def _known(self) -> Map | None:
        """Return where ground was just before, at half the small size, if anything is remembered."""
        return halved(self.geometry.ground) if self._remembers else None

    def _sky(self, half: Planes, ground: Map, since_s: float) -> Map:
        """Return the sky with what a frame of half the small size shows of it.

        Bright `ground` that reaches up to the edge, where the camera looks down, is none.
        """
        old = self.geometry.sky
        seen = sky_in(half, self._scene.levels)
        seen *= 1 - ground
        kept = self._kept(since_s, _SKY_MEMORY_S)
        return cv2.addWeighted(old, kept, grow(seen, old.shape[::-1]), 1 - kept, 0.0)

    def _learn(self, coarse: Planes, small: Planes, sky: Map, likely: Map, time_s: float) -> None:
        """Learn what the ground's colours are where the camera has come to.

        Now and then, and as soon as what lies right before the camera no longer has the colours of before:
        they are then taken as they are. Not while the camera stands: what is right before it then is the car
        in front as a rule.
        """
        if self._stands():
            return
        if self._learned_s is None:
            self._learned_s = time_s
        since_s = time_s - self._learned_s
        near = self._likely_near(likely)
        self._usual_near = max(self._usual_near, near)
        # A car that one stops behind is half as wide as the lane, another road is as wide.
        changes = near < (_CHANGED if self._heading is None else _LANE_CHANGED) * self._usual_near
        changed = since_s >= _LEARNED_AT_MOST_EVERY_S and changes
        if not changed and since_s < _LEARNED_EVERY_S:
            return
        self._learned_s, self._usual_near = time_s, 0.0
        self._head(time_s)
        coarsely = self._heading and self._heading.halved()
        layout = Layout(sky, np.zeros_like(sky), areas_of(coarse), self._known(), coarsely)
        colours, ground = GroundColours.learned(coarse, layout, self.contrast)
        self._colours = self._colours.mixed(colours, 1.0 if changed else _LEARNED)
        trust = trust_in(grow(ground, small.y.shape[::-1]), small, colours, layout)
        if self._heading and not self.geometry.trust:  # nothing lies anywhere yet that would slide
            self._horizon = self._heading.horizon
            self.geometry = replace(self.geometry, horizon=self._horizon)
        self.trust += _LEARNED * (trust - self.trust)

    def _stands(self) -> bool:
        """Tell whether the lower half of the picture is as it was when it was last looked at."""
        *earlier, now = self._lumas
        low = np.s_[len(now) // 2 :]
        return bool(earlier) and apart(earlier[-1][low], now[low]) < _STANDING_CODES / self.contrast.gain

    def _likely_near(self, likely: Map) -> float:
        """Return how likely ground is right before the camera, by colours alone."""
        if self._heading is None:
            return float(likely[int(_NEAR * len(likely)) :].mean())
        near = halved(self._heading.near)
        return float((likely * near).sum() / max(near.sum(), 1.0))

    def _head(self, time_s: float) -> None:
        """Find out anew where the camera goes, now and then; what was known stays where it can't be told."""
        if time_s - self._headed_s < (_LEARNED_EVERY_S if self._heading is None else _HEADED_EVERY_S):
            return
        self._headed_s = time_s
        heading = heading_of(self._lumas, self._scene.focal)
        if heading is None:
            return
        if self._heading is not None and not heading.own.any():
            heading = replace(heading, own=self._heading.own)
        self._heading = heading

    def _depth_m(self, coarse: Planes, since_s: float) -> Map:
        """Return the depth, partly as it was; it has no detail that half the size would lose."""
        old = self.geometry
        ground, sky = halved(old.ground), halved(old.sky)
        kept = _kept(since_s, _TILT_MEMORY_S)
        self._horizon = kept * self._horizon + (1 - kept) * horizon_of(ground, sky, self._heading)
        bare = spared(ground, coarse)
        ahead = self._heading is not None
        depth = metres_to(bare, sky, self._horizon, old.camera_height_m, self._scene.size, ahead=ahead)
        kept = self._kept(since_s, _GROUND_MEMORY_S)
        return cv2.addWeighted(old.depth_m, kept, grow(depth, old.depth_m.shape[::-1]), 1 - kept, 0.0)

    def _kept(self, since_s: float, memory_s: float) -> float:
        return _kept(since_s, memory_s) if self._remembers else 0.0


class _Ground:
    """The ground in steps of every frame.

    What is remembered of it moves with the picture: else whoever stood before it would be seen where he was.
    """

    def __init__(self, geometry: Geometry, *, from_start: bool) -> None:
        self.seen = self._given = self._fresh = geometry.ground
        self.trust = geometry.trust
        self._seen_s = -np.inf
        self._remembers = from_start

    def follow(self, given: Map, trust: float, time_s: float, motion: Motion | None) -> None:
        """Take in the next frame, given what was last seen of the ground, and the picture's motion."""
        since_s = time_s - self._seen_s
        if given is not self._given:
            self._given = self._fresh = given
        elif motion is not None:
            self._fresh = _moved(self._fresh, motion)
        if motion is not None:
            self.seen = _moved(self.seen, motion)
        kept = _kept(since_s, _GROUND_MEMORY_S) if self._remembers else 0.0
        self.seen = cv2.addWeighted(self.seen, kept, self._fresh, 1 - kept, 0.0)
        kept = _kept(since_s, _TRUST_MEMORY_S)
        self.trust = kept * self.trust + (1 - kept) * trust
        self._seen_s, self._remembers = time_s, True


def _moved(part: Map, motion: Motion) -> Map:
    return cv2.warpAffine(part, motion, part.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def _kept(since_s: float, memory_s: float) -> float:
    """Return how much of what was known before remains after a time; of the first frame 37 %."""
    return float(np.exp(-min(since_s, memory_s) / memory_s))
