"""Night: moonless town darkness, lamps and what they light, glow around what shines."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, GradeStage, Parts, mix, stops_toward
from skill_tools.workers.augmentation.effects.ground_plane import ground_coordinates
from skill_tools.workers.augmentation.effects.sensor import SensorNoise
from skill_tools.workers.augmentation.planes import Levels, Map, Planes, as_codes, grow, scale
from skill_tools.workers.augmentation.scene import Geometry, Scene, View


def night(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return a lamp-lit night.

    What lamps don't reach is dark, blue and pale, as night vision has it (Thompson, Shirley and
    Ferwerda, "A Spatial Post-Processing Algorithm for Images of Night Scenes", 2002); sodium and LED
    lamps light pools on the ground; small bright things keep shining and glow by scatter in the lens.
    """
    stops = stops_toward(0.10, scene.light.median, -4.2, -2.0) * strength
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
    )


_HALF = 0.5


class TwoLights:
    """Two gradings of one picture, mixed by a map: what a lamp lights and what it doesn't."""

    def __init__(self, dark: Grade, lit: Grade, lamps: Map, levels: Levels) -> None:
        """Show `lit` where `lamps`, of the small size, is 1 and `dark` where it is 0."""
        self._dark, self._lit = GradeStage(dark, levels), GradeStage(lit, levels)
        self._lamps = lamps
        self._maps: tuple[np.ndarray, ...] | None = None

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        if self._maps is None:
            codes = as_codes(self._lamps)
            full, half = grow(codes, planes.size), grow(codes, planes.half_size)
            self._maps = full, cv2.bitwise_not(full), half, cv2.bitwise_not(half)
        lit = planes.copy()
        self._lit.apply(lit, view)
        self._dark.apply(planes, view)
        full, not_full, half, not_half = self._maps
        for plane, other, share, rest in (
            (planes.y, lit.y, full, not_full),
            (planes.u, lit.u, half, not_half),
            (planes.v, lit.v, half, not_half),
        ):
            cv2.add(scale(plane, rest, plane), scale(other, share, other), dst=plane)


class Glow:
    """Small bright things of the source shine on, with a halo."""

    def __init__(self, scene: Scene, strength: float) -> None:
        """Prepare for `scene`."""
        self._strength = strength
        self._levels = scene.levels
        self._threshold = max(0.72, scene.light.light)

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        luma = (view.small.y.astype(np.float32) - self._levels.black) / self._levels.luma_span
        bright = np.clip((luma - self._threshold) / (1 - self._threshold), 0, 1)
        # Lamps are small; walls, vans and skies that are merely white don't shine at night.
        side = max(3, luma.shape[1] // 40) | 1
        lamps = bright - cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((side, side)))
        lamps = np.clip(lamps - 1.3 * cv2.blur(bright, (4 * side, 4 * side)), 0, 1)
        lamps *= (1 - view.geometry.sky) * (1 - view.geometry.ground)
        halo = (
            0.75 * lamps
            + 0.7 * cv2.GaussianBlur(lamps, (0, 0), side * 0.35)
            + 0.8 * cv2.GaussianBlur(lamps, (0, 0), side)
        )
        light = np.clip(halo * self._strength, 0, 1)
        span = self._levels.luma_span
        cv2.add(planes.y, grow((light * 0.7 * span).astype(np.uint8), planes.size), dst=planes.y)
        warm = grow((light * 0.05 * span).astype(np.uint8), planes.half_size)
        cv2.subtract(planes.u, warm, dst=planes.u)
        cv2.add(planes.v, cv2.convertScaleAbs(warm, alpha=0.6), dst=planes.v)


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
