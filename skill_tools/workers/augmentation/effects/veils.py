"""Veils: what changes each pixel by a factor and an addend, smooth over the picture, and how they join."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import groupby
from typing import Protocol, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Levels, Map, Plane
from skill_tools.workers.augmentation.scene import View

_UP = 0.49  # codes; a product is rounded down, so what is added to it is rounded up
_MAPS = {"gain": (255.0, 0.0), "add": (1.0, _UP), "add_u": (1.0, _UP), "add_v": (1.0, _UP)}
"""The maps of a change: codes for 1 and for 0."""


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
    _ = view.pose  # which has the ground followed
    return view.geometry


def depth_of(view: View) -> object:
    """Return what a veil in the air is made of."""
    return view.distant.depth_m


def sky_of(view: View) -> object:
    """Return what a veil over the sky is made of."""
    return view.distant.sky


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
