"""What a clip's pictures say about weather, light and ground by statistics alone, and when they don't.

Statistics see brightness, colour and motion, not meaning: a dark wall and a late hour look alike. So every
judgement gives the *set* of values that fit what was measured, with the figures it rests on; the caller
answers only if one option alone is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from skill_tools.workers.labeling.detector import Floats, Image
from skill_tools.workers.labeling.frames import Sampler

WORKING_WIDTH = 640
"""Pictures are measured at this width at most."""

_FALL_STEP = 5
_MINKOWSKI = 6
_SHINE_STEP = 40
_LAMP_LUMA = 235
_LAMP_GROUND = 90


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
    lamps: float
    """Share of very bright pixels in dark surroundings."""
    white_ground: float
    """Share of the lower half that is bright and colourless."""
    shining_ground: float
    """Share of the lower half that is much brighter than its surroundings and colourless."""
    falling: float
    """Share of pixels, outside boxes, brighter than in the frames before and after: drops cross a pixel
    within one frame (Garg & Nayar, 2007)."""
    upright: float
    """How vertical those pixels' streaks are: from -1 (level) over 0 (no direction) to 1."""
    motion: float
    """Mean change of luma from the frame before, outside boxes."""


@dataclass(frozen=True)
class Judgement:
    """The values of a vocabulary that fit the statistics."""

    values: frozenset[str]
    confidence: float
    why: str


@dataclass(frozen=True)
class Sample:
    """The statistics at one moment."""

    timestamp_s: float
    statistics: Statistics


class Gauge:
    """Takes every frame of a clip and measures some, at a steady rate."""

    def __init__(self, fps: float) -> None:
        self.samples: list[Sample] = []
        self._sampler = Sampler(fps)
        self._before: npt.NDArray[np.int16] | None = None
        self._pending: tuple[float, Image, npt.NDArray[np.int16], npt.NDArray[np.bool_]] | None = None
        self._pending_before: npt.NDArray[np.int16] | None = None

    def take(self, timestamp_s: float, image: Image, boxes: Floats) -> None:
        """Take the next frame with the boxes (n × 4) that are to be left out of what moves."""
        small = _working_size(image)
        luma = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.int16)
        self._measure_pending(after=luma)
        if self._sampler.takes(timestamp_s):
            scale = small.shape[1] / image.shape[1]
            self._pending = timestamp_s, small, luma, _outside(boxes * scale, luma.shape)
            self._pending_before = self._before
        self._before = luma

    def finish(self) -> None:
        """Measure what still waits for a frame to follow."""
        self._measure_pending(after=None)

    def _measure_pending(self, after: npt.NDArray[np.int16] | None) -> None:
        if self._pending is None:
            return
        timestamp_s, small, luma, outside = self._pending
        falling, upright, motion = _transients(self._pending_before, luma, after, outside)
        statistics = _still_statistics(small, luma, falling=falling, upright=upright, motion=motion)
        self.samples.append(Sample(timestamp_s, statistics))
        self._pending = None


def averaged(samples: Iterable[Sample]) -> Statistics | None:
    """Give the mean statistics of `samples`, if there are any."""
    rows = [[getattr(sample.statistics, field.name) for field in fields(Statistics)] for sample in samples]
    return Statistics(*(float(mean) for mean in np.mean(rows, axis=0))) if rows else None


def judge_weather(seen: Statistics) -> Judgement:
    """Judge among clear, overcast, rain, fog, snow."""
    figures = f"luma spread {seen.spread:.0f}, saturation {seen.saturation:.2f}, veil {seen.veil:.2f}"
    if seen.white_ground > 0.45:
        return _judged(
            "snow", f"{seen.white_ground:.0%} of the ground is white", seen.white_ground, 0.45, 0.8
        )
    if seen.falling > 0.01 and seen.upright > 0.25 and seen.motion < 6:
        why = f"short-lived upright streaks on {seen.falling:.1%} of the picture"
        return _judged("rain", why, seen.falling, 0.01, 0.04)
    if seen.veil > 0.45 and seen.spread < 110:
        return _judged("fog", f"a veil over everything: {figures}", seen.veil, 0.45, 0.65)
    if seen.luma < 70:
        return _undecided(f"too dark to tell the sky's state: luma {seen.luma:.0f}")
    if seen.spread > 150 and seen.saturation > 0.25:
        return _judged("clear", f"hard light and full colours: {figures}", seen.spread, 150, 200)
    if seen.spread < 125 and seen.saturation < 0.22:
        return _judged("overcast", f"flat light and pale colours: {figures}", -seen.spread, -125, -80)
    return _undecided(f"the light is neither hard nor flat: {figures}")


def judge_time_of_day(seen: Statistics) -> Judgement:
    """Judge among the hours by the light's strength and colour."""
    figures = f"luma {seen.luma:.0f}, red over blue {seen.warmth:.2f}"
    if seen.luma < 45:
        return _judged("night", f"dark: {figures}", -seen.luma, -45, -20)
    if seen.luma < 78:
        late = (
            "evening dusk sunset golden_hour sunrise"
            if seen.warmth > 1
            else "evening dusk twilight blue_hour"
        )
        return _judged(late, f"dim: {figures}", -seen.luma, -78, -55)
    if seen.luma < 95:
        return _undecided(f"between dim and daylight: {figures}")
    if seen.warmth > 1.25:
        return _judged(
            "morning golden_hour sunrise sunset", f"warm daylight: {figures}", seen.warmth, 1.25, 1.6
        )
    if seen.warmth < 1.08:
        return _judged("midday noon afternoon day", f"white daylight: {figures}", -seen.warmth, -1.08, -0.95)
    return Judgement(
        frozenset({"morning", "midday", "afternoon", "noon", "day"}), 0.6, f"daylight: {figures}"
    )


def judge_lighting(seen: Statistics) -> Judgement:
    """Judge among bright, moderate, dim."""
    figures = f"luma {seen.luma:.0f}"
    if seen.luma >= 115:
        return _judged("bright", figures, seen.luma, 115, 150)
    if 78 <= seen.luma < 108:
        return _judged("moderate", figures, -abs(seen.luma - 93), -15, 0)
    if seen.luma < 70:
        return _judged("dim", figures, -seen.luma, -70, -40)
    return _undecided(f"between two levels: {figures}")


def judge_surface(seen: Statistics) -> Judgement:
    """Judge among dry, wet, snow; a dull ground may be either dry or wet."""
    if seen.white_ground > 0.45:
        return _judged("snow", f"{seen.white_ground:.0%} of it is white", seen.white_ground, 0.45, 0.8)
    figures = f"{seen.shining_ground:.1%} of the ground shines"
    if seen.shining_ground > 0.04:
        return _judged("wet", figures, seen.shining_ground, 0.04, 0.1)
    return _undecided(f"{figures}, which fits a dry ground and a wet one")


JUDGES: MappingProxyType[str, Callable[[Statistics], Judgement]] = MappingProxyType(
    {
        "weather": judge_weather,
        "time_of_day": judge_time_of_day,
        "lighting": judge_lighting,
        "surface_condition": judge_surface,
    }
)
"""What can be judged, by the question bank's names of sources."""


def _judged(values: str, why: str, figure: float, threshold: float, sure: float) -> Judgement:
    """Decide for `values`; confidence grows from 0.5 at the threshold to 0.9 where it is sure."""
    share = min(max((figure - threshold) / (sure - threshold), 0), 1)
    return Judgement(frozenset(values.split()), round(0.5 + 0.4 * share, 2), why)


def _undecided(why: str) -> Judgement:
    return Judgement(frozenset(), 0, why)


def _working_size(image: Image) -> Image:
    scale = WORKING_WIDTH / image.shape[1]
    if scale >= 1:
        return image.copy()  # its owner may draw into it before it is measured
    small: Image = np.asarray(
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )
    return small


def _still_statistics(
    image: Image, luma: npt.NDArray[np.int16], *, falling: float, upright: float, motion: float
) -> Statistics:
    low, high = np.percentile(luma, (5, 95))
    peak, floor = image.max(axis=2), image.min(axis=2)
    saturation = (peak - floor) / np.maximum(peak, 1)
    around = cv2.blur(luma.astype(np.float32), (31, 31))
    lower = slice(luma.shape[0] // 2, None)
    pale = saturation[lower] < 0.15
    light = np.power(image.reshape(-1, 3).astype(np.float64) / 255, _MINKOWSKI).mean(axis=0)
    blue, _, red = np.power(light, 1 / _MINKOWSKI)
    return Statistics(
        luma=float(luma.mean()),
        spread=float(high - low),
        saturation=float(saturation.mean()),
        warmth=float(red / max(blue, 1e-3)),
        veil=float(np.median(cv2.erode(floor, np.ones((7, 7), np.uint8)))) / 255,
        lamps=float(((luma > _LAMP_LUMA) & (around < _LAMP_GROUND)).mean()),
        white_ground=float(((luma[lower] > 170) & pale).mean()),
        shining_ground=float(((luma[lower] - around[lower] > _SHINE_STEP) & pale).mean()),
        falling=falling,
        upright=upright,
        motion=motion,
    )


def _transients(
    before: npt.NDArray[np.int16] | None,
    now: npt.NDArray[np.int16],
    after: npt.NDArray[np.int16] | None,
    outside: npt.NDArray[np.bool_],
) -> tuple[float, float, float]:
    """Measure falling, upright and motion (see Statistics); without both neighbours there is none."""
    if before is None or after is None or before.shape != now.shape or after.shape != now.shape:
        return 0.0, 0.0, 0.0
    rise = np.where(outside, np.clip(now - np.maximum(before, after), 0, None), 0)
    blink = np.where(rise > _FALL_STEP, rise, 0).astype(np.float32)
    across = float(np.square(cv2.Sobel(blink, cv2.CV_32F, 1, 0)).sum())
    along = float(np.square(cv2.Sobel(blink, cv2.CV_32F, 0, 1)).sum())
    change = np.abs(now - before)[outside]
    return (
        float((blink > 0).sum() / max(outside.sum(), 1)),
        (across - along) / max(across + along, 1e-6),
        float(change.mean()) if change.size else 0.0,
    )


def _outside(boxes: Floats, shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    outside = np.ones(shape, np.bool_)
    for left, top, right, bottom in boxes.astype(int):
        outside[max(top - 4, 0) : bottom + 5, max(left - 4, 0) : right + 5] = False
    return outside
