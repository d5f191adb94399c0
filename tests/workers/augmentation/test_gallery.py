"""The page of all values says what the code does, and shows each of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from skill_tools.workers.augmentation.gallery import filled, pairs, picture_name

PAGE = Path(__file__).parents[3] / "references/augmentation.md"
FOLDER = PAGE.with_suffix("")


def test_the_page_agrees_with_the_code() -> None:
    """Methods, figures, ranges and rules are those of the code; `make gallery` writes them anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text, FOLDER.name) == text


def test_every_value_has_its_picture() -> None:
    """A small picture for each value and for the original, and none besides; all light enough to ship."""
    names = {"original.webp", *(picture_name(*pair) for pair in pairs())}
    assert {path.name for path in FOLDER.iterdir()} == names
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2 << 20
    for name in names:
        with Image.open(FOLDER / name) as picture:
            assert picture.width >= 320
            assert f"augmentation/{name}" in PAGE.read_text(encoding="utf-8")
