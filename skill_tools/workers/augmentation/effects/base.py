"""What effects are made of: stages that edit a frame's planes in place, most of them grades and veils."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import groupby
from typing import Protocol, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.colour import GAMMA, light_gains, ycbcr_matrix
from skill_tools.workers.augmentation.effects.growth import Growth
from skill_tools.workers.augmentation.multiplier import Multiplier
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, Table, rounded
from skill_tools.workers.augmentation.scene import View

Curve = NDArray[np.float64]
"""Output luma for 256 input lumas from 0 to 1."""

_AXIS = np.linspace(0.0, 1.0, 256)
_UP = 0.49  # codes; a product is rounded down, so what is added to it is rounded up
_MAPS = {"gain": (255.0, 0.0), "add": (1.0, _UP), "add_u": (1.0, _UP), "add_v": (1.0, _UP)}
"""The maps of a change: codes for 1 and for 0."""
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
class Change:
    """out = in x gain + add, a pixel, in codes: what fog, sky, lamps, water and darkness do where they are.

    All maps are of the small size. One gain serves luma and chroma, as it does with light.
    """

    gain: Map
    """0 to 1."""
    add: Map
    """Codes of luma."""
    add_u: Map
    add_v: Map

    def then(self, following: Change) -> Change:
        """Return this change followed by another."""
        return Change(
            self.gain * following.gain,
            self.add * following.gain + following.add,
            self.add_u * following.gain + following.add_u,
            self.add_v * following.gain + following.add_v,
        )

    def codes(self) -> Mapping[str, Plane]:
        """Return the maps by their names as bytes, not to be written to; a gain of 1 is 255."""
        return dict(zip(_MAPS, self.stacked, strict=True))

    @cached_property
    def stacked(self) -> Plane:
        """The codes of all maps, one under the other, likewise."""
        # Nothing is negative but for rounding errors, so that what takes magnitudes may be used: it is quick.
        return np.stack(
            [
                cv2.convertScaleAbs(getattr(self, name), alpha=alpha, beta=beta)
                for name, (alpha, beta) in _MAPS.items()
            ]
        )

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """The maps beside one another, in the order of the codes and of their size: a row for each pixel."""
        maps = [
            getattr(self, name).ravel() * np.float32(alpha) + np.float32(beta)
            for name, (alpha, beta) in _MAPS.items()
        ]
        return np.stack(maps, axis=1).astype(np.float32, copy=False)

    def where(self, share: Map) -> Change:
        """Return the part of the change that remains where `share` is 1, none where it is 0."""
        return Change(1 - share * (1 - self.gain), self.add * share, self.add_u * share, self.add_v * share)

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Return what leaves all as it is."""
        nothing = np.zeros(shape, np.float32)
        return cls(np.ones(shape, np.float32), nothing, nothing, nothing)

    @classmethod
    def veil(cls, passes: Map, light: Map, levels: Levels, chroma: tuple[float, float] = (0.0, 0.0)) -> Self:
        """Return what lets `passes` of the picture's light through and adds `light`.

        Args:
            passes: 0 to 1.
            light: Luma from 0 to 1.
            levels: What codes mean.
            chroma: (Cb, Cr) of the light added, for luma 1.
        """
        passes = np.clip(passes, 0, 1).astype(np.float32)
        # Black and grey have codes of their own, which must come out unscaled.
        shut = 1 - passes
        add_u, add_v = (shut * 128 + light * (part * levels.chroma_span) for part in chroma)
        return cls(passes, shut * levels.black + light * levels.luma_span, add_u, add_v)


@dataclass(frozen=True, eq=False)
class Spared:
    """A change that is the same in each frame, but for what passes before it and for light that it throws."""

    change: Change
    cover: Plane
    """How far what passes hides the change: 255 where none is left."""
    more: tuple[Box, Map] | None = None
    """Codes of luma that are added in a box, of either sign; hidden by what passes as well."""

    def whole(self) -> Change:
        """Return the change for the frame with all that is in it."""
        add = self.change.add.copy()
        if self.more:
            box, codes = self.more
            add[box.slices] += codes
        share = (255 - self.cover) * np.float32(1 / 255)
        return Change(self.change.gain, add, self.change.add_u, self.change.add_v).where(share)


@dataclass(frozen=True, eq=False)
class SparedAmong:
    """A spared change with other changes before and behind it, as one.

    A chain of changes is linear in how much there is of one of them. So with it and without it they are
    joined once, and a frame costs what is to be done where something passes.
    """

    spared: Spared
    joined: Change
    """All changes, with nothing that passes."""
    others: Change
    """All changes but the one that is spared."""
    behind: Map
    """Gain of those behind it."""

    def codes(self) -> Mapping[str, Plane]:
        """Return the maps by their names as bytes, not to be written to; a gain of 1 is 255."""
        codes = self.joined.stacked.copy()
        add = self.joined.add
        if self.spared.more:
            box, light = self.spared.more
            add = add.copy()
            part = add[box.slices]
            part += light * self.behind[box.slices]
            codes[1][box.slices] = cv2.convertScaleAbs(part, beta=_UP)
        cover = self.spared.cover
        places = np.flatnonzero(cover > 0)
        rows, others = (np.take(change.rows, places, axis=0) for change in (self.joined, self.others))
        rows[:, 1] = add.ravel()[places] + _UP
        others -= rows
        others *= (cover.ravel()[places] * np.float32(1 / 255))[:, None]
        rows += others
        codes.reshape(len(codes), -1)[:, places] = cv2.convertScaleAbs(rows).T
        return dict(zip(_MAPS, codes, strict=True))


class Veil(Protocol):
    """A step of an effect that changes each pixel by a factor and an addend, smooth over the picture."""

    def change(self, view: View) -> Change | Spared:
        """Return the change for a frame: the one of before, the object itself, if nothing is new."""


class FixedVeil:
    """A veil that stays where it is in the picture, whatever the scene does."""

    def __init__(self, change: Change) -> None:
        self._change = change

    def change(self, view: View) -> Change:  # noqa: ARG002 - every veil takes one
        """Return the change for a frame."""
        return self._change


class SteadyVeil:
    """A veil that follows from a part of what is known about a scene, made anew when that changes."""

    def __init__(self, make: Callable[[View], Change], of: Callable[[View], object]) -> None:
        """Show what `make` makes of a view, as long as what it is made `of` is one and the same."""
        self._make, self._of = make, of
        self._made_of: object = None

    def change(self, view: View) -> Change:
        """Return the change for a frame."""
        now = self._of(view)
        if now is not self._made_of:
            self._made_of = now
            self._change = self._make(view)
        return self._change


def ground_of(view: View) -> object:
    """Return what a veil on the ground is made of."""
    return view.geometry


def depth_of(view: View) -> object:
    """Return what a veil in the air is made of."""
    return view.geometry.depth_m


class JoinedVeils:
    """Veils one behind another as one; neighbours that stay as they are, are joined once."""

    def __init__(self, veils: Sequence[Veil]) -> None:
        self._veils = tuple(veils)
        self._given: tuple[Change | None, ...] = (None,) * len(self._veils)
        self._runs: dict[tuple[Change, ...], Change] = {}
        self._change: Change | None = None
        self._apart: tuple[Change, Change, Map] | None = None

    def change(self, view: View) -> Change | SparedAmong:
        """Return the change for a frame."""
        given = [veil.change(view) for veil in self._veils]
        which = [index for index, change in enumerate(given) if isinstance(change, Spared)]
        changes = [change.change if isinstance(change, Spared) else change for change in given]
        for index in which[:-1]:
            changes[index] = cast("Spared", given[index]).whole()
        joined = self._joined(tuple(changes))
        if not which:
            return joined
        if self._apart is None or self._apart[0] is not joined:
            before, behind = changes[: which[-1]], changes[which[-1] + 1 :]
            none = Change.none(joined.gain.shape)
            self._apart = (
                joined,
                reduce(Change.then, before + behind, none),
                reduce(Change.then, behind, none).gain,
            )
        return SparedAmong(cast("Spared", given[which[-1]]), *self._apart)

    def _joined(self, given: tuple[Change, ...]) -> Change:
        if self._change is None or given != self._given:
            parts: list[Change] = []
            runs: dict[tuple[Change, ...], Change] = {}
            for stays, pairs in groupby(
                zip(given, self._given, strict=True), lambda pair: pair[0] is pair[1]
            ):
                run = tuple(now for now, _ in pairs)
                if stays:
                    runs[run] = self._runs.get(run) or reduce(Change.then, run)
                    run = (runs[run],)
                parts += run
            self._given, self._runs = given, runs
            self._change = reduce(Change.then, parts)
        return self._change


class Joining:
    """Finds what veils one behind another do to a frame, as a stage that edits nothing itself.

    Another thread can thus lay the veils over one frame while they are found for the next.
    """

    def __init__(self, veils: Sequence[Veil]) -> None:
        self._joined = JoinedVeils(veils)
        self.found: deque[Change | SparedAmong] = deque()
        """For each frame that hasn't been laid over yet, in their order."""

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes given, as they are."""
        self.found.append(self._joined.change(view))
        return planes


class Laying:
    """Lays over frames what a stage before has found: joined at the small size, all cost what one costs."""

    def __init__(self, found: deque[Change | SparedAmong]) -> None:
        """Take a change from the left of `found` for each frame."""
        self._found = found
        self._change: Change | SparedAmong | None = None
        self._adds: dict[str, list[Plane]] = {}

    def apply(self, planes: Planes, view: View) -> Planes:  # noqa: ARG002 - every stage takes both
        """Return the planes of one frame edited, which are others than those given."""
        if not self._adds:
            self._multiplier = Multiplier(planes.size)
            gains = self._multiplier.factors
            self._adds = {
                name: [np.empty_like(plane)]
                for name, plane in zip(("add", "add_u", "add_v"), (gains.y, gains.u, gains.v), strict=True)
            }
            self._growth = Growth({"gain": [gains.y, gains.u, gains.v], **self._adds})
        change = self._found.popleft()
        if change is not self._change:
            self._change = change
            self._growth.follow(change.codes())
        out = Planes.of(self._multiplier.times(planes.framed()))
        for plane, (add,) in zip((out.y, out.u, out.v), self._adds.values(), strict=True):
            cv2.add(plane, add, dst=plane)
        return out


def joined(steps: Iterable[Veil | Stage]) -> Iterator[Stage]:
    """Yield the steps as stages in their order, neighbouring veils as one."""
    for are_veils, group in groupby(steps, lambda step: hasattr(step, "change")):
        if are_veils:
            joining = Joining([cast("Veil", step) for step in group])
            yield joining
            yield Laying(joining.found)
        else:
            yield from (cast("Stage", step) for step in group)


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
