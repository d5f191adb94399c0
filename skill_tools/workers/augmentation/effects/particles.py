"""What falls through the air in front of the camera, in layers of depth that move with time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Levels, Plane, Planes, grow, rounded, scale, shrink
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.vocabulary import seed_for

Places = NDArray[np.intp]
"""Pixels of a plane, counted row by row."""


class Specks(NamedTuple):
    """Pixels that something lies over."""

    places: Places
    opacity: Plane
    """0 to 255."""
    shift: int = 0
    """By how many places they lie farther on than `places` says."""


DRAWN_AHEAD = 3
"""How many drawings of a kind are kept: one for each of the variants that are made at once."""

_DUSK = 0.5  # luma of the graded sky below which lamps light what falls
_SHINES = 0.45  # luma from which something counts as shining then
_LIGHTER = 1.5
_GLOW_WIDTH = 80
_FAINT = 8  # of 255; less is nowhere seen


@dataclass(frozen=True, eq=False)
class Sheet:
    """Opacity of sparse particles, as the few pixels that have any.

    Some 3 % of a picture lie behind drops. Touching these alone takes a third of the time that it takes to
    blend whole planes, however few drops there are.
    """

    places: Places
    """In rising order."""
    opacity: Plane
    """One for each place."""
    period: int
    """Rows of the sheet."""
    width: int

    @classmethod
    def of(cls, drawn: Plane) -> Self:
        """Return the sheet that is drawn on a plane; it goes on around its sides."""
        places = np.flatnonzero(drawn > _FAINT)
        return cls(places, drawn.ravel()[places], *drawn.shape)

    def shown(self, height: int, row: int, left: int) -> Specks:
        """Return what is seen in a picture of `height` rows when the sheet begins at `row`, `left` cut off.

        What goes on around the side comes out a row higher or lower, which nobody sees.
        """
        shift = row * self.width - left
        begin, end = np.searchsorted(self.places, (-shift, height * self.width - shift))
        return Specks(self.places[begin:end], self.opacity[begin:end], shift)


@dataclass(frozen=True, eq=False)
class Layer:
    """Particles of one distance, drawn once on a sheet that slides past the camera.

    The sheet is as wide as the picture and goes on around its sides. It repeats downwards with its own
    period, each time from another place sideways, so no pattern is seen twice soon. Its first and last
    rows are empty, since no particle may be cut there.
    """

    sheet: Sheet
    fall_px_s: float
    drift_px_s: float
    sway_px: float = 0.0
    sway_hz: float = 0.0
    phase: float = 0.0
    colour: Sheet | None = None
    """The same at half the size, for the chroma planes, where the particles hide colour."""

    def shown(self, height: int, time_s: float, serial: int) -> Iterator[Specks]:
        """Yield what a picture of `height` rows shows of this layer at a time."""
        for row, left in self._turns(height, time_s, serial):
            yield self.sheet.shown(height, row, left)

    def hides(self, height: int, time_s: float, serial: int) -> Iterator[Specks]:
        """Yield where colour is hidden, in chroma planes of half the `height` of the picture, rounded up."""
        if self.colour:
            for row, left in self._turns(height, time_s, serial):
                yield self.colour.shown((height + 1) // 2, row // 2, left // 2)

    def _turns(self, height: int, time_s: float, serial: int) -> Iterator[tuple[int, int]]:
        """Yield the row where each repetition of the sheet begins, and how many columns are cut off left."""
        period, width = self.sheet.period, self.sheet.width
        sway = self.sway_px * np.sin(2 * np.pi * (self.sway_hz * time_s + self.phase))
        drift = round(self.drift_px_s * time_s + sway)
        cycle, offset = divmod(round(self.fall_px_s * time_s), period)
        turn = -cycle - (1 if offset else 0)
        for row in range(offset - period if offset else 0, height, period):
            # A cycle keeps its sideways place while it passes, so that particles fall in one piece.
            yield row, (_sideways(serial, turn) - drift) % width
            turn += 1


@lru_cache(maxsize=64)
def _sideways(serial: int, turn: int) -> int:
    return seed_for(serial, turn)


def in_view(size: tuple[int, int]) -> float:
    """Return how much air a picture of (width, height) shows, by one of 16:9; the longer side sees 58°."""
    return size[0] * size[1] / (max(size) ** 2 * 9 / 16)


def not_doubled(scene: Scene, strength: float) -> tuple[float, tuple[str, ...]]:
    """Return the strength for what falls, less where something falls in the source already, and the note."""
    if not scene.falling:
        return strength, ()
    return 0.35 * strength, ("Rain or snow falls in the source already: less of it is added.",)


class Speckled(Protocol):
    """What else shines in the light of what falls: splashes."""

    def shown(self, view: View) -> Specks:
        """Return what a frame shows of it."""


class Lamplight:
    """The light that falls on drops and flakes when the sky gives little, told by the graded picture.

    A flake hangs in the light that the things around it in the picture are in, and is lighter than most of
    them; near what shines it shines as well. How far it is from a lamp in depth can't be told.
    """

    def __init__(self, sky_luma: float, levels: Levels) -> None:
        """Begin with a light of `sky_luma` where nothing shines."""
        values = levels.values()
        self._lit = rounded(levels.luma(0) + _LIGHTER * levels.luma_span * np.clip(values, 0, 1))
        self._shines = rounded(255 * np.clip((values - _SHINES) / 0.35, 0, 1))
        self._sky, self._most = (np.array([levels.luma(each)]) for each in (sky_luma, 0.9))

    def light(self, luma: Plane, places: Places) -> Plane:
        """Return the luma code of what falls at places of a graded frame."""
        height, width = luma.shape
        size = _GLOW_WIDTH, max(2, round(_GLOW_WIDTH * height / width))
        # Lamps are small, so what shines is told before anything is averaged.
        picked = cv2.resize(luma, (4 * size[0], 4 * size[1]), interpolation=cv2.INTER_NEAREST)
        shining = shrink(cv2.LUT(picked, self._shines), *size)
        around = cv2.max(cv2.LUT(cv2.blur(shrink(picked, *size), (9, 9)), self._lit), self._sky)
        wide = cv2.blur(cv2.blur(shining, (11, 11)), (11, 11))
        glow = cv2.addWeighted(cv2.blur(shining, (5, 5)), 3.0, wide, 8.0, 0)
        light = cv2.add(around, scale(cv2.subtract(self._most, around), glow))
        # In cells of a few pixels, whose edges are lost in streaks and flakes.
        cell = max(1, width // (2 * _GLOW_WIDTH))
        columns, rows = -(-width // cell), -(-height // cell)
        flat = places.astype(np.uint32)
        row = flat // np.uint32(width)  # with a remainder by `divmod` it takes four times as long
        column = flat - row * np.uint32(width)
        which = row // np.uint32(cell) * np.uint32(columns) + column // np.uint32(cell)
        return grow(light, (columns, rows)).ravel()[which.astype(np.intp)]


class Falling:
    """Blends layers of bright particles into a frame.

    They carry the light of the sky, and from dusk on that of lamps.
    """

    def __init__(
        self, layers: Sequence[Layer], sky_luma: float, levels: Levels, others: Sequence[Speckled] = ()
    ) -> None:
        """Show `layers`, the nearest first, and `others` behind, under a sky of `sky_luma`, 0 to 1."""
        self._layers, self._others = layers, others
        self._lamps = Lamplight(sky_luma, levels) if sky_luma < _DUSK else None
        self._sky = np.array([round(levels.luma(sky_luma))], np.float64)

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        planes = planes.own()
        height = planes.y.shape[0]
        # Nearer ones come last, since where some meet the last is seen.
        layers = list(enumerate(self._layers))[::-1]
        specks = [other.shown(view) for other in self._others]
        specks += (one for serial, layer in layers for one in layer.shown(height, view.time_s, serial))
        self._lighten(planes.y, _together(specks))
        hiding = _together(
            [one for serial, layer in layers for one in layer.hides(height, view.time_s, serial)]
        )
        for plane in (planes.u, planes.v):
            _hide_colour(plane, hiding)
        return planes

    def _lighten(self, plane: Plane, specks: Specks) -> None:
        """Blend specks into luma where it is darker than their light.

        A drop carries light from the whole sky, so it shows where the picture is darker than that.
        """
        places, opacity, _ = specks
        if not places.size:
            return
        light = self._lamps.light(plane, places)[None] if self._lamps else self._sky
        luma = plane.reshape(-1)
        # In rows of two dimensions, since OpenCV takes up to four numbers in one for a colour.
        seen = luma[places][None]
        luma[places] = cv2.add(seen, scale(cv2.subtract(light, seen), opacity[None]))[0]
        _put_back(luma, plane)


def _together(parts: Sequence[Specks]) -> Specks:
    """Return specks as one; where some meet, the last is seen."""
    ends = np.cumsum([part.places.size for part in parts], dtype=np.intp)
    places = np.empty(ends[-1] if parts else 0, np.intp)
    opacity = np.empty(places.size, np.uint8)
    for part, end in zip(parts, ends.tolist(), strict=True):
        begin = end - part.places.size
        np.add(part.places, part.shift, out=places[begin:end])
        opacity[begin:end] = part.opacity
    return Specks(places, opacity)


def _hide_colour(plane: Plane, specks: Specks) -> None:
    """Take a chroma plane to grey where specks lie."""
    places, opacity, _ = specks
    if not places.size:
        return
    chroma = plane.reshape(-1)
    grey = cv2.convertScaleAbs(opacity[None], alpha=128 / 255)
    chroma[places] = cv2.add(scale(chroma[places][None], ~opacity[None]), grey)[0]
    _put_back(chroma, plane)


def _put_back(edited: Plane, plane: Plane) -> None:
    """Write what was edited in one dimension back where rows don't follow each other without a gap."""
    if not plane.flags.c_contiguous:
        plane[:] = edited.reshape(plane.shape)


def scattered(size: tuple[int, int], stamps: Sequence[Plane], count: int, rng: np.random.Generator) -> Plane:
    """Return a drawn sheet of (width, rows) with `count` of the stamps, none cut at its ends."""
    width, period = size
    stamps = [stamp for stamp in stamps if stamp.shape[0] < period and stamp.shape[1] < width]
    if not stamps:
        return np.zeros((period, width), np.uint8)
    drawn = np.zeros((period, width), np.uint8)
    kinds = rng.integers(0, len(stamps), count)
    columns = rng.integers(0, width, count)
    heights = rng.random(count)
    for kind, column, height in zip(kinds.tolist(), columns.tolist(), heights.tolist(), strict=True):
        stamp = stamps[kind]
        down, across = stamp.shape
        row = int(height * (period - down))
        rows = drawn[row : row + down]
        _lightened(rows[:, column : column + across], stamp[:, : width - column])
        if column + across > width:  # what hangs over at the right comes in at the left
            _lightened(rows[:, : column + across - width], stamp[:, width - column :])
    return drawn


def _lightened(spot: Plane, stamp: Plane) -> None:
    cv2.max(spot, stamp, dst=spot)
