"""Lamps in a scene's background: heads on posts, lamps that are on already, luminaires at a ceiling."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box, alike
from skill_tools.workers.augmentation.planes import (
    Levels,
    Map,
    Plane,
    Planes,
    numbers_in,
    percentiles,
    quantile,
)
from skill_tools.workers.augmentation.windows import Pane

_FAINT_CODES = 7
_THIN_CODES = 20
_HEAD_CODES = 40
_LEAST_POST = 6  # rows; with less there is no place above it to look for a head


@dataclass(frozen=True, eq=False)
class Lamp:
    """A lamp's head, and where its post stands."""

    box: Box
    mask: Plane
    """255 on the head, of the box's size."""
    foot: tuple[float, float] | None = None
    """Column and row of the small size at which its post stands; None where none is seen."""


def street_lamps(luma: Plane, ground: Map, sky: Map, panes: Sequence[Pane], levels: Levels) -> Iterator[Lamp]:
    """Yield lamps on posts: a small head, flat or round, over the upper end of something thin and tall.

    Thin is what a top hat along rows finds, or before the sky a bottom hat; the post is upright over a sixth
    of the picture's height, stands on the ground, and is joined to its head, straight or by an arm. Signs are
    too large for their posts, and frames of windows run along panes. Missed are lamps on walls and wires,
    posts that are far off, and dark ones before dark windows.
    """
    side = luma.shape[1] // 13 | 1
    bright, before_sky = luma > levels.luma(0.55), cv2.dilate(sky, np.ones((side, side))) > 0.5
    for hat, place in ((cv2.MORPH_TOPHAT, bright), (cv2.MORPH_BLACKHAT, before_sky)):
        thin = cv2.morphologyEx(luma, hat, np.ones((1, luma.shape[1] // 32 | 1), np.uint8))
        # Small both ways: a strip of wall between windows and the picture's edge is only so in one.
        hats = [cv2.morphologyEx(luma, hat, np.ones(size, np.uint8)) for size in ((1, side), (side, 1))]
        compact = cv2.min(*hats) > _HEAD_CODES
        heads: set[Box] = set()
        for post in _posts(thin):
            if not _stands(post, ground) or _frames(post, panes):
                continue
            head = _head_over(post, thin > _THIN_CODES, compact & place)
            if head is not None and head.box not in heads:
                heads.add(head.box)
                yield head


def burning(luma: Plane, ground: Map, levels: Levels) -> Iterator[Lamp]:
    """Yield lamps that are on in a dark source: small, burnt out, far brighter than all that they light.

    A white thing by day is no brighter than much else in the picture, so nothing is found there.
    """
    if levels.unit(percentiles(luma, (95,))[0]) > 0.62:
        return
    for box, mask in _parts((luma > levels.luma(0.92)) & (ground < 0.5)):
        if (
            2 < np.count_nonzero(mask) < 0.004 * luma.size
            and max(box.across, box.down) < 0.12 * luma.shape[1]
        ):
            yield Lamp(box, mask)


def luminaires(frame: Planes, ground: Map, levels: Levels) -> Iterator[Lamp]:
    """Yield the luminaires of a lit room: burnt out, four-cornered, alike, three or more at a pale ceiling.

    The ceiling is pale and grey all around each of them, in the upper half. White things on darker walls are
    no luminaires, nor are windows that are burnt out.
    """
    luma = frame.y
    burnt = (luma > levels.luma(0.96)) & (ground < 0.3)
    burnt[len(luma) // 2 :] = False
    found = []
    for box, mask in _parts(burnt):
        share = np.count_nonzero(mask) / box.area
        if box.area >= 12 and share > 0.7 and box.area < 0.02 * luma.size and _on_pale(box, frame, levels):
            found.append(Lamp(box, mask))
    for members in alike([lamp.box for lamp in found], luma, 20):
        yield from (found[index] for index in members)


def _on_pale(box: Box, frame: Planes, levels: Levels) -> bool:
    """Tell whether all around a box is pale, grey and not burnt out."""
    around = box.wider(3, frame.y.shape)
    rim = np.ones((around.down, around.across), bool)
    rim[1:-1, 1:-1] = False
    luma, *chroma = (plane[around.slices][rim].astype(np.float32) for plane in frame.all)
    grey = all(float(np.abs(part - 128).mean()) < 9 for part in chroma)
    return grey and levels.luma(0.6) < luma.min() and luma.max() < levels.luma(0.95)


def _parts(where: NDArray[np.bool_]) -> Iterator[tuple[Box, Plane]]:
    """Yield the connected parts of a mask, each as 255 in its box."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8))
    for label in range(1, count):
        box = Box(*map(int, stats[label, :4]))
        yield box, (labels[box.slices] == label).astype(np.uint8) * np.uint8(255)


def _posts(thin: Plane) -> Iterator[Box]:
    """Yield what is thin and upright over a sixth of the height; what hides a part of it is bridged."""
    height = len(thin)
    kernel = np.ones((height // 14 | 1, 1), np.uint8)
    faint = cv2.morphologyEx((thin > _FAINT_CODES).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    stats = cv2.connectedComponentsWithStats(faint)[2]
    pieces = [Box(*map(int, row[:4])) for row in stats[1:] if row[2] <= max(4, 0.12 * row[3])]
    pieces.sort(key=lambda piece: piece.top)
    for upper in pieces:
        if quantile(thin[upper.slices].max(axis=1), 0.5) < _THIN_CODES:
            continue
        post = upper
        for piece in pieces:
            gap = piece.top - post.bottom
            if 0 <= gap < 1.2 * post.down and abs(piece.centre[0] - upper.centre[0]) <= 2 + 0.05 * gap:
                post = Box(upper.left, upper.top, upper.across, piece.bottom - upper.top)
        if post.down >= max(_LEAST_POST, height / 6):
            yield post


def _stands(post: Box, ground: Map) -> bool:
    """Tell whether a post ends on the ground."""
    foot = Box(post.left, post.bottom - 2, post.across, 5).wider(2, ground.shape)
    beneath = ground[foot.slices]
    return bool(beneath.size and beneath.max() > 0.5)


def _frames(post: Box, panes: Sequence[Pane]) -> bool:
    """Tell whether what passes for a post runs along panes, as the frames of windows above another do."""
    along = np.zeros(post.down, bool)
    for pane in panes:
        columns, rows = pane.corners.T
        if np.abs(columns - post.centre[0]).min() < 4:
            along[max(0, round(rows.min()) - post.top) : max(0, round(rows.max()) - post.top)] = True
    return bool(along.mean() > 0.45)


def _head_over(post: Box, thin: NDArray[np.bool_], head: NDArray[np.bool_]) -> Lamp | None:
    """Return the lamp whose head is joined to a post's upper end, at most half as far above it as it is tall.

    Args:
        post: The post.
        thin: Where something thin is.
        head: Where something is that may be a head by its size and light.
    """
    reach = round(0.45 * post.down)
    around = Box(post.left - reach, post.top - reach, 2 * reach + post.across, reach + post.down // 3)
    around = around.wider(0, thin.shape)
    head = head[around.slices]
    count, labels = cv2.connectedComponents((thin[around.slices] | head).astype(np.uint8))
    at, column = post.top - around.top, post.left - around.left
    of_trunk = np.zeros(count, bool)
    of_trunk[numbers_in(labels[at : at + 4, column : column + post.across])] = True
    own = of_trunk[labels] & head
    blobs = cv2.morphologyEx(own.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 3), np.uint8))
    for box, mask in sorted(_parts(blobs > 0), key=lambda part: part[0].top):
        if box.top <= at + 2 and _like_a_head(box, post.down + at - box.top):
            moved = Box(around.left + box.left, around.top + box.top, box.across, box.down)
            return Lamp(moved, mask, (post.centre[0], float(post.bottom - 1)))
    return None


def _like_a_head(box: Box, tall: int) -> bool:
    flat_or_round = box.down < 1.2 * box.across
    return flat_or_round and 3 <= box.across < 0.28 * tall and box.down < 0.11 * tall
