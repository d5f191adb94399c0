"""The labels drawn into the picture: boxes, classes and track numbers, readable on any ground."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from skill_tools.workers.labeling.classes import CLASS_NAMES
from skill_tools.workers.labeling.detector import Image
from skill_tools.workers.labeling.labels import Label

Colour = tuple[int, int, int]

_PALETTE: tuple[Colour, ...] = (
    (75, 25, 230), (75, 180, 60), (25, 225, 255), (200, 130, 0), (48, 130, 245), (180, 30, 145),
    (240, 240, 70), (230, 50, 240), (60, 245, 210), (212, 190, 250), (128, 128, 0), (255, 190, 220),
    (40, 110, 170), (0, 0, 128), (195, 255, 170), (180, 215, 255),
)  # fmt: skip
"""Well-told-apart colours (BGR), after S. Trubetskoy's list of distinct colours."""

_DARK_LUMA = 140


def draw(image: Image, labels: Sequence[Label]) -> None:
    """Draw `labels` into `image`."""
    height, width = image.shape[:2]
    line = max(1, round(height / 360))
    text_px = max(10, round(height / 42))
    for label in sorted(labels, key=lambda one: one.box[3]):
        colour = _PALETTE[label.track % len(_PALETTE)]
        left, top, right, bottom = (round(side) for side in label.box)
        cv2.rectangle(image, (left, top), (min(right, width - 1), min(bottom, height - 1)), colour, line)
        _paste(image, _chip(f"{CLASS_NAMES[label.class_index]} {label.track}", colour, text_px), left, top)


def _paste(image: Image, chip: Image, left: int, top: int) -> None:
    """Put `chip` on top of the corner (left, top), or inside the box where there is no room above it."""
    height, width = chip.shape[:2]
    y = top - height if top >= height else top
    x = max(min(left, image.shape[1] - width), 0)
    area = image[y : y + height, x : x + width]
    area[:] = chip[: area.shape[0], : area.shape[1]]


@lru_cache(maxsize=512)
def _chip(text: str, colour: Colour, text_px: int) -> Image:
    """Give a small plate with `text`, dark on light colours and light on dark ones."""
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, round(text_px * 0.7), 1)
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = max(2, text_px // 5)
    plate = np.full((height + baseline + margin, width + 2 * margin, 3), colour, np.uint8)
    blue, green, red = colour
    luma = 0.114 * blue + 0.587 * green + 0.299 * red
    ink = (255, 255, 255) if luma < _DARK_LUMA else (0, 0, 0)
    place = (margin, height + margin // 2 + 1)
    cv2.putText(plate, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
    return plate
