"""Night: moonless town darkness, lamps and windows that are on, and what they light."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, mix, stops_toward, tint_of
from skill_tools.workers.augmentation.effects.ground_plane import ground_coordinates, rows_to_metres
from skill_tools.workers.augmentation.effects.lamplight import (
    LampColour,
    falloff,
    illuminance,
    lamp_lit,
    share,
)
from skill_tools.workers.augmentation.effects.sensor import SensorNoise
from skill_tools.workers.augmentation.effects.shining import Exposure, Shining
from skill_tools.workers.augmentation.effects.veils import Change, FixedVeil, Veil
from skill_tools.workers.augmentation.planes import Map, quantile
from skill_tools.workers.augmentation.scene import Geometry, Scene

_DARK = 0.22  # median luma of what is a night already
_HALF = 0.5
_NIGHT_KELVIN = 16000.0
_LAMPLIT_STOPS = 0.17
_DRIVER_M = 3.0
_ROOM = 0.35  # light in a room of luminaires, by that right below a street lamp


def night(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return a lamp-lit night.

    What lamps don't reach is dark, blue and pale, as night vision has it (Thompson, Shirley and Ferwerda, "A
    Spatial Post-Processing Algorithm for Images of Night Scenes", 2002). Under a standing camera the lamps on
    posts that are seen are on, and light a pool below them by the inverse square of the distance; where none
    is seen, some light the ground. About half of the rooms behind windows are lit, each in its own brightness
    and colour. All that shines has a halo by scatter in air and lens, and is covered by what moves in front
    of it. A moving camera at a driver's height has headlights, any other takes some light along.
    """
    already = scene.light.median < _DARK
    limits = (-1.0, -0.5) if already else (-5.5, -2.4)
    stops = stops_toward(0.05, scene.light.median, *limits) * strength
    # Its own lamps light a night already.
    lit = np.zeros_like(scene.geometry.ground) if already else _lamplight(scene, rng)
    # A camera exposes for what lamps light: that comes out a little darker than by day.
    lit *= 2.0 ** (_LAMPLIT_STOPS * stops) - 2.0**stops
    ambient = (2.0**stops * (1 - 0.8 * strength * _sky(scene))).astype(np.float32)
    change = _darkness(scene, strength, ambient, lit, already=already)
    lamps: tuple[Veil | Stage, ...] = (FixedVeil(change),)
    if lit.any():
        # Headlights and the mixture of a street's lamps are whiter than one lamp.
        white = 0.25 if scene.still else 0.6
        lamps = (*lamps, LampColour(share(ambient, lit), scene.levels, adaptation=white))
    if scene.lights:
        lamps = (*lamps, Shining(scene, Exposure(0.55, strength), rng))
    return Parts(
        grade=Grade.saturation(mix(1, 0.85 if already else 0.62, strength)),
        lamps=lamps,
        sensor=(SensorNoise(2.0 * strength, rng),),
        parameters={
            "stops": stops,
            "lamps": len(scene.lights.lamps),
            "windows": len(scene.lights.panes),
        },
        notes=("The source is dark already: it is darkened less.",) if already else (),
        already=already,
    )


def _darkness(scene: Scene, strength: float, ambient: Map, lit: Map, *, already: bool) -> Change:
    """Return what a night's darkness and its lamps make of a scene, but for the lamps' colour.

    Exposures are factors on encoded luma, since its transfer is taken as a pure power: light of any place is
    a veil, and no tone curve is needed.
    """
    blue, red = (0.0, 0.0) if already else tint_of(_NIGHT_KELVIN, scene.levels)
    cast = 1.5 * strength * blue, 1.5 * strength * red
    change = lamp_lit(scene, ambient, lit, adaptation=None, cast=cast)
    # The darkest is blue as well, where a cast by luma would be lost.
    glow = (0.6 if already else 3.0) * strength * (1 - share(ambient, lit))
    return Change(change.gain, change.add, change.add_u + glow, change.add_v - 0.4 * glow)


def _sky(scene: Scene) -> Map:
    """Return where the sky is, with what is thin before it; how much of each row under a moving camera."""
    if scene.lights.indoors:
        return np.zeros_like(scene.geometry.sky)
    side = scene.geometry.sky.shape[1] // 24 | 1
    sky: Map = cv2.morphologyEx(scene.geometry.sky, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    if scene.still:
        return sky
    rows = cv2.blur(sky.mean(axis=1, keepdims=True), (1, 2 * side + 1))
    return np.repeat(rows, sky.shape[1], axis=1)


def _lamplight(scene: Scene, rng: np.random.Generator) -> Map:
    """Return how lamps light the scene, 0 to 1: those seen, else some on the ground, or the camera's."""
    if not scene.still:
        return _taken_along(scene)
    if scene.lights.posts:
        return illuminance(scene)
    if scene.lights.indoors:
        return np.full_like(scene.geometry.ground, _ROOM)
    geometry: Geometry = scene.geometry
    across, away = ground_coordinates(geometry, scene)
    below_sky = away[geometry.sky < _HALF]
    near, far = quantile(below_sky, 0.03), quantile(below_sky, 0.80)
    spacing = max(6.0, (far - near) / 2.2)
    lamps = [
        (float(rng.uniform(-0.55, 0.55)) * distance, distance)
        for distance in np.arange(near + 0.25 * spacing, far + spacing, spacing)
    ]
    light = np.zeros_like(away)
    for x, z in lamps:
        light += falloff(across - x, away - z, 0.42 * spacing)
    pools = cv2.GaussianBlur(np.minimum(0.7 * light, 0.7), (0, 0), geometry.ground.shape[1] / 40)
    under_sky: Map = pools * (1 - geometry.sky)
    return under_sky


def _taken_along(scene: Scene) -> Map:
    """Return light that goes with a moving camera: headlights near the road, else that of the street around.

    Headlights where the horizon says that the camera is at a driver's height, and as far as there is a road.
    """
    geometry = scene.geometry
    height, width = geometry.ground.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    around = 0.5 * np.exp(-(((x / width - 0.5) / 0.6) ** 2) - ((y / height - 0.7) / 0.5) ** 2)
    across, away = rows_to_metres(geometry, scene)
    beam = np.exp(-((across / np.maximum(0.38 * away, 1.2)) ** 2)) * np.exp(-away / 22.0)
    # Low beams end at the horizon, softly.
    beam = beam / (1 + np.exp(-(y / height - geometry.horizon - 0.03) / 0.02))
    driving = geometry.trust if geometry.camera_height_m < _DRIVER_M else 0.0
    light = driving * (0.9 * beam + 0.10) + (1 - driving) * around
    under_sky: Map = (light * (1 - _sky(scene))).astype(np.float32)
    return under_sky
