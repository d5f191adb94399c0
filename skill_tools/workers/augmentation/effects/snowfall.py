"""Snowfall: flakes at several depths, sinking and swaying, under a closed sky."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Change, Grade, Parts, Stage, SteadyVeil, mix
from skill_tools.workers.augmentation.effects.clouds import overcast
from skill_tools.workers.augmentation.effects.particles import Falling, Layer, Sheet, not_doubled, scattered
from skill_tools.workers.augmentation.planes import Plane
from skill_tools.workers.augmentation.scene import Scene, View

_DISTANCES_M = (2.2, 4.5, 9.0, 18.0)
_VELOCITY_M_S = 1.1
_FLAKE_M = 0.007
_KINDS = 32  # of flakes in a layer


def snow(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return falling snow.

    Flakes of some 7 mm sink at about 1.1 m/s whatever their size (Locatelli and Hobbs, "Fall Speeds and
    Masses of Solid Precipitation Particles", 1974) and sway; far ones are a white veil after Koschmieder.
    """
    strength, notes = not_doubled(scene, strength)
    cloud = overcast(scene, 0.9 * strength, rng)
    wind = float(rng.uniform(0.1, 0.6) * rng.choice((-1, 1)))
    layers = tuple(_layer(scene.size, distance, strength, wind, rng) for distance in _DISTANCES_M)

    def falling(sky_luma: float) -> Stage:
        return Falling(layers, min(0.97, 1.25 * sky_luma), scene.levels)

    def change(view: View) -> Change:
        cover = 0.34 * strength * (1 - np.exp(-view.geometry.depth_m / 40.0))
        return Change.veil(1 - cover, cover * 0.80, scene.levels, (0.01, -0.008))

    grade = cloud.grade.then(Grade.exposure(0.22 * strength)).then(Grade.saturation(mix(1, 0.85, strength)))
    return Parts(
        shading=cloud.shading,
        air=(SteadyVeil(change),),
        grade=grade,
        falling=(falling,),
        parameters={"wind": wind, "layers": len(layers)},
        notes=notes,
        already=bool(notes),
    )


def _layer(
    size: tuple[int, int], distance: float, strength: float, wind: float, rng: np.random.Generator
) -> Layer:
    width, height = size
    px_per_m = 0.9 * max(size) / distance
    radius = max(0.6, _FLAKE_M * px_per_m / 2)
    opacity = mix(0.5, 0.95, strength) * (0.75 if distance < 3 else 0.85)
    period = round(height * rng.uniform(0.575, 0.725)) * 2
    count = 75 * strength * (distance / 2.2) ** 1.3 * period / height
    stamps = [
        _flake(radius * float(rng.uniform(0.5, 1.3)), opacity * float(rng.uniform(0.5, 1.0)))
        for _ in range(_KINDS)
    ]
    drawn = scattered((width, period), stamps, round(count), rng)
    half = cv2.resize(drawn, ((width + 1) // 2, period // 2), interpolation=cv2.INTER_AREA)
    fall = _VELOCITY_M_S * px_per_m
    return Layer(
        Sheet.of(drawn),
        fall,
        wind * fall,
        sway_px=0.10 * px_per_m,
        sway_hz=float(rng.uniform(0.25, 0.5)),
        phase=float(rng.uniform()),
        colour=Sheet.of(half) if distance < 10 else None,
    )


def _flake(radius: float, opacity: float) -> Plane:
    side = 2 * int(np.ceil(radius * 1.5)) + 3
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) - (side - 1) / 2
    soft = np.clip(radius + 0.7 - np.hypot(x, y * 0.85), 0, 1.4) / 1.4
    drawn = cv2.GaussianBlur(soft, (3, 3), 0) * (255 * opacity * min(1.0, radius * 1.2))
    return np.asarray(drawn, np.uint8)
