"""Clear and overcast skies: how hard the light is."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.effects.base import Grade, Parts, Stage, VeilMaps, VeilStage, mix
from skill_tools.workers.augmentation.planes import Map, Plane, Planes, as_codes, grow, scale
from skill_tools.workers.augmentation.scene import Geometry, Scene, View, guided_coefficients


def clear(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:  # noqa: ARG001 - effects are called alike
    """Return a clear sky: deeper contrast, fuller colours, sunlit lights and sky-lit shadows.

    A sky that is seen turns blue from the zenith down, as Rayleigh scattering has it, its clouds kept.
    """
    grade = (
        Grade.exposure(0.30 * strength)
        .then(Grade.contrast(mix(1.0, 1.24, strength), pivot=min(0.55, max(0.3, scene.light.median))))
        .then(Grade.saturation(mix(1.0, 1.28, strength)))
        .then(
            Grade.temperature(
                mix(6504, 5500, strength), scene.levels, adaptation=0.45, shadows=mix(6504, 8200, strength)
            )
        )
    )
    return Parts(shading=_sky_stages(scene, 0.42 * strength, 0.66, (0.13, -0.075)), grade=grade)


def overcast(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:  # noqa: ARG001 - see clear
    """Return a closed cloud cover: soft light without a side, cool and pale.

    The sun's part of the illumination goes: large-scale contrast (shadows against sunlit places) is
    compressed while texture stays, by splitting luma into an edge-keeping base and detail (Durand and
    Dorsey, "Fast Bilateral Filtering for the Display of High-Dynamic-Range Images", 2002; here with a
    guided filter). A seen sky becomes an even grey, brighter toward the zenith (CIE standard overcast
    sky, Moon and Spencer 1942).
    """
    grade = (
        Grade.exposure(-0.22 * strength)
        .then(Grade.contrast(mix(1.0, 0.95, strength)))
        .then(Grade.lift(0.015 * strength, 1 - 0.07 * strength))
        .then(Grade.saturation(mix(1.0, 0.68, strength)))
        .then(Grade.temperature(mix(6504, 7600, strength), scene.levels, adaptation=0.35))
    )
    shading: tuple[Stage, ...] = (
        Flattening(scene, mix(1.0, 0.64, strength)),
        *_sky_stages(scene, 0.85 * strength, 0.74, (0.0, 0.0)),
    )
    return Parts(shading=shading, grade=grade, parameters={"base_contrast": mix(1.0, 0.64, strength)})


class Flattening:
    """Compresses the contrast of illumination, keeps that of surfaces."""

    def __init__(self, scene: Scene, factor: float) -> None:
        """Keep `factor` of the contrast between the large, smooth parts of the picture."""
        self._levels = scene.levels
        self._model: tuple[Plane, Plane] | None = None
        self._still = scene.still
        self._average: tuple[Map, Map] | None = None
        self._background = scene.background
        pivot = scene.levels.luma(min(0.62, max(0.35, scene.light.median * 1.08)))
        codes = np.arange(256)
        change = (pivot - codes) * (1 - factor)
        change = np.where(
            change < 0, change * 0.85, change * np.clip((codes - scene.levels.black) / 80, 0.05, 1)
        )
        self._change = np.clip(np.rint(change + 128), 0, 255).astype(np.uint8)

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        model = self._model
        if model is None or not self._still:
            model = self._followed(self._background if self._still else view.small, planes.size)
            self._model = model
        base = cv2.add(scale(planes.y, model[0]), model[1])
        cv2.addWeighted(planes.y, 1.0, cv2.LUT(base, self._change), 1.0, -128, dst=planes.y)

    def _followed(self, small: Planes, size: tuple[int, int]) -> tuple[Plane, Plane]:
        luma = small.y.astype(np.float32) / 255.0
        slope, offset = guided_coefficients(luma, luma, radius=max(3, small.y.shape[1] // 24), epsilon=0.012)
        if self._average is not None:
            slope = cv2.addWeighted(self._average[0], 0.8, slope, 0.2, 0)
            offset = cv2.addWeighted(self._average[1], 0.8, offset, 0.2, 0)
        self._average = slope, offset
        return grow(as_codes(slope), size), grow(as_codes(offset), size)


def _sky_stages(
    scene: Scene, strength: float, luma: float, chroma: tuple[float, float]
) -> tuple[VeilStage, ...]:
    """Return what draws a new sky over the seen one: nothing where none is seen."""
    if not scene.geometry.sky.any():
        return ()

    def maps(geometry: Geometry) -> VeilMaps:
        rows = np.linspace(1, 0, geometry.sky.shape[0], dtype=np.float32)[:, None]
        cover = geometry.sky * strength
        toward_zenith = 0.94 + 0.06 * rows if not any(chroma) else 1.08 - 0.16 * rows
        return VeilMaps(1 - cover, cover * luma * toward_zenith, chroma)

    return (VeilStage(maps, scene.levels),)
