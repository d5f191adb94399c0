"""What effects are made of: stages that edit the planes of a frame, most of them grades and veils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.colour import GAMMA, light_gains, ycbcr_matrix
from skill_tools.workers.augmentation.effects.veils import Veil
from skill_tools.workers.augmentation.planes import Levels, Planes, Table, rounded
from skill_tools.workers.augmentation.scene import View

Curve = NDArray[np.float64]
"""Output luma for 256 input lumas from 0 to 1."""

_AXIS = np.linspace(0.0, 1.0, 256)
_LEAST_TINT = 0.4  # codes; less rounds away


class Stage(Protocol):
    """One step of an effect. What it needs to know is fixed when it is made, once for a scene."""

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""


@dataclass(frozen=True, eq=False)
class Grade:
    """A change of light that depends on a pixel's own value alone: tone curve, cast, saturation.

    Grades join without loss into one look-up table, however many effects they come from.
    """

    tone: Curve = field(default_factory=_AXIS.copy)
    chroma: NDArray[np.float64] = field(default_factory=lambda: np.eye(2))
    """Matrix on (Cb, Cr)."""
    tint: NDArray[np.float64] = field(default_factory=lambda: np.zeros((256, 2)))
    """Added to (Cb, Cr), for 256 input lumas from 0 to 1."""

    def then(self, following: Grade) -> Grade:
        """Return this grade followed by another."""
        tint = np.stack([np.interp(self.tone, _AXIS, following.tint[:, part]) for part in (0, 1)], axis=1)
        return Grade(
            np.interp(self.tone, _AXIS, following.tone),
            following.chroma @ self.chroma,
            self.tint @ following.chroma.T + tint,
        )

    @classmethod
    def curve(cls, function: Callable[[Curve], Curve]) -> Self:
        """Return a tone curve on gamma-encoded luma; chroma follows the curve's middle slope."""
        tone = np.clip(function(_AXIS), 0.0, 1.0)
        middle = float(np.interp(0.45, _AXIS, tone)) / 0.45
        return cls(tone, np.eye(2) * min(middle, 1.25))

    @classmethod
    def exposure(cls, stops: float) -> Self:
        """Return an exposure change in stops on linear light.

        Brightening bends into white instead of clipping (the extended operator of Reinhard et al.,
        "Photographic Tone Reproduction", 2002, eq. 4); darkening scales.
        """
        factor = 2.0**stops

        def bend(luma: Curve) -> Curve:
            light = luma**GAMMA * factor
            if factor > 1:
                light = light * (1 + light / factor**2) / (1 + light)
            encoded: Curve = light ** (1 / GAMMA)
            return encoded

        return cls.curve(bend)

    @classmethod
    def contrast(cls, factor: float, pivot: float = 0.45) -> Self:
        """Return an S-curve of slope `factor` at `pivot`, which black and white pass through unchanged."""

        def bend(luma: Curve) -> Curve:
            low = pivot * (np.clip(luma, 0, pivot) / pivot) ** factor
            high = 1 - (1 - pivot) * ((1 - np.clip(luma, pivot, 1)) / (1 - pivot)) ** factor
            return np.where(luma < pivot, low, high)

        return cls(np.clip(bend(_AXIS), 0, 1))

    @classmethod
    def lift(cls, black: float, white: float = 1.0) -> Self:
        """Return a curve that raises black to `black` and lowers white to `white`, as veiling glare does."""
        return cls(black + (white - black) * _AXIS, np.eye(2) * (white - black))

    @classmethod
    def saturation(cls, factor: float) -> Self:
        """Return a change of colourfulness."""
        return cls(chroma=np.eye(2) * factor)

    @classmethod
    def temperature(
        cls,
        kelvin: float,
        levels: Levels,
        *,
        adaptation: float,
        shadows: float | None = None,
        split: float = 0.36,
    ) -> Self:
        """Return the cast of a light of `kelvin`, and of another, `shadows`, where it doesn't reach.

        Shadows are lit by the sky while lights are lit by the sun, so their colours part when the sun is
        low; the passage between them is smooth in luma, around `split`.
        """
        lit = ycbcr_matrix(light_gains(kelvin, adaptation=adaptation), levels)
        if shadows is None:
            return cls(chroma=lit[1:, 1:], tint=_AXIS[:, None] * lit[1:, 0])
        unlit = ycbcr_matrix(light_gains(shadows, adaptation=adaptation), levels)
        share = 1 / (1 + np.exp(-(_AXIS - split) / 0.10))
        tint = _AXIS[:, None] * (share[:, None] * lit[1:, 0] + (1 - share)[:, None] * unlit[1:, 0])
        return cls(chroma=(lit[1:, 1:] + unlit[1:, 1:]) / 2, tint=tint)

    def of(self, luma: float, chroma: tuple[float, float]) -> tuple[float, tuple[float, float]]:
        """Return what becomes of a light of some luma and of (Cb, Cr) at luma 1, likewise."""
        graded = max(float(np.interp(luma, _AXIS, self.tone)), 1e-3)
        tint = [float(np.interp(luma, _AXIS, self.tint[:, part])) for part in (0, 1)]
        blue, red = (self.chroma @ (np.array(chroma) * luma) + tint) / graded
        return graded, (float(blue), float(red))

    def stage(self, levels: Levels) -> GradeStage:
        """Return the grade as look-up tables for the code values of `levels`."""
        return GradeStage(self, levels)


class GradeStage:
    """A grade as three look-up tables and a small matrix."""

    def __init__(self, grade: Grade, levels: Levels) -> None:
        values = np.clip(levels.values(), 0, 1)
        tone = np.interp(values, _AXIS, grade.tone)
        self._tone = Table(rounded(levels.black + tone * levels.luma_span))
        self._has_tone = not np.allclose(grade.tone, _AXIS, atol=1e-3)
        tint = [np.interp(values, _AXIS, grade.tint[:, part]) * levels.chroma_span for part in (0, 1)]
        self._has_tint = any(np.abs(part).max() > _LEAST_TINT for part in tint)
        # Bytes can't be negative, so what a tint takes at most is taken from all first.
        takes = [max(0.0, -float(part.min())) if self._has_tint else 0.0 for part in tint]
        self._tints = [Table(rounded(part + least)) for part, least in zip(tint, takes, strict=True)]
        self._weights = [
            (*row, 128 * (1 - sum(row)) - least)
            for row, least in zip(grade.chroma.tolist(), takes, strict=True)
        ]
        self._has_weights = not np.allclose(self._weights, np.eye(2, 3), atol=2e-3)

    def apply(self, planes: Planes, view: View) -> Planes:  # noqa: ARG002 - every stage takes both
        """Return the planes of one frame graded: the ones given, if they may be edited, or others."""
        if not (self._has_tone or self._has_tint or self._has_weights):
            return planes
        out = planes.target()
        self._grade_chroma(planes, out)
        if self._has_tone:
            self._tone.of(planes.y, out.y)
        elif out is not planes:
            out.y[:] = planes.y
        return out

    def _grade_chroma(self, planes: Planes, out: Planes) -> None:
        """Write the graded chroma to `out`, which may be the same; luma must not be graded yet."""
        u, v = planes.u, planes.v
        if self._has_weights:
            u, v = (cv2.addWeighted(u, of_u, v, of_v, plus) for of_u, of_v, plus in self._weights)
        if self._has_tint:
            shade = cv2.resize(planes.y, planes.half_size, interpolation=cv2.INTER_AREA)
            for given, to, tint in zip((u, v), (out.u, out.v), self._tints, strict=True):
                cv2.add(given, tint.of(shade), dst=to)
        elif u is not out.u:
            out.u[:], out.v[:] = u, v


@dataclass(frozen=True, eq=False)
class Parts:
    """What one effect adds to a variant, sorted by where in the chain it belongs."""

    shading: tuple[Veil, ...] = ()
    """How light falls on things."""
    ground: tuple[Veil, ...] = ()
    """What the ground is covered with."""
    air: tuple[Veil, ...] = ()
    """What stands between things and the camera."""
    grade: Grade = field(default_factory=Grade)
    """Exposure and colour of the light; the grades of all effects are joined."""
    lamps: tuple[Veil | Stage, ...] = ()
    """Light that the scene's own lamps and the low sun add."""
    falling: tuple[Callable[[float], Stage], ...] = ()
    """What falls; each is made for the luma that the sky has after grading."""
    sensor: tuple[Stage, ...] = ()
    """What the camera adds."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Figures for the variant's metadata."""
    notes: tuple[str, ...] = ()
    already: bool = False
    """Whether the source shows the value already, so that little is changed."""


def stops_toward(target: float, median: float, low: float, high: float) -> float:
    """Return the exposure change that takes a picture's median luma to `target`, within limits.

    Dark clips are thus darkened less, so that what already is a night doesn't turn black.
    """
    return float(np.clip(GAMMA * np.log2(target / max(median, 0.02)), low, high))


def tint_of(kelvin: float, levels: Levels, *, adaptation: float = 0.0) -> tuple[float, float]:
    """Return (Cb, Cr) of a light of `kelvin` at luma 1."""
    matrix = ycbcr_matrix(light_gains(kelvin, adaptation=adaptation), levels)
    return float(matrix[1, 0]), float(matrix[2, 0])


def mix(none: float, full: float, strength: float) -> float:
    """Return the value that lies `strength` of the way from `none` to `full`."""
    return none + (full - none) * strength
