"""Splashes: where drops of rain hit the ground, crowns and rings that live for about a tenth of a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.distance import camera_height_m, focal_px
from skill_tools.workers.augmentation.effects.ground_plane import paved
from skill_tools.workers.augmentation.effects.particles import Specks
from skill_tools.workers.augmentation.planes import Map, Plane, Planes, as_codes, rounded
from skill_tools.workers.augmentation.scene import Geometry, Scene, View

Whole = NDArray[np.intp]
Real = NDArray[np.float64]
Chosen = NDArray[np.bool_]

_LIFE_S = (0.06, 0.12)
_PERIOD_S = (0.24, 0.44)
_PER_M2 = {"wet": 3.0, "puddles": 3.5, "flooding": 6.0}
"""Splashes at once at full strength, by the ground that drops fall on; on any other none are seen."""
_MOST = 350
_SITES = 1 << 13
_SPECK_M = 0.02  # where this is less than a pixel, fewer splashes are told apart
_PHASES = 6
_BLUR = 2  # moments of which a phase is the mean
_LOOKS = 4  # of crowns
_REACH_M = 0.06
_FAINT = 7  # of 255
_SCALES = np.geomspace(30, 600, 10)  # pixels to a metre
_UPPERMOST = (0.21, -0.2)
"""How high the horizon may be in pictures of each of the heights that are assumed of a camera."""
_HALF = 0.5
_OPEN = 127
_RINGS = {"wet": 0.4, "puddles": 0.6, "flooding": 0.9}
"""Share of the drops that leave a ring."""
_GRASS = 0.12  # share of the drops that splash there
_GRAVITY = 9.81
_NOTHING = Specks(np.empty(0, np.intp), np.empty(0, np.uint8))


class Splashes:
    """Crowns and rings on the ground, each at a place and from a moment of its own.

    On hard ground a drop throws up a crown and droplets, on water it leaves a ring that grows, and soft
    ground swallows it (Garg, Krishnan and Nayar, "Material Based Splashing of Water Drops", EGSR 2007).
    Sizes are estimates: droplets leave at 0.4 to 1 m/s and fall back, crowns and rings are some centimetres
    wide. They are spread evenly over flat ground before the camera, as far as they can be told apart. Where
    they are follows from a frame's time alone, and none is shown whose place isn't all ground in that
    frame, with nothing before it.
    """

    def __init__(self, scene: Scene, strength: float, rng: np.random.Generator, *, surface: str) -> None:
        """Prepare for `scene`, under rain of `strength` on a `surface` of the vocabulary."""
        self._scene, self._surface = scene, surface
        self._geometry: Geometry | None = None
        self._sites = Sites.before(scene, rng)
        if scene.still:
            ground = scene.geometry.ground.ravel()[self._sites.small] > _HALF
            self._sites = self._sites.where(ground & self._kinds(self._sites, scene.background)[0])
            self._ring = self._kinds(self._sites, scene.background)[1]
        per_m2 = _PER_M2.get(surface, 0.0) * strength**1.2
        at_once = per_m2 * self._sites.area_m2 * scene.geometry.trust
        count = round(min(_MOST, at_once) * sum(_PERIOD_S) / sum(_LIFE_S))
        # What a moving camera passes is out of its place the sooner.
        self._life_s = rng.uniform(*_LIFE_S, count) * (1.0 if scene.still else 0.5)
        self._period_s = rng.uniform(*_PERIOD_S, count)
        self._start = rng.random(count)
        self._first, self._step = rng.integers(1, 1 << 20, (2, count))
        camera_m = scene.geometry.camera_height_m
        self._stamps = Stamps.drawn(self._sites.scales, camera_m, scene.size) if count else None

    def shown(self, view: View) -> Specks:
        """Return what a frame shows of them."""
        if self._stamps is None:
            return _NOTHING
        turns = view.time_s / self._period_s + self._start
        lives = np.floor(turns)
        age = (turns - lives) * self._period_s / self._life_s
        alive = np.flatnonzero(age < 1)
        at = self._first[alive] + lives[alive].astype(np.intp) * self._step[alive]
        at %= self._sites.small.size
        seen = self._open(view).ravel()[self._sites.small[at]] > _OPEN
        at, phase = at[seen], (age[alive[seen]] * _PHASES).astype(np.intp)
        if self._scene.still:
            return self._stamps.shown(self._sites, at, self._ring[at], phase)
        splash, ring = self._kinds(self._sites.at(at), view.small)
        return self._stamps.shown(self._sites, at[splash], ring[splash], phase[splash])

    def _open(self, view: View) -> Plane:
        """Return how far all that a splash may cover is ground before which nothing stands: 0 to 255."""
        if view.geometry is not self._geometry:
            self._geometry = view.geometry
            self._ground = as_codes(view.geometry.ground)
        return cv2.erode(cv2.subtract(self._ground, view.foreground), self._sites.around)

    def _kinds(self, sites: Sites, source: Planes) -> tuple[Chosen, Chosen]:
        """Tell where drops splash, all on what is paved and few on grass, and where as rings, on water alone.

        What is paved is grey; under a flood all is.
        """
        hard: Map = np.ones(sites.small.shape)
        if self._surface != "flooding":
            blue, red = (plane.ravel()[sites.small] for plane in (source.u, source.v))
            hard = paved(blue, red, self._scene.levels)
        share = _RINGS.get(self._surface, 0.0)
        return sites.chances[:, 0] < _GRASS + (1 - _GRASS) * hard, sites.chances[:, 1] < share * hard


@dataclass(frozen=True, eq=False)
class Sites:
    """Places on flat ground before the camera, evenly spread over its square metres."""

    row: Whole
    column: Whole
    small: Whole
    """Pixel of the small size, counted row by row."""
    scale: Whole
    """Which of the scales is theirs."""
    chances: Real
    """Two numbers from 0 to 1 each, by which it is decided what happens there."""
    scales: Real
    """Pixels to a metre, rising."""
    area_m2: float
    """Ground that they stand for, less where they can't be told apart."""
    around: Plane
    """As many pixels of the small size as a splash may cover, as a kernel."""

    @classmethod
    def before(cls, scene: Scene, rng: np.random.Generator) -> Self:
        """Return places in a scene's picture, far enough inside for splashes to have room.

        A pixel of flat ground at a distance Z shows Z³ / (f² H) square metres, for a focal length f in
        pixels and a height H of the camera (Hartley and Zisserman, "Multiple View Geometry", §8).
        """
        width, height = scene.size
        focal, camera_m = focal_px(scene.size), scene.geometry.camera_height_m
        below = np.arange(height) + 0.5 - scene.geometry.horizon * height
        away = focal * camera_m / np.maximum(below, 0.02 * height)
        told_apart = _SPECK_M * focal
        square_m = np.minimum(away, told_apart) ** 3 * np.minimum(1, told_apart / away) ** 2 * (below > 0)
        until = np.cumsum(square_m) * width / (focal**2 * camera_m)
        row = np.minimum(np.searchsorted(until, rng.uniform(0, until[-1], _SITES)), height - 1)
        column = rng.integers(0, width, _SITES)
        px_per_m = np.maximum(focal / away, _SCALES[0])
        scales = _scales_to(px_per_m[-1])
        scale = np.abs(np.log(scales[:, None] / px_per_m[row])).argmin(axis=0)
        small_height, small_width = scene.geometry.ground.shape
        small = row * small_height // height * small_width + column * small_width // width
        room = reach_px(scales)
        side = 2 * int(np.ceil(room[-1] * small_width / width)) + 1
        sites = cls(
            row,
            column,
            small,
            scale,
            rng.random((_SITES, 2)),
            scales,
            float(until[-1]),
            np.ones((side, side), np.uint8),
        )
        room = room[scale]
        return sites.where((row >= room) & (row < height - room) & (column >= room) & (column < width - room))

    def where(self, kept: Chosen) -> Self:
        """Return those that are `kept`, with their part of the ground."""
        part = np.count_nonzero(kept) / max(1, kept.size)
        return replace(self.at(np.flatnonzero(kept)), area_m2=self.area_m2 * part)

    def at(self, numbers: Whole) -> Self:
        """Return the sites of these numbers."""
        names = ("row", "column", "small", "scale", "chances")
        return replace(self, **{name: getattr(self, name)[numbers] for name in names})


def splashes_ahead(size: tuple[int, int]) -> None:
    """Draw splashes as pictures of (width, height) show them, wherever the camera may turn out to be."""
    for horizon in _UPPERMOST:
        camera_m = camera_height_m(horizon)
        Stamps.drawn(_scales_to((1 - horizon) * size[1] / camera_m), camera_m, size)


def _scales_to(most: float) -> Real:
    """Return the scales by which splashes are drawn where the nearest has `most` pixels to a metre."""
    return _SCALES[: 1 + int(np.searchsorted(_SCALES, most))]


def reach_px(scale: Real) -> Whole:
    """Return how many pixels a splash of a scale, in pixels to a metre, reaches to each side at most."""
    return np.ceil(_REACH_M * scale).astype(np.intp) + 1


@dataclass(frozen=True, eq=False)
class Stamps:
    """Splashes of each scale, look and phase, as the pixels that they cover, one after another.

    The last of the looks is the ring.
    """

    width: int
    """Of the picture."""
    offset: Whole
    """How far a pixel is, counted row by row, from where the drop hits."""
    opacity: Plane
    begin: Whole
    """Which pixel is the first of a stamp."""
    length: Whole
    """How many pixels a stamp has."""

    @classmethod
    def drawn(cls, scales: Real, camera_m: float, size: tuple[int, int]) -> Self:
        """Draw stamps for scales in pixels to a metre, seen from a height, in pictures of (width, height)."""
        focal = focal_px(size)
        parts = [
            part
            for scale in scales.tolist()
            for part in stamps_at(scale, camera_m / float(np.hypot(camera_m, focal / scale)))
        ]
        offset = np.concatenate([down * size[0] + across for across, down, _ in parts])
        length = np.array([len(opacity) for *_, opacity in parts])
        opacity = np.concatenate([opacity for *_, opacity in parts])
        return cls(size[0], offset, opacity, np.cumsum(length) - length, length)

    def shown(self, sites: Sites, at: Whole, ring: Chosen, phase: Whole) -> Specks:
        """Return the pixels of splashes at sites of these numbers."""
        look = np.where(ring, _LOOKS, at % _LOOKS)
        which = (sites.scale[at] * (_LOOKS + 1) + look) * _PHASES + phase
        lengths = self.length[which]
        before = np.cumsum(lengths) - lengths
        pixel = np.repeat(self.begin[which] - before, lengths)
        pixel += np.arange(pixel.size)
        place = np.repeat(sites.row[at] * self.width + sites.column[at], lengths)
        return Specks(self.offset[pixel] + place, self.opacity[pixel])


@lru_cache(maxsize=64)
def stamps_at(scale: float, tilt: float) -> tuple[tuple[Whole, Whole, Plane], ...]:
    """Return the stamps of a scale, by look and phase: across, down and opacity of their pixels.

    Scenes of a clip have scales and mostly the camera's height in common, so they are drawn once.
    """
    rng = np.random.default_rng(_LOOKS)
    raster = Raster.of(scale, tilt)
    looks = (*(Droplets.thrown(rng).shown(raster) for _ in range(_LOOKS)), _ring(raster))
    parts = []
    for opacity in (opacity for points in looks for opacity in raster.averaged(points)):
        down, across = np.nonzero(opacity > _FAINT)
        parts.append((across - raster.middle, down - raster.middle, opacity[down, across]))
    return tuple(parts)


@dataclass(frozen=True, eq=False)
class Raster:
    """Points around the place of a splash, several to a pixel, by phase of its life in the first axis."""

    x: Map
    """Metres to the right."""
    up: Map
    """Metres upwards in the picture."""
    time_s: Map
    flat: float
    """Height of a flat circle in the picture by its width."""
    upright: float
    """Height in the picture of what stands upright, by its own."""
    middle: int
    """Row and column of the pixel of that place."""
    fine: int
    """Points to a pixel, in each direction."""
    scale: float
    """Pixels to a metre."""

    @classmethod
    def of(cls, scale: float, tilt: float) -> Self:
        """Return the raster for `scale` pixels to a metre, seen at an angle whose sine is `tilt`."""
        middle = int(reach_px(np.array(scale)))
        fine = int(np.clip(np.ceil(200 / scale), 1, 4))
        metres = ((np.arange((2 * middle + 1) * fine) + 0.5) / fine - middle - 0.5) / scale
        times = _PHASES * _BLUR
        time_s = (np.arange(times)[:, None, None] + 0.5) / times * _LIFE_S[1]
        upright = float(np.sqrt(1 - tilt**2))
        metres = metres.astype(np.float32)
        time_s = time_s.astype(np.float32)
        return cls(metres[None, None, :], -metres[None, :, None], time_s, tilt, upright, middle, fine, scale)

    def circle(self, radius: Map | float, *, height: Map | float, thick: float) -> Map:
        """Return where the rim of a flat circle is, at a height above the ground: soft, 0 to 1."""
        off = np.sqrt(self.x**2 + ((self.up - height * self.upright) / self.flat) ** 2) - radius
        return np.maximum(1 - np.abs(off) / thick, 0)

    def add_ball(self, points: Map, x: Map | float, up: Map | float, radius: float, share: Map) -> None:
        """Draw a drop on points where it is brighter than they: soft, and `share` of it by phase."""
        # Where it never comes needs no looking at.
        columns, rows = (_around(axis, place, 1.5 * radius) for axis, place in ((self.x, x), (self.up, up)))
        off = np.sqrt((self.x[..., columns] - x) ** 2 + (self.up[:, rows] - up) ** 2)
        spot = points[:, rows, columns]
        np.maximum(spot, np.clip(1.5 - off / radius, 0, 1) * share, out=spot)

    def averaged(self, points: Map) -> Plane:
        """Return opacities by phase, row and column, as soft as a lens draws them."""
        times, rows, columns = points.shape
        shape = (_PHASES, times // _PHASES, rows // self.fine, self.fine, columns // self.fine, self.fine)
        drawn = points.reshape(shape).mean(axis=1).mean(axis=2).mean(axis=3)
        for axis in (1, 2):
            drawn = 0.5 * drawn + 0.25 * (np.roll(drawn, 1, axis) + np.roll(drawn, -1, axis))
        # Of a speck nothing but its light is seen; what is seen to have a form is clear water.
        most, gain = (np.interp(self.scale, (60, 220), ends) for ends in ((0.6, 0.45), (2.4, 1.3)))
        return rounded(255 * most * (1 - np.exp(-gain / most * drawn)))


@dataclass(frozen=True, eq=False)
class Droplets:
    """What one drop throws up: speeds in m/s and sizes in m of its droplets."""

    across: Map
    away: Map
    upwards: Map
    radius: Map

    @classmethod
    def thrown(cls, rng: np.random.Generator) -> Self:
        """Return droplets that fly in all directions, steeply."""
        count = int(rng.integers(3, 7))
        angle, speed = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.1, 0.5, count)
        upwards, radius = rng.uniform(0.4, 1.0, count), rng.uniform(0.002, 0.004, count)
        parts = speed * np.cos(angle), speed * np.sin(angle), upwards, radius
        return cls(*(part.astype(np.float32) for part in parts))

    def shown(self, raster: Raster) -> Map:
        """Return the crown that opens in the first third of the life, and the droplets on their way."""
        time_s = raster.time_s
        part = time_s / _LIFE_S[1]
        crown = raster.circle(0.005 + 0.016 * np.sqrt(part), height=0.03 * part, thick=0.008)
        opens = np.clip(1 - part / 0.6, 0, 1)
        points = crown * opens
        raster.add_ball(points, 0.0, 0.006, 0.009, 0.6 * opens)
        for across, away, upwards, radius in zip(
            self.across, self.away, self.upwards, self.radius, strict=True
        ):
            height = upwards * time_s - _GRAVITY / 2 * time_s**2
            up = height * raster.upright + away * time_s * raster.flat
            flying = (height >= 0) * (1 - 0.5 * part)
            raster.add_ball(points, across * time_s, up, radius, flying)
        return points


def _ring(raster: Raster) -> Map:
    """Return a ring that grows and fades, and the jet that rises from its middle and falls back."""
    part = raster.time_s / _LIFE_S[1]
    fades = (1 - part) ** 0.7
    ring = raster.circle(0.008 + 0.045 * part, height=0.0, thick=0.008) * 0.45 * fades
    jet = 0.018 * np.sin(np.pi * part)
    raster.add_ball(ring, 0.0, jet * raster.upright, 0.0035, 0.5 * fades)
    return ring


def _around(axis: Map, place: Map | float, reach: float) -> slice:
    """Return the part of an even axis that is within a reach of a place, or of any of several."""
    first, second = axis.ravel()[:2].tolist()
    places = np.ravel(place).tolist()
    ends = min(places) - reach, max(places) + reach
    begin, end = sorted((end - first) / (second - first) for end in ends)
    return slice(max(0, int(begin)), max(0, int(end) + 2))
