"""What every variant is checked for: no new edges, and the sampled values visible in measured statistics."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from skill_tools.workers.augmentation.config import HallucinationCheck
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, percentiles, quantile
from skill_tools.workers.augmentation.scene import small_size

_WIDEST = 960
_GROUND_STEP = 2
_FEW_PX = 5
_SPECK_CODES = 8.0
_MANY_ROWS = 400
_STEEPEST = 255  # which 16 bits can hold the square of


@dataclass(frozen=True)
class EdgeScore:
    """How the edges of variant and source agree, over the sampled frames."""

    score: float
    """Share of the variant's edges that lie near an edge of the source."""
    kept: float
    """Share of the source's edges that lie near an edge of the variant; darkness and fog take some."""
    threshold: float
    frames: int

    @property
    def passed(self) -> bool:
        """Whether few enough edges are new."""
        return self.score >= self.threshold


@dataclass(frozen=True)
class ValueVerdict:
    """Whether one value is seen in the variant."""

    value: str
    passed: bool
    judged: bool
    """False when another value of the variant works against what would be measured."""
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Statistics:
    """What is measured on a frame, as changes are judged by; luma from 0 to 1."""

    median: float
    contrast: float
    """95th less 5th percentile of luma."""
    relief: float
    """Standard deviation of luma at large scale, by its mean."""
    colourfulness: float
    warmth: float
    """Mean Cr - Cb by mean luma, over what is grey in the source: the colour of the light."""
    ground: float
    """Mean luma of the ground."""


@dataclass
class Evaluation:
    """Collects what the evaluators say about sampled frames."""

    check: HallucinationCheck
    levels: Levels
    values: Mapping[str, str]
    _appeared: list[tuple[float, float]] = field(default_factory=list)
    _statistics: list[tuple[Statistics, Statistics]] = field(default_factory=list)
    _patterns: list[float] = field(default_factory=list)
    _specks: list[float] = field(default_factory=list)

    def see(self, before: Planes, after: Planes, ground: Map) -> None:
        """Take a frame of the source and of the variant into account; `ground` is of the small size."""
        if self.check.enabled:
            self._appeared.append(edge_agreement(before.y, after.y, self.check))
        source, variant = (planes.shrunk(*small_size(planes.size)) for planes in (before, after))
        grey = _without_lamps(_greyest(source, self.levels), source.y, variant.y)
        was, now = (statistics(each, self.levels, ground, grey) for each in (source, variant))
        self._statistics.append((was, now))
        self._specks.append(_specks(before.y, after.y, ground, now.contrast / max(was.contrast, 1e-3)))
        self._patterns.append(_pattern_change(source.y, variant.y, ground))

    def edges(self) -> EdgeScore | None:
        """Return the result of the hallucination check; None when it is off or saw nothing."""
        if not self._appeared:
            return None
        score, kept = np.mean(self._appeared, axis=0)
        return EdgeScore(
            round(float(score), 4), round(float(kept), 4), self.check.threshold, len(self._appeared)
        )

    def attributes(self) -> dict[str, ValueVerdict]:
        """Return for each variable whether its value is seen."""
        if not self._statistics:
            return {}
        change = _Change.over(self._statistics, self._patterns, self._specks)
        return {
            variable: _judge(variable, value, change, self.values) for variable, value in self.values.items()
        }


def edge_agreement(before: Plane, after: Plane, check: HallucinationCheck) -> tuple[float, float]:
    """Return which share of `after`'s edges is near one of `before`'s, and the other way round.

    An edge is where the gradient of the blurred luma exceeds `grad_thresh`, gaps closed with a square of
    `morph_k`; near is within `dist_tol_px`. A gain in contrast lifts weak edges of the source over the
    threshold without drawing any, so the source's gradient is given the same gain first. Pictures wider
    than 960 pixels are halved first, with blur and tolerance: scores move by some hundredths, and a check
    costs a quarter.
    """
    blur_ksize, tolerance = check.blur_ksize, check.dist_tol_px
    while before.shape[1] > _WIDEST:
        half = before.shape[1] // 2, before.shape[0] // 2
        before, after = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (before, after))
        blur_ksize, tolerance = max(1, blur_ksize // 2), tolerance / 2
    gradients = [_gradient(plane, blur_ksize) for plane in (before, after)]
    strong = [_strong(gradient) for gradient in gradients]
    gain = max(1.0, strong[1] / strong[0])
    kernel = np.ones((check.morph_k, check.morph_k), np.uint8)
    edges = [
        cv2.morphologyEx(_steeper(gradient, limit), cv2.MORPH_CLOSE, kernel)
        for gradient, limit in zip(gradients, (check.grad_thresh / gain, check.grad_thresh), strict=True)
    ]
    return _share_near(edges[1], edges[0], tolerance), _share_near(edges[0], edges[1], tolerance)


def statistics(small: Planes, levels: Levels, ground: Map, grey: Map) -> Statistics:
    """Measure a frame at the small size, its warmth where the source is `grey` (1, else 0)."""
    luma, blue, red = (plane.astype(np.float32) for plane in small.all)
    dark, median, light = (levels.unit(code) for code in percentiles(small.y, (5, 50, 95)))
    side = luma.shape[1] // 12 | 1
    mean, deviation = (float(part.item()) for part in cv2.meanStdDev(cv2.blur(luma, (side, side))))
    weight, greys = float(ground.sum()), max(float(grey.sum()), 1.0)
    on_ground = levels.unit(float(np.vdot(luma, ground)) / weight) if weight > 1 else median
    lit = levels.unit(float(np.vdot(luma, grey)) / greys)
    warm = float(np.vdot(red - blue, grey)) / greys / levels.chroma_span
    return Statistics(
        median,
        light - dark,
        deviation / levels.luma_span / max(levels.unit(mean), 0.02),
        float(cv2.magnitude(blue - 128, red - 128).mean()) / levels.chroma_span,
        warm / max(lit, 0.05),
        on_ground,
    )


def _specks(before: Plane, after: Plane, ground: Map, contrast: float) -> float:
    """Return which share of a variant is lighter than its row around it, and by more than the source is.

    A drop or flake lightens a few pixels, where a change of light changes all detail of a place alike. It is
    looked for off the ground, where nothing is laid, at codes that go with the contrast that is left.
    Every fourth row tells enough of a large picture.
    """
    step = 4 if len(before) >= _MANY_ROWS else 2
    rows = [plane[::step].astype(np.float32) for plane in (before, after)]
    source, variant = (part - cv2.blur(part, (9, 1)) for part in rows)
    window = (31, 7)
    factor = cv2.blur(source * variant, window) / (cv2.blur(source * source, window) + 1.0)
    lighter = variant - factor * source > _SPECK_CODES * min(contrast, 1.0)
    off_ground = cv2.resize(ground, rows[0].shape[::-1], interpolation=cv2.INTER_NEAREST) < 0.5
    if off_ground.mean() <= 0.05:
        off_ground[:] = True
    return float(lighter[off_ground].mean())


@dataclass(frozen=True)
class _Change:
    before: Statistics
    after: Statistics
    pattern: float
    specks: float

    @classmethod
    def over(
        cls, pairs: list[tuple[Statistics, Statistics]], patterns: list[float], specks: list[float]
    ) -> _Change:
        names = Statistics.__dataclass_fields__
        mean = [
            Statistics(
                **{name: float(np.mean([getattr(pair[side], name) for pair in pairs])) for name in names}
            )
            for side in (0, 1)
        ]
        return cls(mean[0], mean[1], float(np.mean(patterns)), float(np.mean(specks)))

    def ratio(self, name: str) -> float:
        return float(getattr(self.after, name) / max(getattr(self.before, name), 1e-3))

    @property
    def warmer(self) -> float:
        return self.after.warmth - self.before.warmth


_Rule = Callable[[_Change], tuple[bool, dict[str, float]]]


def _darker(limit: float) -> _Rule:
    return lambda c: (c.ratio("median") <= limit, {"luma_ratio": c.ratio("median")})


def _brighter(limit: float) -> _Rule:
    return lambda c: (c.ratio("median") >= limit, {"luma_ratio": c.ratio("median")})


def _warmer(limit: float) -> _Rule:
    return lambda c: (c.warmer >= limit, {"warmth_change": c.warmer})


def _cooler(limit: float) -> _Rule:
    return lambda c: (c.warmer <= limit, {"warmth_change": c.warmer})


def _changed(name: str, low: float, high: float) -> _Rule:
    return lambda c: (low <= c.ratio(name) <= high, {f"{name}_ratio": c.ratio(name)})


def _speckled(limit: float) -> _Rule:
    return lambda c: (c.specks >= limit, {"specks": c.specks})


def _redrawn(limit: float) -> _Rule:
    return lambda c: (c.pattern >= limit, {"ground_pattern_change": c.pattern})


def _all(*rules: _Rule) -> _Rule:
    def rule(c: _Change) -> tuple[bool, dict[str, float]]:
        results = [each(c) for each in rules]
        return all(passed for passed, _ in results), {
            key: value for _, part in results for key, value in part.items()
        }

    return rule


_RULES: Mapping[tuple[str, str], _Rule] = {
    ("weather", "clear"): _changed("colourfulness", 1.04, 9.0),
    ("weather", "overcast"): _changed("relief", 0.0, 0.97),
    ("weather", "rain"): _speckled(0.0015),
    ("weather", "fog"): _changed("contrast", 0.0, 0.92),
    ("weather", "snow"): _speckled(0.0015),
    ("time_of_day", "sunrise"): _warmer(0.01),
    ("time_of_day", "morning"): _warmer(0.004),
    ("time_of_day", "midday"): _brighter(1.04),
    ("time_of_day", "afternoon"): _warmer(0.004),
    ("time_of_day", "golden_hour"): _warmer(0.015),
    ("time_of_day", "evening"): _all(_darker(0.93), _warmer(0.005)),
    ("time_of_day", "sunset"): _all(_darker(0.95), _warmer(0.015)),
    ("time_of_day", "twilight"): _all(_darker(0.85), _cooler(0.01)),
    ("time_of_day", "blue_hour"): _all(_darker(0.85), _cooler(-0.005)),
    ("time_of_day", "night"): _darker(0.75),
    ("lighting", "bright"): _brighter(1.04),
    ("lighting", "moderate"): _darker(0.98),
    ("lighting", "dim"): _darker(0.82),
    ("surface", "dry"): _changed("ground", 1.005, 9.0),
    ("surface", "wet"): _redrawn(0.001),
    ("surface", "puddles"): _redrawn(0.002),
    ("surface", "flooding"): _redrawn(0.004),
    ("surface", "snow"): _changed("ground", 1.04, 9.0),
    ("surface", "sand"): _redrawn(0.002),
}

_DARKENING = frozenset(
    {
        "overcast",
        "rain",
        "snow",
        "evening",
        "sunset",
        "twilight",
        "blue_hour",
        "night",
        "moderate",
        "dim",
        "wet",
    }
)
_PALING = frozenset({"overcast", "rain", "fog", "snow", "twilight", "blue_hour", "night", "dim"})
_COOLING = frozenset({"overcast", "rain", "snow", "fog", "twilight", "blue_hour", "night"})
_OPPOSED: Mapping[str, frozenset[str]] = {
    "midday": _DARKENING,
    "bright": _DARKENING,
    "dry": _DARKENING | {"bright"},
    "clear": _PALING,
    "morning": _COOLING,
    "afternoon": _COOLING,
    "sunrise": _COOLING,
    "fog": frozenset({"midday"}),
    "twilight": frozenset({"bright", "moderate", "dim"}),
    "blue_hour": frozenset({"bright", "moderate", "dim"}),
    "snow": _DARKENING - {"snow"},
}
"""Value to values that hide what it is judged by."""


def _judge(variable: str, value: str, change: _Change, values: Mapping[str, str]) -> ValueVerdict:
    others = {other for name, other in values.items() if name != variable}
    judged = not (_OPPOSED.get(value, frozenset()) & others)
    passed, measured = _RULES[variable, value](change)
    return ValueVerdict(
        value, passed or not judged, judged, {name: round(part, 4) for name, part in measured.items()}
    )


_Gradient = tuple[Plane, Plane]
"""Across and down: int16."""


def _gradient(plane: Plane, blur_ksize: int) -> _Gradient:
    side = blur_ksize | 1
    across, down = cv2.spatialGradient(cv2.GaussianBlur(plane, (side, side), 0))
    return across, down


def _strong(gradient: _Gradient) -> float:
    """Return the gradient that 3 % of a picture exceed, above 0."""
    across, down = (part[::4, ::4].astype(np.int32).ravel() for part in gradient)
    rank = int(0.97 * (across.size - 1))
    return float(np.sqrt(np.partition(across**2 + down**2, rank)[rank])) + 1e-6


def _steeper(gradient: _Gradient, limit: float) -> Plane:
    """Return 1 where a gradient exceeds a limit, at most 254, else 0.

    Squares are compared, of which 16 bits hold as many as that takes.
    """
    slopes = (cv2.threshold(np.abs(part), _STEEPEST, 0, cv2.THRESH_TRUNC)[1] for part in gradient)
    across, down = ((slope * slope).view(np.uint16) for slope in slopes)
    steeper: Plane = cv2.add(across, down) > int(min(limit, _STEEPEST - 1) ** 2)
    return steeper.view(np.uint8)


def _greyest(small: Planes, levels: Levels) -> Map:
    """Return 1 where a frame is lit and least coloured."""
    colour = cv2.magnitude(small.u.astype(np.float32) - 128, small.v.astype(np.float32) - 128)
    lit = small.y > levels.luma(0.15)
    grey = colour <= quantile(colour[::2, ::2], 0.4)
    # At night all that is lit may be lit by coloured lamps.
    chosen: Map = (grey & lit if (grey & lit).any() else grey).astype(np.float32)
    return chosen


def _without_lamps(grey: Map, before: Plane, after: Plane) -> Map:
    """Return `grey` without what shines in the variant alone, which isn't seen in the colour of the light."""
    usual = percentiles(after, (50,))[0] / max(percentiles(before, (50,))[0], 1)
    left: Map = grey * (after < before * np.float32(1.6 * usual) + 16)
    return left if left.sum() > grey.sum() / 2 else grey


def _share_near(edges: Plane, others: Plane, tolerance: float) -> float:
    count = cv2.countNonZero(edges)
    if not count:
        return 1.0
    if not cv2.countNonZero(others):
        return 0.0
    return cv2.countNonZero(cv2.bitwise_and(_near(others, tolerance), edges)) / count


def _near(edges: Plane, tolerance: float) -> Plane:
    """Return where an edge (1, else 0) is within `tolerance` pixels, not 0 there.

    Within a few pixels, growing by the disc that the distance transform finds around one pixel gives the same
    in less time.
    """
    reach = int(np.ceil(tolerance))
    if reach > _FEW_PX:
        return cv2.inRange(cv2.distanceTransform(1 - edges, cv2.DIST_L2, 3), 0, tolerance)
    disc = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    disc[reach, reach] = 0
    return cv2.dilate(edges, cv2.inRange(cv2.distanceTransform(disc, cv2.DIST_L2, 3), 0, tolerance))


def _pattern_change(before: Plane, after: Plane, ground: Map) -> float:
    """Return how far the ground's pattern isn't the old one any more: 1 - rank correlation of small lumas."""
    mask = ground[::_GROUND_STEP, ::_GROUND_STEP] > 0.5
    if np.count_nonzero(mask) < 20:
        return 1.0
    ranks = []
    for small in (before, after):
        values = small[::_GROUND_STEP, ::_GROUND_STEP][mask]
        # Ranks by inverting the order, and the order of bytes by counting: equals stay in theirs.
        rank = np.empty(values.size)
        rank[np.argsort(values, kind="stable")] = np.arange(values.size)
        ranks.append(rank - (values.size - 1) / 2)
    return 1.0 - float((ranks[0] * ranks[1]).sum() / (ranks[0] ** 2).sum())
