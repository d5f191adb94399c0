"""A frame and its variant beside each other, laid out plane by plane: a film of them needs no conversion."""

from __future__ import annotations

import cv2
import numpy as np
from av.video.frame import VideoFrame

from skill_tools.media.drawing import REFERENCE_HEIGHT, Plate, stamp
from skill_tools.workers.augmentation.planes import Levels, Planes

MARGIN = 18
"""Between words and a picture's edges, in pixels of a picture of `REFERENCE_HEIGHT`."""


class SideBySide:
    """The layout: the original left, the variant right, of one even size, each with its words on top."""

    def __init__(self, size: tuple[int, int], levels: Levels, left: Plate, right: Plate) -> None:
        """Place words, drawn for pictures of `size`, in the outer corners."""
        self._width, self._height = width, height = size
        margin = _even(MARGIN * height / REFERENCE_HEIGHT)
        self._words = (
            (planar(left, levels), (margin, margin)),
            (planar(right, levels), (max(width, _even(2 * width - margin - right.width)), margin)),
        )

    def frame(self, before: Planes, after: Planes) -> VideoFrame:
        """Return a `yuv420p` frame that shows both."""
        frame = VideoFrame(2 * self._width, self._height, "yuv420p")
        shown = Planes.of(frame)
        for plane, left, right in zip(shown.all, before.all, after.all, strict=True):
            middle = plane.shape[1] // 2
            plane[:, :middle], plane[:, middle:] = left, right
        for (luma, *chroma), (x, y) in self._words:
            stamp(shown.y, luma, x, y)
            for plane, label in zip((shown.u, shown.v), chroma, strict=True):
                stamp(plane, label, x // 2, y // 2)
        return frame


def planar(label: Plate, levels: Levels) -> tuple[Plate, Plate, Plate]:
    """Return `label` for the planes of a 4:2:0 picture, those of chroma at half the size, rounded up.

    Each is stamped on its plane alone: its arrays have the shape (height, width).
    """
    alpha = 1 - label.shade[..., 0]
    # Premultiplied colours are converted like others, but for what the matrix doesn't multiply: the offsets.
    luma, *chroma = np.moveaxis(label.colour[..., ::-1] @ levels.rgb_to_ycbcr().T / 255, -1, 0)
    codes = [
        luma * levels.luma_span + alpha * levels.black,
        *(values * levels.chroma_span + alpha * 128 for values in chroma),
    ]
    whole, *halves = (np.dstack([code, 1 - alpha]).astype(np.float32) for code in codes)
    return _plate(whole), _plate(_halved(halves[0])), _plate(_halved(halves[1]))


def _plate(layers: np.ndarray) -> Plate:
    return Plate(layers[..., 0], layers[..., 1])


def _halved(layers: np.ndarray) -> np.ndarray:
    """Return (height, width, 2) of colour and shade, averaged; an odd side goes on with nothing."""
    height, width = layers.shape[:2]
    even = cv2.copyMakeBorder(layers, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=(0.0, 1.0))
    half = ((width + 1) // 2, (height + 1) // 2)
    return np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA))


def _even(length: float) -> int:
    return round(length / 2) * 2
