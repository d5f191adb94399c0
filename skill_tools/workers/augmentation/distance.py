"""How far things are: by the horizon, and by where they stand on the ground."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.heading import Heading
from skill_tools.workers.augmentation.planes import Map, quantile

FAR_M = 400.0
_PERSON_M, _TREE_M = 1.7, 6.0


def focal_px(size: tuple[int, int]) -> float:
    """Return the focal length in pixels of (width, height): a lens that sees 58° across the longer side."""
    return 0.9 * max(size)


def camera_height_m(horizon: float) -> float:
    """Return an eye's height when the horizon is well within the picture, else that of an upper floor."""
    return 1.6 if horizon > 0.2 else 6.0


def horizon_of(ground: Map, sky: Map, heading: Heading | None = None) -> float:
    """Return the horizon's row: a heading's, else under the sky, else above where the ground ends.

    The last is a guess: a camera that sees ground up to its upper edge looks down from high up.
    """
    if heading is not None:
        return heading.horizon
    height = ground.shape[0]
    covered = (ground > 0.5).mean(axis=1)
    rows = np.flatnonzero(covered > 0.08)
    top = float(rows[0]) / height if rows.size else 0.5
    if (sky > 0.5).any():
        lowest = height - np.argmax((sky > 0.5)[::-1], axis=0)
        under_sky = quantile(lowest[(sky > 0.5).any(axis=0)], 0.8) / height
        return float(min(under_sky + 0.03, max(top, 0.02)))
    return float(top - 0.12 - max(0.0, 0.25 - top))


def metres_to(
    ground: Map, sky: Map, horizon: float, height_m: float, size: tuple[int, int], *, ahead: bool = False
) -> Map:
    """Return metres: on flat ground by the row, above it by where a thing stands on the ground.

    Z = f·H / (row - horizon), a level camera's view of a plane (Hartley and Zisserman, §8); f for a 58°
    lens, H 1.6 m when the horizon is well within the picture and 6 m when the camera looks down. Under a
    moving camera the horizon's row is followed, and H stays. Things are taken to be as high as a person;
    what is seen above one stands behind it, as far away as what is seen beside it; to a camera that moves
    `ahead` at least as far as a tree of usual height that reaches up to the sky there.
    """
    height = len(ground)
    focal = focal_px(size) / size[1] * height
    rows = np.arange(height, dtype=np.float32)[:, None]
    level = np.float32(horizon * height)

    def away_m(foot: Map) -> Map:
        return np.minimum(focal * height_m / np.maximum(foot - level, height * 0.012), FAR_M)

    is_ground = _without_islands(ground)
    ends = _ends(is_ground, away_m(rows))
    behind_m = 1 / _past_what_is_narrow(ends)
    if ahead:
        behind_m = np.maximum(behind_m, _tree_m(sky, horizon, focal))
    foot = _feet(is_ground, rows, level + focal * height_m * ends)
    depth = away_m(foot)
    high_m = (foot - rows) * depth * np.float32(1 / focal)
    behind = np.clip((high_m - _PERSON_M) * np.float32(1 / 0.5), 0, 1)
    depth = 1 / ((1 - behind) / depth + behind / behind_m)
    # Below the horizon nothing is farther away than the ground would be.
    depth = np.minimum(depth, np.where(rows > level, away_m(rows), np.float32(FAR_M)))
    depth = depth * (1 - sky) + FAR_M * sky
    smooth: Map = cv2.blur(depth.astype(np.float32), (max(3, depth.shape[1] // 40) | 1, 3))
    return smooth


def _without_islands(ground: Map) -> NDArray[Any]:
    """Return where ground is, but for what is ground within a thing: a pane in a black car."""
    side = max(1, ground.shape[1] // 32) | 1
    is_ground = (ground > 0.5).astype(np.uint8)
    opened: NDArray[Any] = cv2.morphologyEx(is_ground, cv2.MORPH_OPEN, np.ones((side, side))).astype(bool)
    return opened


def _feet(is_ground: NDArray[Any], rows: Map, ends: Map) -> Map:
    """Return the row on which each pixel's thing stands: of the ground below it, else that of its column."""
    below = np.minimum.accumulate(np.where(is_ground, rows, np.float32(np.inf))[::-1], axis=0)[::-1]
    feet: Map = np.where(np.isfinite(below), below, ends)
    return feet


def _ends(is_ground: NDArray[Any], away_m: Map) -> Map:
    """Return 1 by the distance in metres of where the ground ends in each column, or in those beside it."""
    seen = is_ground.max(axis=0, keepdims=True).astype(np.float32)
    nearness = (seen / away_m[is_ground.argmax(axis=0), 0]).astype(np.float32)
    wide = max(1, is_ground.shape[1] // 4) | 1, 1
    beside = cv2.blur(nearness, wide) / np.maximum(cv2.blur(seen, wide), 0.01)
    ends: Map = np.maximum(nearness + (1 - seen) * beside, np.float32(1 / FAR_M))
    return ends


def _past_what_is_narrow(ends: Map) -> Map:
    """Return the same, smooth, without what stands out near and is narrower than an eighth of the width."""
    side = max(1, ends.shape[1] // 8) | 1
    past: Map = cv2.blur(cv2.morphologyEx(ends, cv2.MORPH_OPEN, np.ones((1, side))), (side, 1))
    return past


def _tree_m(sky: Map, horizon: float, focal: float) -> Map:
    """Return how far away, column by column, a tree of usual height stands that reaches up to the sky."""
    height, width = sky.shape
    is_sky = sky > 0.5
    skyline = np.where(is_sky.any(axis=0), height - is_sky[::-1].argmax(axis=0), 0)[None].astype(np.float32)
    above = cv2.blur(horizon * height - skyline, (max(1, width // 8) | 1, 1))
    away: Map = np.minimum(focal * _TREE_M / np.maximum(above, 1.0), FAR_M) * (above > 0)
    return away
