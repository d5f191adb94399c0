"""What the ground is like: dry, wet, with puddles, flooded, under snow or sand."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.effects.base import Parts, mix
from skill_tools.workers.augmentation.effects.ground_plane import patches, paved, rows_to_metres, tile
from skill_tools.workers.augmentation.effects.veils import Change, Spared, SteadyVeil, depth_of, ground_of
from skill_tools.workers.augmentation.ground import lighter_than, luma_around, spared
from skill_tools.workers.augmentation.planes import Map, Plane, Planes, grow, halved, quantile, shrink
from skill_tools.workers.augmentation.scene import Geometry, Scene, View
from skill_tools.workers.augmentation.vocabulary import drawn_seed

_HALF = 0.5
_TRUSTED = 0.5
_STANDS = 0.4 * 255
_ONE = np.int16(1)
_MUD = (-12.0, 7.0)  # codes of Cb and Cr
_ALL_IN_ONE = np.empty(0, np.int16)  # a second map for `cv2.remap` where the first holds both coordinates


def dry(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:  # noqa: ARG001 - effects are called alike
    """Return a dry, slightly dusty ground: paler and of less contrast, its gloss gone."""

    def change(view: View) -> Change:
        geometry = view.geometry
        cover = 0.30 * strength * geometry.trust * geometry.ground * _paved(scene.background, scene)
        light = cover * min(0.80, scene.light.median + 0.36)
        return Change.veil(1 - cover, light, scene.levels, (-0.012, 0.010))

    return Parts(ground=(OnGround(SteadyVeil(change, of=ground_of), scene),))


def wet(scene: Scene, strength: float, rng: np.random.Generator, *, indoor: bool = False) -> Parts:
    """Return a wet ground: darker, and a soft mirror of what stands on it and of the sky.

    Water in the pores keeps light inside, so that wet ground reflects about half as much (Lekner and
    Dorf, "Why some things are darker when wet", 1988); its film mirrors by Fresnel's law in Schlick's
    form (1994), the more the flatter the view.
    """
    film = Film(darkening=mix(1.0, 0.34, strength), gloss=strength, standing=0.0, indoor=indoor)
    return Parts(ground=(WetGround(scene, film, rng),))


def puddles(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return wet ground with standing water in its hollows."""
    film = Film(darkening=mix(1.0, 0.55, strength), gloss=0.9 * strength, standing=0.42 * strength**0.7)
    return Parts(ground=(WetGround(scene, film, rng),))


def flooding(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return ground under a sheet of muddy water that mirrors nearly everywhere."""
    film = Film(
        darkening=mix(1.0, 0.42, strength),
        gloss=strength,
        standing=0.97 * strength**0.4,
        mud=0.5 * strength,
    )
    return Parts(ground=(WetGround(scene, film, rng),))


def snow_cover(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return ground under snow: white with a cast of sky, thin in patches, its own marks half seen.

    Under a standing camera it lies on what else is green as well: lawns behind a kerb, hedges, trees.
    """
    patch = drawn_seed(rng)
    green = _green(scene)

    def change(view: View) -> Change:
        geometry = view.geometry
        thickness = patches(view, 2.2, patch)
        relief = patches(view, 0.5, patch + 1)
        cover = geometry.trust * np.maximum(geometry.ground, green)
        cover *= np.clip(1.1 * strength**0.5 - 0.28 * (1 - thickness), 0, 0.88)
        light = cover * (0.75 + 0.08 * thickness + 0.07 * relief) * _lit(view)
        return Change.veil(1 - cover, light, scene.levels, (0.012, -0.010))

    return Parts(ground=(OnGround(SteadyVeil(change, of=ground_of), scene),), notes=_mistrusted(scene))


def sand(scene: Scene, strength: float, rng: np.random.Generator) -> Parts:
    """Return ground under blown sand, in drifts."""
    patch = drawn_seed(rng)

    def change(view: View) -> Change:
        geometry = view.geometry
        drift = patches(view, 3.5, patch)
        cover = geometry.trust * geometry.ground
        cover *= np.clip(mix(0.0, 1.0, strength) - 0.55 * (1 - drift), 0, 0.80)
        light = cover * (0.56 + 0.08 * drift) * _lit(view)
        return Change.veil(1 - cover, light, scene.levels, (-0.095, 0.062))

    return Parts(ground=(OnGround(SteadyVeil(change, of=ground_of), scene),), notes=_mistrusted(scene))


def ground_ahead(size: tuple[int, int], strength: float, rng: np.random.Generator) -> None:  # noqa: ARG001 - all are called alike
    """Draw the pattern of what lies on the ground."""
    tile(drawn_seed(rng))


def snow_cover_ahead(size: tuple[int, int], strength: float, rng: np.random.Generator) -> None:  # noqa: ARG001 - likewise
    """Draw the patterns of snow on the ground."""
    thickness = drawn_seed(rng)
    tile(thickness)
    tile(thickness + 1)


def _mistrusted(scene: Scene) -> tuple[str, ...]:
    if scene.geometry.trust > _TRUSTED:
        return ()
    return ("No ground could be told from what stands on it: little or nothing lies there.",)


class OnGround:
    """A veil on the ground that spares what stands before it."""

    def __init__(self, veil: SteadyVeil, scene: Scene) -> None:
        """Let `veil` change the ground alone."""
        self._veil = veil
        # Only before a standing camera is it known what stands before the ground.
        self._spares = scene.still

    def change(self, view: View) -> Change | Spared:
        """Return the change for a frame."""
        change = self._veil.change(view)
        if not self._spares:
            return change
        _, mask = cv2.threshold(view.foreground, 127, 255, cv2.THRESH_BINARY)
        return Spared(change, cv2.blur(mask, (3, 3))) if cv2.countNonZero(mask) else change


@dataclass(frozen=True)
class Film:
    """Water on the ground."""

    darkening: float
    """Part of its light that the ground keeps, linear."""
    gloss: float
    """Strength of the mirror, 0 to 1."""
    standing: float
    """Part of the ground under standing water."""
    mud: float = 0.0
    """How far standing water takes the colour of mud."""
    indoor: bool = False
    """Whether a ceiling, not the sky, is above."""


class WetGround:
    """Darkens ground and mirrors in it what stands on it; the picture itself is never moved.

    For each pixel of the ground the thing above it in the same column is looked up, mirrored at the
    line where it meets the ground. That is exact for upright things seen level, and near enough for a
    camera that looks down; a roughness of the ground is allowed for by blurring downwards. Where nothing
    stands above, the sky, or the ceiling, is mirrored.
    """

    def __init__(self, scene: Scene, film: Film, rng: np.random.Generator) -> None:
        """Prepare for `scene`."""
        self._scene, self._film = scene, film
        self._patch_seed = drawn_seed(rng)
        self._geometry: Geometry | None = None
        self._above = _light_above(scene, indoor=film.indoor)
        self._places: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None

    def change(self, view: View) -> Change | Spared:
        """Return the change for a frame."""
        if view.geometry is not self._geometry:
            if self._geometry is None or depth_of(view) is not self._geometry.depth_m:
                self._prepare(view)
            self._geometry = view.geometry
            self._lay(view)
            source = self._scene.background if self._scene.still else view.small
            (self._image,) = self._mirrored((source.y,), self._above[:1])
            add = self._add_black + self._share * grow(self._image, source.size)
            self._change = Change(1 - self._loss, add, *self._add_chroma)
        if not self._scene.still or not cv2.countNonZero(view.foreground):
            return self._change
        return Spared(self._change, view.foreground, self._thrown(view))

    def _thrown(self, view: View) -> tuple[Box, Map]:
        """Return what the mirror shows of what passes, in codes of luma more than without it, and where."""
        passing, background = view.foreground, self._scene.background.y
        half = self._image.shape[::-1]
        _, marks = cv2.threshold(passing, 0, 255, cv2.THRESH_BINARY)
        marks = cv2.resize(marks, half, interpolation=cv2.INTER_AREA)
        columns = np.flatnonzero(marks.max(axis=0))
        # Where nothing moves, the mirror is without the source's noise.
        luma = cv2.copyTo(view.small.y, passing, background.copy())
        usual = self._image
        change = np.zeros_like(usual)
        change[:, columns] = self._mirrored((luma,), self._above[:1], columns, passing)[0] - usual[:, columns]
        height, width = passing.shape
        part = Box(0, 0, *half)
        if not (width | height) & 1:
            # Only where something is mirrored, with a pixel more at each side where nothing is.
            top = max(0, cv2.boundingRect(marks)[1] - 2)
            left, right = max(0, int(columns[0]) - 1), min(half[0], int(columns[-1]) + 2)
            part = Box(left, top, right - left, half[1] - top)
        rows, places = part.scaled(usual.shape, passing.shape)
        box = Box(places.start, rows.start, places.stop - places.start, rows.stop - rows.start)
        more = grow(change[part.slices], (box.across, box.down))
        more *= self._share[box.slices]
        return box, more

    def _prepare(self, view: View) -> None:
        """Find what changes slowly."""
        geometry, film, scene = view.geometry, self._film, self._scene
        source = scene.background if scene.still else view.small
        self._paved = _paved(source, scene)
        self._mirror = _fresnel(geometry, scene) ** np.float32(1 / 2.2) * np.float32(0.68 * film.gloss)
        dark = film.darkening ** (1 / 2.2)
        self._kept = 1 - (1 - dark) * (0.45 + 0.55 * self._paved)
        # What moves by is mirrored in its light alone, which is what shows.
        self._stands = (geometry.ground < _HALF) * np.uint8(255)
        self._colours = [
            grow(part, source.size) for part in self._mirrored((source.u, source.v), self._above[1:])
        ]

    def _lay(self, view: View) -> None:
        """Lay the film: where it shines and stands hangs on a pattern of the ground."""
        geometry, film = view.geometry, self._film
        self._stands = (geometry.ground < _HALF) * np.uint8(255)
        noise = patches(view, 1.6, self._patch_seed)
        share = np.minimum(self._mirror * self._paved * (0.72 + 0.56 * noise), 0.78)
        kept = self._kept
        mud: Map | float = 0.0
        if film.standing:
            pool = np.clip((noise - (1 - film.standing)) / 0.08 + 0.5, 0, 1)
            # Grass drinks water up; what is paved lets it stand.
            pool *= np.maximum(self._paved, film.mud)
            # On what may be no ground a mirror would be seen for what it is.
            pool *= geometry.trust
            kept = kept * (1 - 0.35 * pool)
            share += pool * (np.minimum(np.maximum(1.5 * self._mirror, 0.34), 0.78) - share)
            mud = geometry.ground * pool * film.mud
        self._share = (0.5 + 0.5 * geometry.trust) * geometry.ground * share
        self._loss = geometry.ground * (1 - kept * (1 - 0.5 * self._share))
        self._add_black = (self._loss - self._share) * np.float32(self._scene.levels.black)
        self._add_chroma = [
            self._loss * 128 + self._share * (colour - 128) + mud * np.float32(above - 128 + tint)
            for colour, above, tint in zip(self._colours, self._above[1:], _MUD, strict=True)
        ]

    def _mirrored(
        self,
        planes: Sequence[Plane],
        above: Sequence[float],
        which: NDArray[np.intp] | None = None,
        passing: Plane | None = None,
    ) -> Sequence[Map]:
        """Return the codes that each pixel mirrors in each of the planes; half the small size is enough.

        Args:
            planes: Of the small size.
            above: Their codes of the light where nothing stands.
            which: Columns of half the small size that are wanted; None for all.
            passing: 255 where something passes before the background.
        """
        size = self._stands.shape[::-1]
        half = max(1, size[0] // 2), max(1, size[1] // 2)
        stands = self._stands if passing is None else cv2.max(self._stands, passing)
        stands = cv2.resize(stands, half, interpolation=cv2.INTER_AREA)
        _, stands = cv2.threshold(stands, _STANDS, 255, cv2.THRESH_BINARY)
        parts = [stands, *(cv2.bitwise_and(shrink(plane, *half), stands) for plane in planes)]
        images = cv2.merge(parts) if which is None else np.take(cv2.merge(parts), which, axis=1)
        columns, rows = (part[:, : images.shape[1]] for part in self._grid(half))
        # Counted from 1, so that 0 is a column's part above which nothing stands.
        contact = np.maximum.accumulate(np.where(images[..., 0], rows + _ONE, 0 * _ONE), axis=0)
        below = rows + _ONE - contact
        # What is mirrored from outside the picture, or doesn't stand, is nothing.
        images = cv2.remap(
            images,
            cv2.merge([columns, contact - below]),
            _ALL_IN_ONE,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
        )
        share, *mirrored = cv2.split(cv2.blur(images, (1, 3)))
        # Far below its foot a thing's image is lost in the roughness.
        fade = np.clip(1.15 - below * np.float32(1 / (0.40 * half[1])), 0, 1)
        return [
            light + fade * (image - share * np.float32(light / 255))
            for image, light in zip(mirrored, above, strict=True)
        ]

    def _grid(self, size: tuple[int, int]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        if self._places is None:
            columns, rows = np.meshgrid(*(np.arange(length, dtype=np.int16) for length in size))
            self._places = columns, rows
        return self._places


def _paved(frame: Planes, scene: Scene) -> Map:
    """Return how far the ground is of a kind that shines when wet: grey stuff does, grass doesn't."""
    return cv2.blur(paved(frame.u, frame.v, scene.levels), (5, 5))


def _lit(view: View) -> Map:
    """Return how much of the light around falls on the ground at each place: what lies in shade is darker.

    Darker ground passes for shaded ground, so little is made of what is nearly as light. Half the size tells
    it, which counts where it is to be told of each frame.
    """
    scene, ground = view.scene, view.geometry.ground
    if scene.still:
        return _lit_by(scene.background.y, ground, 5)
    return grow(_lit_by(halved(view.small.y), halved(ground), 3), ground.shape[::-1])


def _lit_by(codes: Plane, ground: Map, across: int) -> Map:
    luma = codes * np.float32(1 / 255)
    share = lighter_than(cv2.blur(luma, (across, across)), luma_around(luma, ground))
    lit: Map = np.sqrt(np.clip(share * np.float32(1 / 0.8), 0.15, 1))
    return lit


def _green(scene: Scene) -> Map:
    """Return where much of the background is as green as plants are; nowhere under a moving camera."""
    frame, span = scene.background, scene.levels.chroma_span
    if not scene.still:
        return np.zeros(frame.y.shape, np.float32)
    blue, red = ((plane.astype(np.float32) - 128) / span for plane in (frame.u, frame.v))
    green = np.clip((-blue - 0.03) / 0.04, 0, 1) * np.clip((0.03 - red) / 0.02, 0, 1)
    side = frame.y.shape[1] // 24 | 1
    many = cv2.blur(cv2.blur(green, (5, 5)), (side, side // 2 | 1))
    area: Map = cv2.blur(green, (3, 3)) * np.clip((many - 0.35) / 0.3, 0, 1) * (1 - scene.geometry.sky)
    return spared(area, frame, still=True)


def _fresnel(geometry: Geometry, scene: Scene) -> Map:
    """Return the reflectance of water for the angle at which each row looks at level ground."""
    _, away = rows_to_metres(geometry, scene)
    height_m = np.float32(geometry.camera_height_m)
    cosine = height_m / np.sqrt(height_m**2 + away[:, :1] ** 2)
    reflectance: Map = 0.02 + 0.98 * (1 - cosine) ** 5
    return reflectance


def _light_above(scene: Scene, *, indoor: bool) -> tuple[float, float, float]:
    """Return Y, Cb, Cr codes of what is above: the seen sky, a pale one, or the room's lit parts."""
    frame, geometry = scene.background, scene.geometry
    if indoor:
        room = geometry.ground < 0.5
        luma = quantile(frame.y[room] if room.any() else frame.y, 0.85)
        return luma, 128.0, 128.0
    sky = geometry.sky > 0.6
    if sky.any():
        return tuple(quantile(plane[sky], 0.5) for plane in frame.all)  # type: ignore[return-value]  # three planes
    return scene.levels.luma(0.66), 129.0, 127.0


SURFACES: dict[str, Callable[[Scene, float, np.random.Generator], Parts]] = {
    "dry": dry,
    "wet": wet,
    "puddles": puddles,
    "flooding": flooding,
    "snow": snow_cover,
    "sand": sand,
}
