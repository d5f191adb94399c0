"""Rain: streaks at several depths that fall with gravity and wind, a veil of the drops too far to see."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Change, Grade, Parts, Stage, SteadyVeil, mix
from skill_tools.workers.augmentation.effects.clouds import overcast
from skill_tools.workers.augmentation.effects.particles import Falling, Layer, not_doubled, scatter, sheet
from skill_tools.workers.augmentation.planes import Plane
from skill_tools.workers.augmentation.scene import Scene, View

_DISTANCES_M = (2.6, 5.0, 10.0, 20.0)
_EXPOSURE_S = 1 / 70
_DROP_MM = 2.0
_KINDS = 32  # of streaks in a layer


def rain(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return rain under a closed sky.

    Drops fall at their terminal velocity, 9.65 - 10.3 exp(-0.6 D) m/s for D mm (Atlas, Srivastava and
    Sekhon, "Doppler Radar Characteristics of Precipitation at Vertical Incidence", 1973). A streak is as
    long as the fall during the exposure, and brighter than what is behind it, since a drop shows a wide
    part of the sky (Garg and Nayar, "Vision and Rain", IJCV 2007). Drops beyond the last layer are a
    veil after Koschmieder.
    """
    strength, notes = not_doubled(scene, strength)
    cloud = overcast(scene, 0.75 * strength, rng)
    wind = float(rng.uniform(0.06, 0.24) * rng.choice((-1, 1)))
    layers = rain_layers(scene.size, strength, wind, rng)

    def falling(sky_luma: float) -> Stage:
        return Falling(layers, scene.levels.luma(min(0.92, 1.12 * sky_luma)), opaque=False)

    grade = (
        cloud.grade.then(Grade.exposure(-0.30 * strength))
        .then(Grade.contrast(mix(1, 1.14, strength), pivot=0.42))
        .then(Grade.saturation(mix(1, 0.95, strength)))
    )
    return Parts(
        shading=cloud.shading,
        air=(_veil(scene, 0.24 * strength),),
        grade=grade,
        falling=(falling,),
        parameters={"wind": wind, "layers": len(layers)},
        notes=notes,
        already=bool(notes),
    )


def rain_layers(
    size: tuple[int, int], strength: float, wind: float, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Return streak layers for pictures of (width, height); `wind` is sideways speed by falling speed."""
    width, height = size
    focal = 0.9 * max(size)
    velocity = 9.65 - 10.3 * float(np.exp(-0.6 * _DROP_MM))
    layers = []
    for distance in _DISTANCES_M:
        px_per_m = focal / distance
        length = max(4, round(velocity * _EXPOSURE_S * px_per_m))
        thickness = max(0.7, 3.2e-3 * px_per_m)
        # Number of drops in a slice of air grows with the square of its distance and with its depth.
        count = round(105 * strength * (distance / 2.6) ** 1.35)
        opacity = mix(0.3, 1.0, strength) * (0.62 if distance < 6 else 0.55 if distance < 12 else 0.42)
        period = round(height * rng.uniform(1.15, 1.45)) + 2 * length
        drawn = sheet(size, period)
        stamps = [
            _streak(
                length * rng.uniform(0.75, 1.25),
                thickness * rng.uniform(0.8, 1.2),
                wind,
                opacity * rng.uniform(0.4, 1.0),
            )
            for _ in range(_KINDS)
        ]
        scatter(drawn, stamps, round(count * drawn.size / (width * height)), rng)
        fall = velocity * px_per_m
        layers.append(Layer(drawn, fall, wind * fall))
    return tuple(layers)


def _streak(length: float, thickness: float, wind: float, opacity: float) -> Plane:
    """Return one streak's opacity, fading at both ends, slanted by the wind."""
    rows = int(np.ceil(length)) + 4
    columns = int(np.ceil(abs(wind) * length + thickness)) + 5
    middle = (columns - 1) / 2
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    along = (y - (rows - 1) / 2) / (length / 2)
    across = np.abs(x - middle - wind * (y - (rows - 1) / 2))
    profile = np.clip(thickness / 2 + 0.5 - across, 0, 1) * min(1.0, thickness)
    faded = profile * np.clip(1.15 - along**2, 0, 1) * (np.abs(along) <= 1.05)
    return np.asarray(255 * opacity * faded, np.uint8)


def _veil(scene: Scene, strength: float) -> SteadyVeil:
    def change(view: View) -> Change:
        far = 1 - np.exp(-view.geometry.depth_m / 45.0)
        cover = cv2.blur(far.astype(np.float32), (9, 9)) * strength
        return Change.veil(1 - cover, cover * 0.62, scene.levels, (0.006, -0.004))

    return SteadyVeil(change)
