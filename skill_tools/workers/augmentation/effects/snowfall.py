"""Snowfall: flakes at several depths, sinking and swaying, under a closed sky."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from skill_tools.workers.augmentation.distance import focal_px
from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, mix
from skill_tools.workers.augmentation.effects.clouds import CLOSED, overcast
from skill_tools.workers.augmentation.effects.particles import (
    DRAWN_AHEAD,
    Falling,
    Layer,
    Sheet,
    in_view,
    not_doubled,
    scattered,
)
from skill_tools.workers.augmentation.effects.veils import Change, SteadyVeil, depth_of
from skill_tools.workers.augmentation.planes import Plane
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.vocabulary import drawn_seed

_DISTANCES_M = (1.3, 2.4, 4.5, 9.0, 18.0)
_VELOCITY_M_S = 1.1
_FLAKE_MM = 5.0
_LENS_MM = 3.0  # opening of the lens; as the far is in focus, each flake's edge is blurred by as much
_EXPOSURE_S = 1 / 250
_KINDS = 32  # of flakes in a layer
_FAR_M = 10.0
_LEAST_PX = 0.5  # across; smaller ones from afar are part of the veil, and an encoder takes them for noise


def snow(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return falling snow.

    Flakes of some 5 mm sink at about 1.1 m/s whatever their size (Locatelli and Hobbs, "Fall Speeds and
    Masses of Solid Precipitation Particles", 1974) and sway; near ones are out of focus, far ones are a
    white veil after Koschmieder.
    """
    strength, notes = not_doubled(scene, strength)
    cloud = overcast(scene, 0.9 * strength, rng, closed=CLOSED)
    wind, layers = flurry(scene.size, strength, drawn_seed(rng))

    def falling(sky_luma: float) -> Stage:
        return Falling(layers, min(0.97, 1.25 * sky_luma), scene.levels)

    def change(view: View) -> Change:
        cover = 0.34 * strength * (1 - np.exp(-view.distant.depth_m / 40.0))
        return Change.veil(1 - cover, cover * 0.80, scene.levels, (0.01, -0.008))

    grade = cloud.grade.then(Grade.exposure(0.22 * strength)).then(Grade.saturation(mix(1, 0.85, strength)))
    return Parts(
        shading=cloud.shading,
        air=(SteadyVeil(change, of=depth_of),),
        grade=grade,
        falling=(falling,),
        parameters={"wind": wind, "layers": len(layers)},
        notes=notes,
        already=bool(notes),
    )


def snow_ahead(size: tuple[int, int], strength: float, rng: np.random.Generator) -> None:
    """Draw what snowfall looks like in pictures of (width, height), whatever they show."""
    flurry(size, strength, drawn_seed(rng))


@lru_cache(maxsize=DRAWN_AHEAD)
def flurry(size: tuple[int, int], strength: float, seed: int) -> tuple[float, tuple[Layer, ...]]:
    """Return wind, sideways speed by sinking speed, and layers of flakes."""
    rng = np.random.default_rng(seed)
    wind = float(rng.uniform(0.1, 0.6) * rng.choice((-1, 1)))
    return wind, tuple(
        _layer(size, distance, strength, wind, rng)
        for distance in _DISTANCES_M
        if distance < _FAR_M or _FLAKE_MM / 1000 * focal_px(size) / distance > _LEAST_PX
    )


def _layer(
    size: tuple[int, int], distance: float, strength: float, wind: float, rng: np.random.Generator
) -> Layer:
    width, height = size
    px_per_m = focal_px(size) / distance
    stamps = []
    for _ in range(_KINDS):
        across_mm = float(np.clip(rng.lognormal(np.log(_FLAKE_MM), 0.4), 2, 12))
        stamps.append(
            _flake(
                across_mm / 2000 * px_per_m,
                _LENS_MM / 1000 * px_per_m,
                _VELOCITY_M_S * _EXPOSURE_S * px_per_m,
                wind,
                mix(0.5, 0.95, strength) * float(rng.uniform(0.5, 1.0)),
            )
        )
    period = round(height * rng.uniform(0.575, 0.725)) * 2
    count = 190 * strength * (distance / 2.4) ** 1.45 * in_view(size) * period / height
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


def _flake(radius: float, blur: float, length: float, wind: float, opacity: float) -> Plane:
    """Return the opacity of a flake on its way of `length` down and `wind` times that aside, in pixels."""
    edge = max(1.4, 1.4 * blur)
    reach = radius + edge / 2
    rows = 2 * int(np.ceil(length / 2 + reach)) + 1
    columns = 2 * int(np.ceil(abs(wind) * length / 2 + reach)) + 1
    y = np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2
    x = np.arange(columns, dtype=np.float32) - (columns - 1) / 2
    along = np.clip((y + wind * x) / (1 + wind**2), -length / 2, length / 2)
    soft = np.clip((reach - np.hypot(x - wind * along, y - along)) / edge, 0, 1)
    # As much light as the flake has, on the wider spot that blur and motion make of it.
    spot = np.pi * (radius + edge / 4) ** 2 + 2 * radius * length
    share = min(1.0, 1.5 * np.pi * max(radius, 0.25) ** 2 / spot)
    return np.asarray(255 * opacity * share * soft, np.uint8)
