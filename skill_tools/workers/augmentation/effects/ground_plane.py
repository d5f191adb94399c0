"""Patterns that lie on the ground in perspective, in metres as far as the depth estimate goes."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from skill_tools.workers.augmentation.planes import Levels, Map, Plane, grow
from skill_tools.workers.augmentation.scene import Geometry, Scene, View

_TILE = 256
_NO_FARTHER = 0.02  # of the height below the horizon, above which all counts as equally far
_PAVED_COLOUR = 0.085  # distance from grey, of 1, at which a ground is no longer paved


def ground_coordinates(geometry: Geometry, scene: Scene) -> tuple[Map, Map]:
    """Return metres to the side of and away from the camera for each pixel of the small size."""
    width = geometry.ground.shape[1]
    columns = np.arange(width, dtype=np.float32)[None, :] - width / 2
    return (columns * geometry.depth_m / scene.focal).astype(np.float32), geometry.depth_m


def rows_to_metres(geometry: Geometry, scene: Scene) -> tuple[Map, Map]:
    """Return the same for flat ground alone, whatever stands on it; not to be written to."""
    return _flat(geometry.ground.shape, geometry.horizon, geometry.camera_height_m, scene.focal)


def patches(view: View, size_m: float, seed: int) -> Map:
    """Return smooth noise from 0 to 1 on the ground, uniform in distribution, of patches of some `size_m`.

    Fractal value noise (Perlin, "An Image Synthesizer", 1985), tiled. It lies still on the ground: under a
    moving camera it passes by as the ground does (see `Odometer`), and is drawn at half the small size.
    Toward the horizon, where it would be drawn out into stripes, it fades into its mean.
    """
    shape = view.geometry.ground.shape
    across, away = rows_to_metres(view.geometry, view.scene)
    if not view.scene.still:
        across, away = across[::2, ::2], away[::2, ::2]
    (a, b, c), (d, e, f) = (view.pose * (_TILE / 8 / size_m)).astype(np.float32)
    columns, rows = (_wrapped(part) for part in (a * across + b * away + c, d * across + e * away + f))
    drawn = cv2.remap(tile(seed), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearness = _nearness(shape[0], view.geometry.horizon)[:: 1 if drawn.shape == shape else 2]
    drawn = 0.5 + nearness * (drawn - 0.5)
    return drawn if drawn.shape == shape else grow(drawn, shape[::-1])


def paved(blue: Plane, red: Plane, levels: Levels) -> Map:
    """Return how far codes of Cb and Cr are those of what is paved, 0 to 1: it is grey, grass isn't."""
    u, v = ((codes.astype(np.float32) - 128) / (_PAVED_COLOUR * levels.chroma_span) for codes in (blue, red))
    return cv2.exp(-(u * u + v * v)).reshape(u.shape) if u.size else u  # OpenCV returns None for nothing


def _wrapped(places: Map) -> Map:
    # Not left to OpenCV, which is slow where a place lies outside.
    wrapped: Map = places - _TILE * np.floor(places * np.float32(1 / _TILE))
    return wrapped


@lru_cache(maxsize=4)
def _flat(shape: tuple[int, int], horizon: float, height_m: float, focal: float) -> tuple[Map, Map]:
    rows, columns = shape
    below = np.arange(rows, dtype=np.float32)[:, None] - horizon * rows
    away = np.repeat(focal * height_m / np.maximum(below, rows * _NO_FARTHER), columns, axis=1)
    across = (np.arange(columns, dtype=np.float32)[None, :] - columns / 2) * away / focal
    return across.astype(np.float32), away.astype(np.float32)


@lru_cache(maxsize=4)
def _nearness(rows: int, horizon: float) -> Map:
    """Return 1 for rows well below the horizon, 0 at it and above, as a column."""
    below = np.arange(rows, dtype=np.float32)[:, None] / rows - np.float32(horizon)
    return np.clip((below - _NO_FARTHER) / 0.05, 0, 1)


@lru_cache(maxsize=8)
def tile(seed: int) -> Map:
    """Return the noise of a seed, a tile that fits its own repetitions; drawn once."""
    rng = np.random.default_rng(seed)
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave, weight in ((8, 1.0), (16, 0.55), (32, 0.3), (64, 0.18)):
        cells = rng.random((octave, octave)).astype(np.float32)
        cells = np.pad(cells, 2, mode="wrap")
        step = _TILE // octave
        large = cv2.resize(cells, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * large[2 * step : 2 * step + _TILE, 2 * step : 2 * step + _TILE]
    uniform = np.empty(total.size, np.float32)
    uniform[np.argsort(total, axis=None)] = np.linspace(0, 1, total.size, dtype=np.float32)
    # One row and column more, so that the last ones pass over into the first.
    return np.pad(uniform.reshape(total.shape), (0, 1), mode="wrap")
