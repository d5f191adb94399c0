"""Lamps and windows that are on: their own light, and what air and lens scatter of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.effects.base import tint_of
from skill_tools.workers.augmentation.effects.lamplight import LAMP_KELVIN
from skill_tools.workers.augmentation.lamps import Lamp
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, grow, rounded, scale
from skill_tools.workers.augmentation.scene import Scene, View
from skill_tools.workers.augmentation.windows import Pane

_WARM_K, _COLD_K = 2700.0, 5000.0
_MOST_IN_A_ROOM = 3
_MOVED_CODES = 7
_COVERED_SCATTER = 0.65  # part of what is scattered near a lamp that goes when the lamp is covered
_NEAR = 4  # pixels of the small size
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Exposure:
    """How what shines is shown."""

    rooms: float
    """Share of the rooms behind windows that are lit."""
    brightness: float
    """0 to 1: 1 as in a picture exposed for a night; by day a lamp is hardly brighter than a white wall."""


class Shining:
    """Adds the light of lamps' heads and lit windows, and its scatter, in the regions where they are.

    What moves in front of them covers them. All that depends on place is made once, so a frame costs what its
    lit regions take. Light is added, so what a pane mirrors by day stays in it.
    """

    def __init__(self, scene: Scene, exposure: Exposure, rng: np.random.Generator) -> None:
        """Choose which windows of `scene` are lit; lamps are all on."""
        self._scene = scene
        levels, shape = scene.levels, scene.background.y.shape
        self._sources = [
            *(
                _pane(pane, luma, kelvin, levels, rng)
                for pane, luma, kelvin in _lit_panes(scene.lights.panes, exposure, rng)
            ),
            *(_head(lamp, exposure.brightness, levels, shape) for lamp in scene.lights.lamps),
        ]
        self._regions: list[_Region] | None = None

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        planes = planes.own()
        if self._regions is None:
            canvas = _Canvas(planes, self._scene.background.y.shape, self._scene.levels)
            self._regions = canvas.regions(self._sources)
        for region in self._regions:
            region.add_to(planes, self._cover(view, region.near))
        return planes

    def _cover(self, view: View, box: Box) -> Plane | None:
        """Return what stands before a box, 0 to 255; None where nothing does, which is soon told."""
        place = box.slices
        moved = cv2.blur(cv2.absdiff(view.small.y[place], self._scene.background.y[place]), (3, 3))
        if int(moved.max()) < _MOVED_CODES:
            return None
        # A pixel wider than it is seen: a dark rim before a window is better than a bright one on a person.
        kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        return cv2.dilate(view.foreground_in(box), kernel)


def _lit_panes(
    panes: Sequence[Pane], exposure: Exposure, rng: np.random.Generator
) -> Iterator[tuple[Pane, float, float]]:
    """Yield the panes that are lit, with luma and kelvin, which those of a room share but for a tenth."""
    rooms = list(_rooms(panes, rng))
    lit = int(exposure.rooms * len(rooms) + rng.random())
    for index in sorted(rng.permutation(len(rooms))[:lit].tolist()):
        luma = float(rng.uniform(0.38, 0.72)) * exposure.brightness
        # Most rooms are lit as homes are, some as offices are.
        kelvin = _WARM_K * (_COLD_K / _WARM_K) ** float(rng.random() ** 1.6)
        for pane in rooms[index]:
            yield pane, luma * float(rng.uniform(0.9, 1.1)), kelvin


def _rooms(panes: Sequence[Pane], rng: np.random.Generator) -> Iterator[list[Pane]]:
    """Yield panes that stand together in ones to threes."""
    room: list[Pane] = []
    most = 0
    for pane in sorted(panes, key=lambda pane: (pane.group, pane.box.left, pane.box.top)):
        if len(room) == most or room[0].group != pane.group:
            if room:
                yield room
            room, most = [], int(rng.integers(1, _MOST_IN_A_ROOM + 1))
        room.append(pane)
    if room:
        yield room


@dataclass(frozen=True, eq=False)
class _Source:
    """One thing that shines: its outline, its light within a box of the small size, its scatter."""

    box: Box
    mask: Plane
    corners: NDArray[np.float32] | None
    luma: Map
    chroma: tuple[float, float]
    """(Cb, Cr) at luma 1."""
    spread: tuple[tuple[float, float], ...]
    """Of its scatter the standard deviations, in pixels of the small size, and their shares of the light."""

    def scatter(self, shape: tuple[int, ...]) -> tuple[Box, Map]:
        """Return the light scattered around it, and where."""
        wider = self.box.wider(round(3 * max(sigma for sigma, _ in self.spread)), shape)
        light = np.zeros((wider.down, wider.across), np.float32)
        row, column = self.box.top - wider.top, self.box.left - wider.left
        light[row : row + self.box.down, column : column + self.box.across] = self.luma * self.mask / 255
        halo = np.zeros_like(light)
        for sigma, share in self.spread:
            halo += share * cv2.GaussianBlur(light, (0, 0), sigma)
        return wider, halo

    def cover(self, place: tuple[slice, slice], scales: tuple[float, float]) -> Map:
        """Return how far it covers each pixel of its place in a larger plane, 0 to 1.

        Args:
            place: Its box there.
            scales: Pixels a column and a row of the small size.
        """
        size = place[1].stop - place[1].start, place[0].stop - place[0].start
        mask = self.mask.astype(np.float32) / 255
        if self.corners is None:
            soft = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 0.8), size, interpolation=cv2.INTER_CUBIC)
            rounded_off: Map = np.clip((soft - 0.25) / 0.5, 0, 1)
            return rounded_off
        drawn = _polygon(self.corners * scales - (place[1].start, place[0].start), size)
        # Well within the outline the mask tells what stands before the pane.
        inner = _polygon(self.corners - (self.box.left, self.box.top), mask.shape[::-1])
        rim = cv2.erode(inner, np.ones((5, 5), np.uint8), borderValue=0) < 128  # noqa: PLR2004 - half
        clear = grow(np.where(rim, np.float32(1), mask), size)
        edge: Map = cv2.GaussianBlur(drawn, (0, 0), 0.3 * scales[0]).astype(np.float32) / 255 * clear
        return edge


def _polygon(corners: NDArray[np.float32], size: tuple[int, int]) -> Plane:
    """Return 255 within corners, (column, row) from the outer edge on, smooth at their sides."""
    drawn = np.zeros((size[1], size[0]), np.uint8)
    points = np.rint((corners - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(drawn, points, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return drawn


def _pane(pane: Pane, luma: float, kelvin: float, levels: Levels, rng: np.random.Generator) -> _Source:
    """Return a lit pane: lighter under the ceiling, darker where furniture stands, never quite even."""
    down, across = pane.mask.shape
    rows = np.linspace(0, 1, down, dtype=np.float32)[:, None]
    furniture = float(rng.uniform(0.55, 0.95))
    inside = 1.08 - 0.22 * rows - 0.25 / (1 + np.exp((furniture - rows) / 0.06))
    blotches = rng.uniform(-0.12, 0.12, (3, 3)).astype(np.float32)
    inside = inside + cv2.resize(blotches, (across, down), interpolation=cv2.INTER_CUBIC)
    return _Source(
        pane.box,
        pane.mask,
        pane.corners,
        (luma * inside).astype(np.float32),
        tint_of(kelvin, levels),
        ((1.6, 0.22), (5.0, 0.16)),
    )


def _head(lamp: Lamp, brightness: float, levels: Levels, shape: tuple[int, ...]) -> _Source:
    """Return a lamp's head: white, with a warm halo that grows with the exposure."""
    box = lamp.box.wider(2, shape)
    mask = np.zeros((box.down, box.across), np.uint8)
    row, column = lamp.box.top - box.top, lamp.box.left - box.left
    mask[row : row + lamp.box.down, column : column + lamp.box.across] = lamp.mask
    size = max(2.0, 0.5 * float(np.sqrt(lamp.box.area)))
    return _Source(
        box,
        mask,
        None,
        np.full(mask.shape, 0.55 + 0.45 * brightness, np.float32),
        tint_of(4200.0, levels, adaptation=0.75),
        ((0.45 * size, 0.5), (1.3 * size, 0.8 * brightness), (3.2 * size, 1.1 * brightness)),
    )


@dataclass(frozen=True, eq=False)
class _Region:
    """A part of the picture with light to be added: codes of luma up, of Cb down, of Cr up."""

    place: tuple[tuple[slice, slice], ...]
    light: tuple[Plane, ...]
    near: Box
    """What is near its sources, at the small size."""
    near_place: tuple[tuple[slice, slice], ...]
    """The same within the region, for each plane."""
    lost: tuple[Plane, ...]
    """What of the light there is lost where something covers it."""

    def add_to(self, planes: Planes, cover: Plane | None) -> None:
        """Add the light, less what `cover`, of the size of `near`, takes of it."""
        light = self.light
        if cover is not None:
            light = tuple(plane.copy() for plane in light)
            for plane, lost, where in zip(light, self.lost, self.near_place, strict=True):
                covered = scale(lost, grow(cover, lost.shape[::-1]))
                cv2.subtract(plane[where], covered, dst=plane[where])
        parts = planes.all
        for change, plane, place, codes in zip(
            (cv2.add, cv2.subtract, cv2.add), parts, self.place, light, strict=True
        ):
            change(plane[place], codes, dst=plane[place])


class _Canvas:
    """Cuts the light of sources into regions of a picture."""

    def __init__(self, planes: Planes, small: tuple[int, ...], levels: Levels) -> None:
        self._shapes = [plane.shape for plane in planes.all]
        self._small, self._levels = small, levels

    def regions(self, sources: Sequence[_Source]) -> list[_Region]:
        """Return regions that don't overlap; sources whose scatter meets share one."""
        scatter = np.zeros(self._small, np.float32)
        groups: list[tuple[Box, list[_Source]]] = []
        for source in sources:
            box, halo = source.scatter(self._small)
            scatter[box.slices] += halo
            groups = _joined(groups, box, [source])
        return [self._region(box, members, scatter) for box, members in groups]

    def _region(self, box: Box, sources: Sequence[_Source], scatter: Map) -> _Region:
        near = sources[0].box
        for source in sources:
            near = near.joined(source.box)
        near = near.wider(_NEAR, self._small)
        halo = tint_of(LAMP_KELVIN, self._levels, adaptation=0.45)
        weight = self._nearness(sources)
        light, lost, places, near_places = [], [], [], []
        for part, shape in enumerate(self._shapes):
            place = box.scaled(self._small, shape)
            own = self._own(sources, part)[place]
            spread = grow(scatter, shape[::-1])[place] * self._codes(halo)[part]
            rows, columns = near.scaled(self._small, shape)
            where = (
                slice(rows.start - place[0].start, rows.stop - place[0].start),
                slice(columns.start - place[1].start, columns.stop - place[1].start),
            )
            falls = own + _COVERED_SCATTER * spread * grow(weight, shape[::-1])[place]
            light.append(rounded(own + spread))
            lost.append(rounded(falls[where]))
            places.append(place)
            near_places.append(where)
        return _Region(tuple(places), tuple(light), near, tuple(near_places), tuple(lost))

    def _nearness(self, sources: Sequence[_Source]) -> Map:
        """Return 1 at sources, falling to 0 within some pixels of the small size."""
        inside = np.zeros(self._small, np.float32)
        for source in sources:
            inside[source.box.slices] = np.maximum(inside[source.box.slices], source.mask / 255)
        fading: Map = np.clip(2 * cv2.GaussianBlur(inside, (0, 0), _NEAR / 2.5), 0, 1)
        return fading

    def _own(self, sources: Sequence[_Source], part: int) -> Map:
        """Return the light of the sources themselves, in codes of one plane."""
        shape = self._shapes[part]
        scales = shape[1] / self._small[1], shape[0] / self._small[0]
        light = np.zeros(shape, np.float32)
        for source in sources:
            place = source.box.scaled(self._small, shape)
            cover = source.cover(place, scales)
            light[place] += cover * grow(source.luma, cover.shape[::-1]) * self._codes(source.chroma)[part]
        return light

    def _codes(self, chroma: tuple[float, float]) -> tuple[float, float, float]:
        """Return what light of luma 1 and some (Cb, Cr) adds to luma, takes from Cb and adds to Cr."""
        span = self._levels.chroma_span
        return self._levels.luma_span, -chroma[0] * span, chroma[1] * span


def _joined(
    groups: Sequence[tuple[Box, list[_Source]]], box: Box, sources: list[_Source]
) -> list[tuple[Box, list[_Source]]]:
    """Return the groups with one more, joined with those that its box meets."""
    for index, (other, members) in enumerate(groups):
        if other.meets(box):
            rest = [*groups[:index], *groups[index + 1 :]]
            return _joined(rest, box.joined(other), [*members, *sources])
    return [*groups, (box, sources)]
