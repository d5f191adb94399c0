"""Clear and overcast skies: how hard the light is."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, Parts, mix
from skill_tools.workers.augmentation.effects.veils import Change, SteadyVeil, Veil, sky_of
from skill_tools.workers.augmentation.ground import guided_coefficients
from skill_tools.workers.augmentation.planes import Map, Planes, halved
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.tracking import FOLLOWED_EVERY_S

CLOSED = 1.7
"""How far clouds close the sky, by the strength of rain or snow: wherever it falls, little blue is left."""


def clear(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:  # noqa: ARG001 - effects are called alike
    """Return a clear sky: deeper contrast, fuller colours, sunlit lights and sky-lit shadows.

    A sky that is seen turns blue from the zenith down, as Rayleigh scattering has it, its clouds kept.
    """
    grade = (
        Grade.exposure(0.30 * strength)
        .then(Grade.contrast(mix(1.0, 1.20, strength), pivot=min(0.55, max(0.3, scene.light.median))))
        .then(Grade.saturation(mix(1.0, 1.28, strength)))
        .then(
            Grade.temperature(
                mix(6504, 5500, strength), scene.levels, adaptation=0.45, shadows=mix(6504, 8200, strength)
            )
        )
    )
    return Parts(shading=_new_sky(scene, 0.42 * strength, 0.66, (0.13, -0.075)), grade=grade)


def overcast(
    scene: Scene,
    strength: float,
    rng: np.random.Generator,  # noqa: ARG001 - see clear
    *,
    closed: float = 0.85,
) -> Parts:
    """Return a cloud cover, `closed` as far at full strength: soft light without a side, cool and pale.

    The sun's part of the illumination goes: large-scale contrast (shadows against sunlit places) is
    compressed while texture stays, by splitting luma into an edge-keeping base and detail (Durand and
    Dorsey, "Fast Bilateral Filtering for the Display of High-Dynamic-Range Images", 2002; here with a
    guided filter). A seen sky becomes an even grey, brighter toward the zenith (CIE standard overcast
    sky, Moon and Spencer 1942). A source whose light is soft already is flattened less.
    """
    base_contrast = mix(1.0, 0.64, strength * (1 - 0.7 * scene.light.flat))
    grade = (
        Grade.exposure(-0.22 * strength)
        .then(Grade.contrast(mix(1.0, 0.95, strength)))
        .then(Grade.lift(0.015 * strength, 1 - 0.07 * strength))
        .then(Grade.saturation(mix(1.0, 0.68, strength)))
        .then(Grade.temperature(mix(6504, 7600, strength), scene.levels, adaptation=0.35))
    )
    shading: tuple[Veil, ...] = (
        Flattening(scene, base_contrast),
        *_new_sky(scene, min(0.95, closed * strength), 0.74, (0.0, 0.0)),
    )
    return Parts(shading=shading, grade=grade, parameters={"base_contrast": base_contrast})


class Flattening:
    """Compresses the contrast of illumination, keeps that of surfaces.

    What a place loses or gains follows from the illumination there (the base layer); around it the change
    is taken as linear in a pixel's own luma, so that it is a veil like others. What is darkened is so by a
    factor, as less light would do it.
    """

    def __init__(self, scene: Scene, factor: float) -> None:
        """Keep `factor` of the contrast between the large, smooth parts of the picture."""
        self._still = scene.still
        self._levels, self._background = scene.levels, scene.background
        self._average: tuple[Map, Map] | None = None
        self._seen_s = 0.0
        self._change: Change | None = None
        self._keeps = factor
        self._pivot = min(0.62, max(0.35, scene.light.median * 1.08))

    def change(self, view: View) -> Change:
        """Return the change for a frame."""
        if self._change is None or (not self._still and view.time_s - self._seen_s >= FOLLOWED_EVERY_S):
            self._seen_s = view.time_s
            self._change = self._followed(self._background if self._still else view.small)
        return self._change

    def _followed(self, small: Planes) -> Change:
        luma = small.y.astype(np.float32) / 255.0
        coarse = halved(luma)
        slope, offset = guided_coefficients(luma, coarse, radius=max(3, coarse.shape[1] // 24), epsilon=0.012)
        if self._average is not None:
            slope = cv2.addWeighted(self._average[0], 0.7, slope, 0.3, 0)
            offset = cv2.addWeighted(self._average[1], 0.7, offset, 0.3, 0)
        self._average = slope, offset
        levels = self._levels
        base = ((slope * luma + offset) * 255.0 - levels.black) / levels.luma_span
        less = 1 - self._keeps
        lifts = np.maximum(self._pivot - base, 0) * less * np.clip(base / 0.36, 0.05, 1)
        own = np.maximum((small.y - np.float32(levels.black)) / levels.luma_span, 0.02)
        takes = 0.85 * less * np.maximum(base - self._pivot, 0) / own
        # How fast the change follows a pixel's luma: not where the dark is spared.
        bends = less * slope * np.clip(base / 0.36 - 0.5, 0, 1)
        return Change.veil(np.clip(1 - takes - bends, 0, 1), lifts + bends * own, levels)


def _new_sky(scene: Scene, strength: float, luma: float, chroma: tuple[float, float]) -> tuple[Veil, ...]:
    """Return what draws a new sky over the seen one: nothing where none is seen."""
    rows = np.linspace(1, 0, scene.geometry.sky.shape[0], dtype=np.float32)[:, None]
    light = luma * (0.94 + 0.06 * rows if not any(chroma) else 1.08 - 0.16 * rows)
    none = Change.none(scene.geometry.sky.shape)

    def change(view: View) -> Change:
        sky = view.distant.sky
        if not sky.any():
            return none
        cover = sky * strength
        return Change.veil(1 - cover, cover * light, scene.levels, chroma)

    # A camera that moves may come to see one.
    may_be_seen = scene.geometry.sky.any() or not scene.still
    return (SteadyVeil(change, of=sky_of),) if may_be_seen else ()
