"""The contact sheet: a row a clip, evenly spaced moments in the columns."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skill_tools.errors import ClipError
from skill_tools.media.contact_sheet import contact_sheet
from skill_tools.media.video import ClipWriter

CELL, GUTTER = (160, 120), 4


def brightening(path: Path, *, frames: int = 20, step: int = 10, size: tuple[int, int] = (160, 120)) -> Path:
    """Write a clip whose frame k is a grey of `step` times k, ten a second."""
    with ClipWriter(path, width=size[0], height=size[1], rate=Fraction(10), crf=8) as clip:
        for k in range(frames):
            clip.write_bgr(np.full((size[1], size[0], 3), 20 + step * k, np.uint8), k)
    return path


def opened(path: Path) -> np.ndarray:
    """Return a picture file as an array."""
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def centres(sheet: Path, rows: int, columns: int) -> list[list[int]]:
    """Read the grey in the middle of every cell."""
    picture = opened(sheet)
    assert picture.shape[:2] == (rows * (CELL[1] + GUTTER) + GUTTER, columns * (CELL[0] + GUTTER) + GUTTER)
    return [
        [
            int(
                picture[
                    GUTTER + r * (CELL[1] + GUTTER) + CELL[1] // 2,
                    GUTTER + c * (CELL[0] + GUTTER) + CELL[0] // 2,
                ].mean()
            )
            for c in range(columns)
        ]
        for r in range(rows)
    ]


@pytest.mark.parametrize(("name", "kind"), [("sheet.jpg", "JPEG"), ("sheet.png", "PNG")])
def test_columns_are_the_middles_of_equal_parts_of_the_clip(tmp_path: Path, name: str, kind: str) -> None:
    """Four columns of a clip of 20 frames show frames 2, 7, 12 and 17, in every row."""
    original = brightening(tmp_path / "a.mp4")
    variant = brightening(tmp_path / "b.mp4", step=5)
    sheet = contact_sheet(
        original, [("rain", variant)], tmp_path / "new" / name, columns=4, cell_height=CELL[1]
    )
    with Image.open(sheet) as picture:
        assert picture.format == kind
    rows = centres(sheet, 2, 4)
    assert rows[0] == pytest.approx([20 + 10 * k for k in (2, 7, 12, 17)], abs=3)
    assert rows[1] == pytest.approx([20 + 5 * k for k in (2, 7, 12, 17)], abs=3)


def test_the_shortest_clip_sets_the_moments(tmp_path: Path) -> None:
    """A variant of half the length limits the columns to what both clips have."""
    original = brightening(tmp_path / "a.mp4")
    variant = brightening(tmp_path / "b.mp4", frames=10)
    sheet = contact_sheet(original, [("short", variant)], tmp_path / "s.png", columns=2, cell_height=CELL[1])
    rows = centres(sheet, 2, 2)
    assert rows[0] == pytest.approx(rows[1], abs=3)
    assert rows[0] == pytest.approx([20 + 20, 20 + 70], abs=3)


def test_a_variant_of_another_shape_keeps_its_aspect(tmp_path: Path) -> None:
    """A portrait variant stands between dark margins in cells of the original's shape."""
    original = brightening(tmp_path / "a.mp4", frames=4)
    tall = brightening(tmp_path / "b.mp4", frames=4, step=60, size=(60, 120))
    sheet = contact_sheet(original, [("tall", tall)], tmp_path / "s.png", columns=1, cell_height=CELL[1])
    row = opened(sheet)[GUTTER + CELL[1] + GUTTER + 60].mean(axis=1)
    assert row[GUTTER + 20] < 40
    assert row[GUTTER + 140] < 40
    assert row[GUTTER + 80] > 100


def test_an_unreadable_variant_leaves_nothing(tmp_path: Path) -> None:
    """A clip that can't be read is an error, and no sheet appears."""
    original = brightening(tmp_path / "a.mp4", frames=2)
    with pytest.raises(ClipError):
        contact_sheet(original, [("gone", tmp_path / "gone.mp4")], tmp_path / "s.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
