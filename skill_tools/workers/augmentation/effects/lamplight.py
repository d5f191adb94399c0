"""What street lamps light, and how that mixes with what is left of the day's light."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.colour import GAMMA
from skill_tools.workers.augmentation.effects.base import tint_of
from skill_tools.workers.augmentation.effects.ground_plane import ground_coordinates
from skill_tools.workers.augmentation.effects.veils import Change
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, as_codes, grow, scale
from skill_tools.workers.augmentation.scene import Scene, View

LAMP_KELVIN = 2600.0
"""Between sodium lamps, 2000 K, and warm LEDs, 3000 K."""

_LEAST = 1e-3
_HEIGHTS_M = (3.0, 9.0)
_BEAM = 1.2  # narrower than a bare bulb's


def illuminance(scene: Scene) -> Map:
    """Return the light that falls from the scene's lamps on posts: 1 right below one, 0 far off; small size.

    On the ground it is h³ / (h² + r²)^1.5 of that right below, for a lamp at height h and r to the side: the
    inverse square of the distance, and the cosine of the angle at which it falls (EN 13201-3). Upright things
    get what the ground gets on which they stand.
    """
    geometry = scene.geometry
    across, away = ground_coordinates(geometry, scene)
    height, width = across.shape
    light: Map = np.zeros((height, width), np.float32)
    for lamp in scene.lights.posts:
        column, head = lamp.box.centre
        foot = lamp.foot[1] if lamp.foot else head
        below_horizon = max(foot - geometry.horizon * height, 0.02 * height)
        z = scene.focal * geometry.camera_height_m / below_horizon
        x = (column - width / 2) * z / scene.focal
        tall = float(np.clip((foot - head) * z / scene.focal, *_HEIGHTS_M))
        light += falloff(across - x, away - z, tall) ** _BEAM
    light = cv2.GaussianBlur(np.minimum(light, 1.0), (0, 0), width / 80)
    lit: Map = light * (1 - geometry.sky)
    return lit


def falloff(right: Map, away: Map, tall: float) -> Map:
    """Return the light on the ground by that right below a lamp, for metres to the side, away and up."""
    part: Map = (1 + (right**2 + away**2) / tall**2) ** -1.5
    return part


def lamp_lit(
    scene: Scene,
    ambient: Map,
    lamps: Map,
    *,
    adaptation: float | None = 0.25,
    cast: tuple[float, float] = (0.0, 0.0),
    elsewhere: tuple[float, float] = (0.0, 0.0),
) -> Change:
    """Return what lamplight and a weaker ambient light make of a scene.

    A colour cast goes with a pixel's luma; here with that of the background in its place, so that it takes no
    more than a veil. What passes by has the cast of what it hides, which shows where the cast is strong:
    that of lamps can be left to `LampColour`. A veil's addends are bytes, so chroma can fall only where the
    light is less than the source's: with more than 1 / 1.3 of it lamps lose their colour.

    Args:
        scene: The scene; under a moving camera its median luma stands for its background.
        ambient: Light that is left of the source's, linear, 0 to 1.
        lamps: Light that lamps add, likewise.
        adaptation: Part of the lamps' colour that the camera's white balance takes away; None for no colour.
        cast: (Cb, Cr) at luma 1 of the ambient light.
        elsewhere: (Cb, Cr) at luma 1 that a grade adds everywhere, but that lamplight doesn't have.
    """
    levels = scene.levels
    both = np.clip(ambient + lamps, _LEAST, 1)
    gain = (both ** (1 / GAMMA)).astype(np.float32)
    part = share(ambient, lamps)
    if scene.still:
        luma = np.clip((scene.background.y.astype(np.float32) - levels.black) / levels.luma_span, 0, 1)
    else:
        luma = np.full_like(gain, scene.light.median)
    shown = levels.chroma_span * gain * luma
    warm = elsewhere if adaptation is None else tint_of(LAMP_KELVIN, levels, adaptation=adaptation)
    add_u, add_v = (
        ((1 - gain) * 128 + shown * (part * (lamp - graded) + (1 - part) * rest)).astype(np.float32)
        for lamp, rest, graded in zip(warm, cast, elsewhere, strict=True)
    )
    return Change(gain, (1 - gain) * np.float32(levels.black), add_u, add_v)


def share(ambient: Map, lamps: Map) -> Map:
    """Return which part of the light is that of lamps, 0 to 1."""
    part: Map = lamps / np.maximum(ambient + lamps, _LEAST)
    return part


class LampColour:
    """Gives what lamps light their colour, by each pixel's own luma."""

    def __init__(self, part: Map, levels: Levels, *, adaptation: float) -> None:
        """Colour by the lamps' `part` of the light, of the small size, once the picture is darkened."""
        self._part, self._levels = part, levels
        blue, red = tint_of(LAMP_KELVIN, levels, adaptation=adaptation)
        codes = levels.chroma_span / levels.luma_span
        self._weights = -blue * codes, red * codes
        self._maps: tuple[Plane, Plane] | None = None

    def apply(self, planes: Planes, view: View) -> Planes:  # noqa: ARG002 - every stage takes both
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        planes = planes.own()
        if self._maps is None:
            blue, red = (
                grow(as_codes(np.clip(weight * self._part, 0, 1)), planes.half_size)
                for weight in self._weights
            )
            self._maps = blue, red
        luma = cv2.resize(planes.y, planes.half_size, interpolation=cv2.INTER_AREA)
        if self._levels.black:
            luma = cv2.addWeighted(luma, 1.0, luma, 0.0, -self._levels.black)
        for change, plane, by in zip((cv2.subtract, cv2.add), (planes.u, planes.v), self._maps, strict=True):
            change(plane, scale(luma, by), dst=plane)
        return planes
