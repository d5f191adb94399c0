"""Night: moonless town darkness, lamps and what they light, glow around what shines."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, GradeStage, Parts, mix, stops_toward
from skill_tools.workers.augmentation.effects.ground_plane import ground_coordinates
from skill_tools.workers.augmentation.effects.sensor import SensorNoise
from skill_tools.workers.augmentation.planes import (
    Levels,
    Map,
    Plane,
    Planes,
    as_codes,
    grow,
    rounded,
    scale,
    shrink,
)
from skill_tools.workers.augmentation.scene import Geometry, Scene, View

_DARK = 0.22  # median luma of what is a night already


def night(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return a lamp-lit night.

    What lamps don't reach is dark, blue and pale, as night vision has it (Thompson, Shirley and
    Ferwerda, "A Spatial Post-Processing Algorithm for Images of Night Scenes", 2002); sodium and LED
    lamps light pools on the ground; small bright things keep shining and glow by scatter in the lens.
    """
    already = scene.light.median < _DARK
    stops = stops_toward(0.10, scene.light.median, -4.2, -0.6 if already else -2.0) * strength
    dark = (
        Grade.exposure(stops)
        .then(Grade.saturation(mix(1, 0.42, strength)))
        .then(Grade.temperature(mix(6504, 14000, strength), scene.levels, adaptation=0.25))
        .then(Grade.lift(0.012))
    )
    lamp = (
        Grade.exposure(stops * 0.42)
        .then(Grade.saturation(mix(1, 0.85, strength)))
        .then(Grade.temperature(mix(6504, 2700, strength), scene.levels, adaptation=0.40))
    )
    pools = _pools(scene, rng)
    return Parts(
        lamps=(TwoLights(dark, lamp, pools, scene.levels), Glow(scene, strength)),
        sensor=(SensorNoise(2.2 * strength, rng),),
        parameters={"stops": stops},
        notes=("The source is dark already: it is darkened less.",) if already else (),
        already=already,
    )


_HALF = 0.5


class TwoLights:
    """Two gradings of one picture, mixed by a map: what a lamp lights and what it doesn't."""

    def __init__(self, dark: Grade, lit: Grade, lamps: Map, levels: Levels) -> None:
        """Show `lit` where `lamps`, of the small size, is 1 and `dark` where it is 0."""
        self._dark, self._lit = GradeStage(dark, levels), GradeStage(lit, levels)
        self._lamps = lamps
        self._more = cv2.subtract(self._lit.tone, self._dark.tone).ravel()  # a lamp never darkens
        self._shares: tuple[Plane, Plane] | None = None

    def apply(self, planes: Planes, view: View) -> None:  # noqa: ARG002 - every stage takes both
        """Edit the planes of one frame in place."""
        if self._shares is None:
            codes = as_codes(self._lamps)
            self._shares = grow(codes, planes.size), grow(codes, planes.half_size)
            self._rest = cv2.bitwise_not(self._shares[1])
        full, half = self._shares
        lit = Planes(planes.y, planes.u.copy(), planes.v.copy())
        self._lit.chroma(lit)
        self._dark.chroma(planes)
        for plane, other in ((planes.u, lit.u), (planes.v, lit.v)):
            cv2.add(scale(plane, self._rest, plane), scale(other, half, other), dst=plane)
        more = cv2.LUT(planes.y, self._more)
        self._dark.luma(planes.y, planes.y)
        cv2.add(planes.y, scale(more, full, more), dst=planes.y)


class Glow:
    """Small bright things of the source shine on, with a halo."""

    def __init__(self, scene: Scene, strength: float) -> None:
        """Prepare for `scene`."""
        self._strength = strength
        self._levels = scene.levels
        threshold = max(0.72, scene.light.light)
        self._shine = rounded(255 * (scene.levels.values() - threshold) / (1 - threshold))
        self._geometry: Geometry | None = None

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        # In bytes and with a wide halo from a smaller picture: a lamp's glow has no detail to lose.
        bright = cv2.LUT(view.small.y, self._shine)
        # Lamps are small; walls, vans and skies that are merely white don't shine at night.
        side = max(3, bright.shape[1] // 40) | 1
        lamps = cv2.subtract(bright, cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((side, side))))
        # Nor do the parts of something larger that is white.
        for around, share in ((2 * side, 1.8), (4 * side, 1.3)):
            lamps = cv2.subtract(lamps, cv2.convertScaleAbs(cv2.blur(bright, (around, around)), alpha=share))
        lamps = scale(lamps, self._place_for_lamps(view.geometry))
        if not lamps.any():
            return
        near = cv2.GaussianBlur(lamps, (0, 0), side * 0.35)
        half = shrink(lamps, lamps.shape[1] // 2, lamps.shape[0] // 2)
        wide = grow(cv2.GaussianBlur(half, (0, 0), side * 0.5), lamps.shape[::-1])
        halo = cv2.add(cv2.addWeighted(lamps, 0.75, near, 0.7, 0), cv2.convertScaleAbs(wide, alpha=0.8))
        span = self._levels.luma_span / 255 * self._strength
        cv2.add(planes.y, grow(cv2.convertScaleAbs(halo, alpha=0.7 * span), planes.size), dst=planes.y)
        warm = grow(cv2.convertScaleAbs(halo, alpha=0.05 * span), planes.half_size)
        cv2.subtract(planes.u, warm, dst=planes.u)
        cv2.add(planes.v, cv2.convertScaleAbs(warm, alpha=0.6), dst=planes.v)

    def _place_for_lamps(self, geometry: Geometry) -> Plane:
        if geometry is not self._geometry:
            self._geometry = geometry
            self._above_ground = as_codes((1 - geometry.sky) * (1 - geometry.ground))
        return self._above_ground


def _pools(scene: Scene, rng: np.random.Generator) -> Map:
    """Return where lamps light the scene: street lamps along the ground, or a moving camera's headlights."""
    geometry: Geometry = scene.geometry
    across, away = ground_coordinates(geometry, scene)
    if not scene.still:
        cone = np.exp(-np.abs(across) / np.maximum(0.45 * away, 1.0)) * np.exp(-away / 28.0)
        return np.clip(0.08 + 0.75 * cone, 0, 0.85).astype(np.float32)
    near, far = (float(value) for value in np.percentile(away[geometry.sky < _HALF], (3, 80)))
    spacing = max(6.0, (far - near) / 2.2)
    lamps = [
        (float(rng.uniform(-0.55, 0.55)) * distance, distance)
        for distance in np.arange(near + 0.25 * spacing, far + spacing, spacing)
    ]
    reach = spacing * 0.42
    pools = sum(np.exp(-((across - x) ** 2 + (away - z) ** 2) / (2 * reach**2)) for x, z in lamps)
    pools = cv2.GaussianBlur(
        np.clip(0.10 + 0.75 * pools, 0, 0.9).astype(np.float32), (0, 0), geometry.ground.shape[1] / 60
    )
    under_sky: Map = pools * (1 - geometry.sky)
    return under_sky
