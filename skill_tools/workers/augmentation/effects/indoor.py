"""Indoor lighting: how much light the lamps give, of which colour, and how evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, mix, stops_toward
from skill_tools.workers.augmentation.effects.sensor import SensorNoise
from skill_tools.workers.augmentation.effects.veils import Change, FixedVeil, Veil
from skill_tools.workers.augmentation.scene import Scene


@dataclass(frozen=True)
class Lamps:
    """Lighting of a room at full strength."""

    kelvin: float
    """Correlated colour temperature of usual lamps (EN 12464-1: intermediate 3300 to 5300 K)."""
    median: float
    stops: tuple[float, float]
    contrast: float
    lift: float
    saturation: float
    falloff: float
    """How much darker the corners are than the middle."""
    noise: float
    adaptation: float = 0.5


LIGHTINGS = {
    "bright": Lamps(5600, 0.60, (0.35, 1.3), 0.96, 0.03, 1.06, 0.0, 0.0, adaptation=0.6),
    "moderate": Lamps(4000, 0.38, (-0.9, -0.25), 1.0, 0.0, 0.94, 0.16, 0.0, adaptation=0.60),
    "dim": Lamps(2850, 0.20, (-2.3, -1.0), 1.04, 0.004, 0.82, 0.42, 2.0, adaptation=0.68),
}


def indoor(lighting: str, scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return a room's lighting.

    Exposure aims at a median luma, so a room that is dim already isn't dimmed twice. The fall-off of few
    lamps is a wide bell around one place, after the inverse-square law for a lamp some way off; a
    sensor's noise shows in the dark.
    """
    spec = LIGHTINGS[lighting]
    stops = stops_toward(spec.median, scene.light.median, *spec.stops) * strength
    kelvin = 6504 * (spec.kelvin / 6504) ** strength
    grade = (
        Grade.exposure(stops)
        .then(Grade.contrast(mix(1.0, spec.contrast, strength), pivot=spec.median))
        .then(Grade.lift(spec.lift * strength))
        .then(Grade.saturation(mix(1.0, spec.saturation, strength)))
        .then(Grade.temperature(kelvin, scene.levels, adaptation=spec.adaptation))
    )
    lamps: tuple[Veil, ...] = ()
    if spec.falloff:
        centre = float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.25, 0.5))
        lamps = (_falloff(spec.falloff * strength, centre, scene),)
    sensor: tuple[Stage, ...] = (SensorNoise(spec.noise * strength, rng),) if spec.noise else ()
    return Parts(grade=grade, lamps=lamps, sensor=sensor, parameters={"stops": stops, "kelvin": kelvin})


def _falloff(depth: float, centre: tuple[float, float], scene: Scene) -> FixedVeil:
    height, width = scene.geometry.ground.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x / width - centre[0]) * 1.1, y / height - centre[1])
    passes = 1 - depth * (1 - 1 / (1 + (distance / 0.55) ** 2))
    return FixedVeil(Change.veil(passes, np.zeros_like(passes), scene.levels))
