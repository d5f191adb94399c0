"""Legible words on a picture: plates with a title and values, drawn with the font that Pillow carries.

Plates are drawn once a clip and stamped on every frame, so words cost next to nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3), uint8, blue first."""

REFERENCE_HEIGHT = 720
"""The picture height for which the sizes below are given, in pixels."""

_TITLE, _VALUE, _PADDING, _GAP, _RADIUS = 27, 21, 14, 9, 12
_PLATE_RGBA = (10, 13, 18, 178)
_INK, _FAINT_INK = (255, 255, 255, 255), (186, 197, 212, 255)
_SPELLED = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l",
        "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
        "•": "·", "„": '"', "—": "-", "\N{EN DASH}": "-", "\N{MINUS SIGN}": "-", "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-", "\N{MULTIPLICATION SIGN}": "x",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
    }
)  # fmt: skip
_MISSING = "?"


@dataclass(frozen=True)
class Plate:
    """Words on a translucent plate, ready to be stamped.

    Attributes:
        colour: (height, width, 3), float32, blue first, multiplied by alpha; of one plane (height, width).
        shade: (height, width, 1), float32, 1 - alpha; of one plane (height, width).
    """

    colour: NDArray[np.float32]
    shade: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.colour.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.colour.shape[0])


def readable(text: str) -> str:
    """Return `text` in characters that the bundled font has.

    Accents are taken off, ligatures and dashes spelled out, control characters dropped; what is left
    over (other scripts, emoji) becomes `?`, one for each character, so that nothing turns into a box.
    """
    spelled = (
        char if _drawable(char) else unicodedata.normalize("NFKD", char) for char in text.translate(_SPELLED)
    )
    kept = (" " if char.isspace() else char for char in "".join(spelled) if _takes_room(char))
    return "".join(char if _drawable(char) else _MISSING for char in kept)


def plate(title: str, values: Mapping[str, str], *, picture_height: int, max_width: int) -> Plate:
    """Draw a plate: the title, and under it one `name value` pair after the other.

    Args:
        title: The first line. What doesn't fit `max_width` is cut and ends in an ellipsis.
        values: Names and values, in order; names may be `snake_case`.
        picture_height: Height of the picture it is for; words scale with it.
        max_width: Width that the plate may take at most, in pixels.
    """
    unit = max(picture_height / REFERENCE_HEIGHT, 0.25)
    padding, gap = max(2, round(_PADDING * unit)), max(1, round(_GAP * unit))
    room = max(8, max_width - 2 * padding)
    lines = [[_Word(title, _font(_TITLE, unit), _INK)]]
    lines += _wrapped(values, _font(_VALUE, unit), room, gap)
    lines = [_fitted(line, room, gap) for line in lines]
    heights = [max(word.line_height for word in line) for line in lines]
    width = max(_line_width(line, gap) for line in lines) + 2 * padding
    height = sum(heights) + gap * (len(lines) - 1) + 2 * padding

    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=round(_RADIUS * unit), fill=_PLATE_RGBA)
    y = padding
    for line, line_height in zip(lines, heights, strict=True):
        x = padding
        for word in line:
            pen.text((x, y + line_height), word.text, font=word.font, fill=word.ink, anchor="ld")
            x += word.width + gap
        y += line_height + gap
    return _premultiplied(image)


def stamp(picture: NDArray[Any], label: Plate, x: int, y: int) -> None:
    """Lay `label` over `picture`, in place, its top left corner at (x, y); what sticks out is cut off.

    A label for one plane is laid over a plane.
    """
    height = min(label.height, picture.shape[0] - y)
    width = min(label.width, picture.shape[1] - x)
    if height <= 0 or width <= 0:
        return
    region = picture[y : y + height, x : x + width]
    laid = region * label.shade[:height, :width] + label.colour[:height, :width]
    region[:] = (laid + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class _Word:
    raw: str
    font: ImageFont.FreeTypeFont
    ink: tuple[int, int, int, int]

    @property
    def text(self) -> str:
        return readable(self.raw)

    @property
    def width(self) -> int:
        return round(self.font.getlength(self.text))

    @property
    def line_height(self) -> int:
        ascent, descent = self.font.getmetrics()
        return ascent + descent

    def cut_to(self, room: int) -> _Word:
        if self.width <= room:
            return self
        text = self.text
        while text and self.font.getlength(text + "…") > room:
            text = text[:-1]
        return _Word(text.rstrip() + "…", self.font, self.ink)


def _wrapped(
    values: Mapping[str, str], font: ImageFont.FreeTypeFont, room: int, gap: int
) -> list[list[_Word]]:
    dot = _Word("·", font, _FAINT_INK)
    lines: list[list[_Word]] = []
    for name, value in values.items():
        pair = [_Word(name.replace("_", " "), font, _FAINT_INK), _Word(value.replace("_", " "), font, _INK)]
        if lines and _line_width([*lines[-1], dot, *pair], gap) <= room:
            lines[-1] += [dot, *pair]
        else:
            lines.append(pair)
    return lines


def _line_width(line: list[_Word], gap: int) -> int:
    return sum(word.width for word in line) + gap * (len(line) - 1)


def _fitted(line: list[_Word], room: int, gap: int) -> list[_Word]:
    before = _line_width(line[:-1], gap) + gap
    if before < room:
        return [*line[:-1], line[-1].cut_to(room - before)]
    return [line[0].cut_to(room)]


def _premultiplied(image: Image.Image) -> Plate:
    rgba = np.asarray(image, dtype=np.float32)
    alpha = rgba[..., 3:] / 255.0
    return Plate(colour=np.ascontiguousarray(rgba[..., 2::-1] * alpha), shade=1.0 - alpha)


@lru_cache(maxsize=16)
def _font(size: int, unit: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(7, round(size * unit)))
    if not isinstance(font, ImageFont.FreeTypeFont):  # pragma: no cover - a Pillow built without FreeType
        msg = "Pillow lacks FreeType; install a wheel of it"
        raise TypeError(msg)
    return font


def _takes_room(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in {"Cc", "Cf", "Mn", "Me"}


@cache
def _drawable(char: str) -> bool:
    font = _font(24, 1.0)
    return char.isspace() or bytes(font.getmask(char)) != bytes(font.getmask("\uffff"))
