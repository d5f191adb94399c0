"""Figures of a clip's pictures: brightness, colour, veil, what falls; sampled at a steady rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from skill_tools.workers.labeling.detector import Floats, Image
from skill_tools.workers.labeling.frames import Sampler

SAMPLES_PER_SECOND = 2.0

MOTION_WIDTH = 640
"""Falling drops are looked for at this width at most: smaller, they would be averaged away."""

STILL_WIDTH = 320
"""Everything else is measured at this width at most."""

RISE = 5
"""Levels of luma by which a drop is brighter than the same place a frame before and after."""

PALE = 0.15
"""Saturation below which something counts as colourless."""

WHITE_LUMA = 170

_DARK_PATCH = np.ones((5, 5), np.uint8)
_MINKOWSKI = 6
_LIGHT = np.power(np.arange(256) / 255, _MINKOWSKI).astype(np.float32)

Luma = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Statistics:
    """Figures of one picture, or their mean over several. Luma is from 0 to 255, shares from 0 to 1."""

    luma: float
    spread: float
    """Luma's 95th less its 5th percentile."""
    saturation: float
    warmth: float
    """Red over blue of the light, by *shades of grey* (Finlayson & Trezzi, 2004); 1 is neutral."""
    veil: float
    """Median of the dark channel (He et al., CVPR 2009), 0 to 1: how much air light lies over everything."""
    white_ground: float
    """Share of the lower half that is bright and colourless."""
    falling: float
    """Share of pixels, outside boxes, brighter than in the frames before and after: drops cross a pixel
    within one frame (Garg & Nayar, 2007)."""
    upright: float
    """How vertical those pixels' streaks are: from -1 (level) over 0 (no direction) to 1."""
    motion: float
    """Mean change of luma from the frame before, outside boxes."""


@dataclass(frozen=True)
class Sample:
    """The statistics at one moment."""

    timestamp_s: float
    statistics: Statistics


@dataclass(frozen=True)
class _Waiting:
    """A picture that is to be measured when the frame after it is known."""

    timestamp_s: float
    still: Image
    before: Luma | None
    luma: Luma
    outside: npt.NDArray[np.bool_]


class Gauge:
    """Takes every frame of a clip and measures some, at a steady rate."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._sampler = Sampler(SAMPLES_PER_SECOND)
        self._before: Luma | None = None
        self._waiting: _Waiting | None = None

    def take(self, timestamp_s: float, image: Image, boxes: Floats) -> None:
        """Take the next frame, with the boxes (n x 4) that are to be left out of what falls."""
        grey = _narrowed(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8), MOTION_WIDTH)
        luma = grey.astype(np.int16)
        self._measure(after=luma)
        if self._sampler.takes(timestamp_s):
            outside = _outside(boxes * (luma.shape[1] / image.shape[1]), luma.shape)
            # A copy, because the picture's owner draws into it before the next frame comes.
            still = _narrowed(image, STILL_WIDTH).copy()
            self._waiting = _Waiting(timestamp_s, still, self._before, luma, outside)
        self._before = luma

    def finish(self) -> None:
        """Measure what still waits for a frame to follow."""
        self._measure(after=None)

    def _measure(self, after: Luma | None) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        falling, upright, motion = transients(waiting.before, waiting.luma, after, waiting.outside)
        statistics = still_statistics(waiting.still, falling=falling, upright=upright, motion=motion)
        self.samples.append(Sample(waiting.timestamp_s, statistics))
        self._waiting = None


def averaged(samples: Iterable[Sample]) -> Statistics | None:
    """Give the mean statistics of `samples`, if there are any."""
    rows = [astuple(sample.statistics) for sample in samples]
    return Statistics(*(float(mean) for mean in np.mean(rows, axis=0))) if rows else None


def still_statistics(
    image: Image, *, falling: float = 0.0, upright: float = 0.0, motion: float = 0.0
) -> Statistics:
    """Measure one picture (height x width x 3, BGR); what falls is measured elsewhere."""
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    low, high = _percentiles(luma, (0.05, 0.95))
    peak, floor = image.max(axis=2), image.min(axis=2)
    saturation = (peak - floor) / np.maximum(peak, 1).astype(np.float32)
    lower = slice(luma.shape[0] // 2, None)
    pale = saturation[lower] < PALE
    blue, _, red = (float(_LIGHT[image[:, :, channel]].mean()) ** (1 / _MINKOWSKI) for channel in range(3))
    return Statistics(
        luma=float(luma.mean()),
        spread=float(high - low),
        saturation=float(saturation.mean()),
        warmth=red / max(blue, 1e-3),
        veil=float(np.median(cv2.erode(floor, _DARK_PATCH))) / 255,
        white_ground=float(((luma[lower] > WHITE_LUMA) & pale).mean()),
        falling=falling,
        upright=upright,
        motion=motion,
    )


def transients(
    before: Luma | None, now: Luma, after: Luma | None, outside: npt.NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Measure falling, upright and motion (see Statistics); without both neighbours there is none."""
    if before is None or after is None:
        return 0.0, 0.0, 0.0
    rise = np.where(outside, now - np.maximum(before, after), 0)
    blink = np.where(rise >= RISE, rise, 0).astype(np.float32)
    across = float(np.square(cv2.Sobel(blink, cv2.CV_32F, 1, 0)).sum())
    along = float(np.square(cv2.Sobel(blink, cv2.CV_32F, 0, 1)).sum())
    room = max(int(outside.sum()), 1)
    return (
        float(np.count_nonzero(blink)) / room,
        (across - along) / max(across + along, 1e-6),
        float(np.abs(now - before)[outside].sum()) / room,
    )


def _percentiles(luma: Image, shares: Sequence[float]) -> npt.NDArray[np.intp]:
    reached = np.cumsum(np.bincount(luma.ravel(), minlength=256)) / luma.size
    return np.searchsorted(reached, shares)


def _narrowed(image: Image, width: int) -> Image:
    scale = width / image.shape[1]
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _outside(boxes: Floats, shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Mark what lies outside all boxes, with a margin for what moves ahead of them."""
    margin = 4
    outside = np.ones(shape, np.bool_)
    for left, top, right, bottom in boxes.astype(int):
        outside[max(top - margin, 0) : bottom + margin + 1, max(left - margin, 0) : right + margin + 1] = (
            False
        )
    return outside
