"""Time of day: height and colour of the sun as colour temperature, exposure and contrast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from skill_tools.workers.augmentation.distance import FAR_M
from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, mix, stops_toward, tint_of
from skill_tools.workers.augmentation.effects.lamplight import illuminance, lamp_lit
from skill_tools.workers.augmentation.effects.shining import Exposure, Shining
from skill_tools.workers.augmentation.effects.veils import Change, FixedVeil, SteadyVeil, Veil, depth_of
from skill_tools.workers.augmentation.planes import Levels
from skill_tools.workers.augmentation.scene import Scene, View


@dataclass(frozen=True)
class Hour:
    """The light of a time of day at full strength."""

    sun_kelvin: float
    """Colour temperature of direct light (Lynch and Livingston, "Color and Light in Nature", ch. 1-3)."""
    sky_kelvin: float
    """Colour temperature of what lights the shadows."""
    median: float
    """Median luma that the picture is brought to."""
    stops: tuple[float, float]
    """Limits of the exposure change."""
    contrast: float = 1.0
    saturation: float = 1.0
    haze: float = 0.0
    """Part of the light from afar that haze replaces."""
    glow: float = 0.0
    """Strength of the low sun's light from one side."""
    adaptation: float = 0.45
    """Part of the colour cast that the camera's white balance takes away."""
    lamps: float = 0.0
    """Light right below a street lamp by that of the sky, linear, at most; 0 where lamps are off."""
    windows: float = 0.0
    """Share of the rooms behind windows that are lit."""


HOURS = {
    "sunrise": Hour(3300, 8500, 0.36, (-1.2, -0.25), 0.96, 1.05, haze=0.22, glow=0.22, adaptation=0.40),
    "morning": Hour(4300, 7800, 0.47, (-0.5, 0.30), 0.92, 1.02, haze=0.20, glow=0.14, adaptation=0.40),
    "midday": Hour(5900, 7200, 0.54, (0.30, 0.75), 1.22, 1.12, adaptation=0.55),
    "afternoon": Hour(4900, 7200, 0.46, (-0.25, 0.25), 1.10, 1.08, glow=0.08, adaptation=0.45),
    "golden_hour": Hour(3200, 7000, 0.40, (-0.8, -0.1), 1.06, 1.15, haze=0.08, glow=0.26, adaptation=0.36),
    "evening": Hour(
        2900, 10500, 0.25, (-2.0, -0.7), 1.16, 0.92, glow=0.18, adaptation=0.42, lamps=0.25, windows=0.25
    ),
    "sunset": Hour(
        2500,
        10000,
        0.29,
        (-1.7, -0.6),
        1.12,
        1.15,
        haze=0.10,
        glow=0.30,
        adaptation=0.48,
        lamps=0.12,
        windows=0.15,
    ),
    "twilight": Hour(
        7500, 12000, 0.20, (-2.5, -1.1), 1.0, 0.72, haze=0.06, adaptation=0.35, lamps=0.30, windows=0.35
    ),
    "blue_hour": Hour(
        11000, 20000, 0.20, (-2.5, -1.1), 1.04, 0.85, haze=0.05, adaptation=0.18, lamps=0.90, windows=0.50
    ),
}


_NEUTRAL = 0.04  # Cr - Cb of whites that pass for white
_NOTED = 0.6
_ROOM = 1.5
_LAMPLIT = 0.22  # most that lamps light the ground on the average, by the sky's light
_HALF = 0.5
_AIRLIGHT = 0.78


def daylight(hour: str, scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return what a time of day does to a scene.

    The cast is a colour temperature with the sun's in the lights and the sky's in the shadows (see
    `Grade.temperature`); the exposure aims at a median, so a dark source isn't darkened twice; haze is
    Koschmieder's law over the scene's depth; the low sun adds a wide gradient from one side. In the evening,
    at sunset, in twilight and in the blue hour the street lamps that a standing camera sees are on and light
    the ground below, less than the sky does, and some windows are lit, the more the later it is.
    """
    spec = HOURS[hour]
    stops = stops_toward(spec.median, scene.light.median, *spec.stops) * strength
    # Hours whose light differs little from the source's still have to be told apart from it.
    left, notes = _left_of_the_cast(spec, scene)
    kelvin, shadows = (
        6504 * (given / 6504) ** (strength * left) for given in (spec.sun_kelvin, spec.sky_kelvin)
    )
    split = min(0.36, 0.72 * scene.light.median)
    grade = (
        Grade.temperature(kelvin, scene.levels, adaptation=spec.adaptation, shadows=shadows, split=split)
        .then(Grade.exposure(stops))
        .then(Grade.contrast(mix(1.0, spec.contrast, strength), pivot=max(0.15, spec.median)))
        .then(Grade.saturation(mix(1.0, spec.saturation, strength)))
    )
    side = float(rng.choice((-1.0, 1.0)))
    lamps: tuple[Veil | Stage, ...] = ()
    if spec.glow:
        lamps = (_low_sun(spec.glow * strength, side, kelvin, scene),)
    if spec.lamps and scene.lights:
        pools, brighter = _pools(spec, scene, strength, stops)
        grade = Grade.exposure(brighter).then(grade)
        # Exposures may be changed before or after the grade, and veils side by side cost what one costs.
        lamps = (*pools, *lamps, Shining(scene, Exposure(spec.windows, _shown(stops) * strength), rng))
    if spec.haze:
        lamps = (_haze(spec, scene.levels, strength, grade), *lamps)
    parameters = {"stops": stops, "sun_kelvin": kelvin, "sky_kelvin": shadows, "sun_side": side}
    return Parts(
        grade=grade,
        lamps=lamps,
        parameters=parameters,
        notes=notes,
        already=bool(notes),
    )


def _shown(stops: float) -> float:
    """Return how bright what shines is in a picture exposed so much below the day's, by that of a night's."""
    return float(np.clip(0.30 - 0.32 * stops, 0.3, 1.0))


def _pools(spec: Hour, scene: Scene, strength: float, stops: float) -> tuple[tuple[Veil, ...], float]:
    """Return the light of the street lamps seen, and by how many stops the grade has to be lighter for it."""
    if not scene.lights.posts:
        return (), 0.0
    # A pool ends sooner than at night, since the eye sees it against the light of the sky.
    ambient, lit = 2.0**stops, illuminance(scene) ** 2
    # That still gives most of the light: where a lamp is so near that it lights all, it is weaker.
    usual = float(cv2.mean(lit, (scene.geometry.ground > _HALF).astype(np.uint8))[0])
    lamp = ambient * strength * min(spec.lamps, _LAMPLIT / max(usual, 1e-3))
    # The grade exposes for what is lit, and somewhat more: see `lamp_lit` on chroma.
    most = max(ambient + lamp, min(1.0, _ROOM * (ambient + lamp)))
    sky = tint_of(spec.sky_kelvin, scene.levels, adaptation=spec.adaptation)
    change = lamp_lit(
        scene,
        np.full_like(lit, ambient / most),
        lit * (lamp / most),
        adaptation=spec.adaptation,
        elsewhere=sky,
    )
    return (FixedVeil(change),), float(np.log2(most) - stops)


def _left_of_the_cast(spec: Hour, scene: Scene) -> tuple[float, tuple[str, ...]]:
    """Return which part of an hour's cast the source, by its whites, doesn't have yet, and the note."""
    blue, red = tint_of(spec.sun_kelvin, scene.levels, adaptation=spec.adaptation)
    wanted = (red - blue) * scene.light.light
    there = scene.light.cast * np.sign(wanted) - _NEUTRAL
    left = float(np.clip(1 - there / max(abs(wanted), _NEUTRAL), 0.15, 1))
    note = "The source has this light's colour already: less of it is added."
    return left, (note,) if left < _NOTED else ()


def _haze(spec: Hour, levels: Levels, strength: float, grade: Grade) -> SteadyVeil:
    """Return haze for a picture that is graded already: its light is graded here."""
    luma, chroma = grade.of(_AIRLIGHT, tint_of(spec.sun_kelvin, levels, adaptation=0.5))
    extinction = -np.log(1 - spec.haze * strength) / 80.0

    def change(view: View) -> Change:
        passes = np.exp(-extinction * np.minimum(view.distant.depth_m, FAR_M / 3))
        return Change.veil(passes, (1 - passes) * luma, levels, chroma)

    return SteadyVeil(change, of=depth_of)


def _low_sun(glow: float, side: float, kelvin: float, scene: Scene) -> FixedVeil:
    height, width = scene.geometry.ground.shape
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * side
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    toward = np.clip(0.5 + 0.5 * across - 0.35 * down, 0, 1) ** 1.5
    light = glow * 0.55 * toward
    passes = 1 - 0.55 * light - glow * 0.30 * (1 - toward)
    return FixedVeil(
        Change.veil(passes, light * 0.8, scene.levels, tint_of(kelvin, scene.levels, adaptation=0.2))
    )
