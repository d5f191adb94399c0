"""One picture of a clip and its variants: a row each, the same evenly spaced moments in the columns."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from skill_tools.media.compare import as_picture, save_picture, timed_frames
from skill_tools.media.drawing import Picture, Plate, plate, stamp
from skill_tools.media.probe import ClipInfo, probe

_GUTTER, _MARGIN = 4, 6
_GROUND = (24, 18, 14)
_PLATE_SCALE = 1.9
"""Words on a cell are this much larger, for its height, than on a film."""


def contact_sheet(
    original: Path,
    variants: Sequence[tuple[str, Path]],
    target: Path,
    *,
    columns: int = 5,
    cell_height: int = 180,
) -> Path:
    """Write the sheet as PNG or, by the name of `target`, JPEG.

    Args:
        original: The source clip, the first row.
        variants: Label and clip, a row each.
        target: The picture to write; appears whole or not at all. Its folder is made.
        columns: How many moments, spread evenly over the shortest clip.
        cell_height: Height of one cell in pixels.

    Raises:
        ClipError: One of the clips can't be read.
    """
    rows = [("Original", probe(original)), *((label, probe(path)) for label, path in variants)]
    shortest_s = min(info.duration_s for _, info in rows)
    moments_s = [Fraction(2 * i + 1, 2 * columns) * Fraction(shortest_s) for i in range(columns)]
    cell_width = max(2, round(rows[0][1].width * cell_height / rows[0][1].height))
    cells = [_row(label, info, moments_s, (cell_width, cell_height)) for label, info in rows]
    for cell, moment_s in zip(cells[0], moments_s, strict=True):
        time = _words(f"{float(moment_s):.1f} s", cell)
        stamp(cell, time, _MARGIN, cell_height - time.height - _MARGIN)
    save_picture(laid_out(cells), target)
    return target


def _row(label: str, clip: ClipInfo, moments_s: Sequence[Fraction], size: tuple[int, int]) -> list[Picture]:
    pictures = _pictures_at(clip, moments_s, size)
    stamp(pictures[0], _words(label, pictures[0]), _MARGIN, _MARGIN)
    return pictures


def _words(text: str, cell: Picture) -> Plate:
    height, width = cell.shape[:2]
    return plate(text, {}, picture_height=round(height * _PLATE_SCALE), max_width=width - 2 * _MARGIN)


def _pictures_at(clip: ClipInfo, moments_s: Sequence[Fraction], size: tuple[int, int]) -> list[Picture]:
    pictures: list[Picture] = []
    waiting = list(moments_s)
    for shown in timed_frames(clip):
        while waiting and shown.end_s > waiting[0]:
            pictures.append(_fitted(as_picture(shown.frame, clip, *_inside(clip, size)), size))
            waiting.pop(0)
        if not waiting:
            return pictures
        last = shown
    # A container may promise a few frames more than it holds: the last one stands for them.
    pictures += [_fitted(as_picture(last.frame, clip, *_inside(clip, size)), size) for _ in waiting]
    return pictures


def _inside(clip: ClipInfo, size: tuple[int, int]) -> tuple[int, int]:
    scale = min(size[0] / clip.width, size[1] / clip.height)
    return max(2, min(size[0], round(clip.width * scale))), max(2, min(size[1], round(clip.height * scale)))


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    cell = np.full((size[1], size[0], 3), _GROUND, dtype=np.uint8)
    y, x = (size[1] - picture.shape[0]) // 2, (size[0] - picture.shape[1]) // 2
    cell[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return cell


def laid_out(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Return pictures of one size as one, row by row, with gutters between them."""
    height, width = rows[0][0].shape[:2]
    sheet = np.full(
        (
            len(rows) * (height + _GUTTER) + _GUTTER,
            len(rows[0]) * (width + _GUTTER) + _GUTTER,
            3,
        ),
        _GROUND,
        dtype=np.uint8,
    )
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            y, x = _GUTTER + i * (height + _GUTTER), _GUTTER + j * (width + _GUTTER)
            sheet[y : y + height, x : x + width] = cell
    return sheet
