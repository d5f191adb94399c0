"""Where ground is in a picture, by its colours and what is seen to stand on it."""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.heading import Heading
from skill_tools.workers.augmentation.planes import Map, Plane, Planes, grow, halved, percentiles

_BINS = (16, 32, 32)
# Chroma of real scenes lies near grey: its bins cover the middle half.
_CHROMA_BINS = np.clip((np.arange(256) - 64) // 4, 0, _BINS[1] - 1)
_BIN_NUMBERS = tuple(
    (bins * step).astype(np.uint16)
    for bins, step in (
        (np.arange(256) // 16, _BINS[1] * _BINS[2]),
        (_CHROMA_BINS, _BINS[2]),
        (_CHROMA_BINS, 1),
    )
)
"""What the code of a plane adds to the number of a pixel's bin, by plane."""
_RARE, _RARE_ODDS = 1.5e-3, 0.02
"""Share of the pixels of which a colour with so much counts half, and the probability of one with none."""
_LEAST_LIKELY, _MOST_LIKELY = 0.15, 0.94  # by place alone, where a camera may have moved on
_MANY_STEPS = 8
_AHEAD_LIKELY = 0.96  # where a camera is about to come
_USUAL_SPREAD = 150
_TWO_ROUNDS = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 2, 1)  # a third one moves nothing visible


@dataclass(frozen=True)
class Contrast:
    """How a dark or hazy picture is stretched, so that its things can be told apart as on a clear day."""

    gain: float
    middle: float
    """The luma code that stays where it is."""

    @classmethod
    def of(cls, frame: Planes) -> Contrast:
        """Return what stretches all but the darkest and brightest 2 % to a usual range, at most fourfold."""
        dark, light = percentiles(frame.y, (2, 98))
        return cls(min(4.0, max(1.0, _USUAL_SPREAD / max(light - dark, 1))), (dark + light) / 2)

    def stretched(self, frame: Planes) -> Planes:
        """Return the frame stretched, in luma around the middle and in chroma around grey."""
        if self.gain == 1.0:
            return frame
        return Planes(
            _scaled(frame.y, self.gain, self.middle),
            _scaled(frame.u, self.gain, 128),
            _scaled(frame.v, self.gain, 128),
        )


def _scaled(plane: Plane, gain: float, fixed: float) -> Plane:
    codes = np.arange(256, dtype=np.float64)
    table = np.clip(np.rint(fixed + (codes - fixed) * gain), 0, 255).astype(np.uint8)
    return cv2.LUT(plane, table)


@dataclass(frozen=True, eq=False)
class Layout:
    """What is known of places in a frame before its colours are; all maps are of the frame's size."""

    sky: Map
    trodden: Map
    """How often something that moved was seen to stand on a pixel."""
    areas: NDArray[np.intp]
    """A label for each pixel, see `areas_of`."""
    known: Map | None = None
    """Where ground was seen just before, if it was: a camera that looks down has it above too."""
    heading: Heading | None = None
    """How far up ground can reach, and which is right ahead, if that is known."""

    @cached_property
    def closed(self) -> Map:
        """1 where no ground can be."""
        return self.sky if self.heading is None else cv2.max(self.sky, self.heading.closed)

    @cached_property
    def stood_on(self) -> Map:
        """How often something stood on a pixel, or is about to: the camera itself."""
        return self.trodden if self.heading is None else self.trodden + self.heading.near

    @property
    def walked_on(self) -> bool:
        """Whether what moved stood in many places, far apart."""
        _, columns = np.nonzero(self.trodden)
        return columns.size >= _MANY_STEPS and bool(np.ptp(columns) > self.sky.shape[1] / 8)

    def prior(self) -> Map:
        """Return the probability of ground by place alone."""
        prior: Map
        if self.heading is None:
            prior = (0.04 + (_MOST_LIKELY - 0.04) / (1 + np.exp(-(self._rows - 0.40) / 0.09))) * (
                1 - self.sky
            )
        else:
            prior = cv2.max(_AHEAD_LIKELY * self.heading.lane, _MOST_LIKELY * (1 - self.closed))
        return prior if self.known is None else (prior + self.known * (1 - self.closed)) / 2

    def surely(self) -> tuple[Map, Map]:
        """Return how surely a pixel is ground and is something else, for the first look at its colour."""
        if self.heading is None:
            ground = np.repeat(self._rows > 0.6, self.sky.shape[1], axis=1).astype(np.float32)
            low = np.float32(0.25)
        else:
            ground, low = self.heading.near, np.float32(self.heading.horizon)
        other: Map = (1 - np.float32(0.5) * self.sky) * np.less(self._rows, low)
        if self.known is not None:
            return cv2.max(ground, self.known), other * (1 - self.known)
        return ground, other

    @property
    def _rows(self) -> Map:
        return np.linspace(0, 1, len(self.sky), dtype=np.float32)[:, None]


@dataclass(frozen=True, eq=False)
class GroundColours:
    """Which colours are ground's in a scene, learned where ground most likely is.

    Pixels low in the picture are taken for ground and those high up for something else; their colour
    histograms then judge every pixel, and the split is repeated with that verdict, as in likelihood-based
    road detection (Alvarez and Lopez, "Road Detection Based on Illuminant Invariance", IEEE T-ITS 2011).
    Before a camera that moves ahead the nearest metres are ground, and what is above the horizon isn't.
    A colour that is rare on the ground is rather that of a thing which stands there. Walls of the ground's
    own colour pass for ground; a floor unlike what is seen at the bottom doesn't.
    """

    odds: NDArray[np.float32]
    """Probability that a colour is ground's, by the number of its bin."""
    prior: Map
    """Probability of ground by place, at the size at which it is looked for."""
    contrast: Contrast
    """What the frames were stretched by before their colours were taken."""

    @classmethod
    def learned(cls, frame: Planes, layout: Layout, contrast: Contrast) -> tuple[GroundColours, Map]:
        """Learn from one frame or background, small and stretched; return also where ground is in it.

        A `frame` of half the small size gives nearly the same for a third of the time.
        """
        bins = _bins(frame)
        odds = _odds(bins, *layout.surely())
        belief = _by_segment(_posterior(odds[bins], layout.prior()), layout.stood_on, layout.areas)
        ground = _soft_ground(belief, frame, layout.closed)
        odds = _odds(bins, ground, 1 - ground)
        return cls(odds, _by_place(ground), contrast), ground

    def coarse(self) -> GroundColours:
        """Return what ground is looked for by at half the size of the frame it was learned from."""
        return replace(self, prior=halved(self.prior))

    def mixed(self, other: GroundColours, share: float) -> GroundColours:
        """Return colours of which a share is another's, of the same contrast."""
        odds, prior = (
            (1 - np.float32(share)) * own + np.float32(share) * its
            for own, its in ((self.odds, other.odds), (self.prior, other.prior))
        )
        return replace(self, odds=odds, prior=prior)

    def likely_in(self, coarse: Planes) -> Map:
        """Return how likely the colours of a stretched frame of half the small size are ground's."""
        return self.odds[_bins(coarse)]

    def ground_in(
        self, likely: Map, known: Map | None, frame: Planes, sky: Map, heading: Heading | None
    ) -> Map:
        """Return where ground is in a stretched frame of the scene, soft, following its edges.

        Colours are judged at half the small size, `likely`, and the verdict follows the edges of all of it.
        `known` is where ground was just before, at the same size, if it was seen: around that it is likely,
        wherever it was when colours were learned.
        """
        prior = self.prior if known is None else (self.prior + _by_place(known)) / 2
        closed = sky
        if heading is not None:
            closed = cv2.max(sky, heading.closed)
            prior = cv2.max(prior, _AHEAD_LIKELY * halved(heading.lane))
        return _soft_ground(_posterior(likely, prior), frame, closed)


def guided(guide: Map, values: Map, *, radius: int, epsilon: float) -> Map:
    """Return `values` smoothed along the edges of `guide` (He, Sun, Tang, "Guided Image Filtering", 2010)."""
    slope, offset = guided_coefficients(guide, values, radius=radius, epsilon=epsilon)
    return slope * guide + offset


def guided_coefficients(guide: Map, values: Map, *, radius: int, epsilon: float) -> tuple[Map, Map]:
    """Return the guided filter's linear model: slope and offset by pixel of the guide.

    `values` may be coarser than the guide: the model is then found at their size, of which `radius` is in
    pixels, and grown (He and Sun, "Fast Guided Filter", 2015).
    """
    coarse = cv2.resize(guide, values.shape[::-1], interpolation=cv2.INTER_AREA)
    window = (2 * radius + 1, 2 * radius + 1)
    mean_g, mean_v = cv2.blur(coarse, window), cv2.blur(values, window)
    variance = cv2.blur(coarse * coarse, window) - mean_g * mean_g
    covariance = cv2.blur(coarse * values, window) - mean_g * mean_v
    slope = covariance / (variance + epsilon)
    offset = mean_v - slope * mean_g
    size = guide.shape[::-1]
    return grow(cv2.blur(slope, window), size), grow(cv2.blur(offset, window), size)


def trust_in(ground: Map, frame: Planes, colours: GroundColours, layout: Layout) -> float:
    """Return how far what was taken for ground looks like one.

    In a close-up the lower part of the picture is a face, a car or a tree, and would be covered with snow.
    Ground has a colour of its own, seldom reaches into the upper third, and shows few strong edges: a
    meadow, gravel or cobbles seen from near are then mistrusted as well, and stay bare. What a camera moves
    ahead over, with a horizon before it, is ground even where the shadows of trees make it busy; and what is
    walked or driven on here and there is ground up to the upper edge, as a camera high up sees it.
    """
    where = ground > 0.5
    if not where.any():
        return 0.0
    soft = cv2.GaussianBlur(frame.y, (0, 0), 1.0)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(soft, cv2.CV_16S, *axis)) for axis in ((1, 0), (0, 1)))
    busy = float((cv2.add(across, down)[where] > 60).mean())
    high = float(where[: max(1, len(where) // 3)].mean())
    odds = np.clip(colours.odds, 0.02, 0.98)
    evidence = np.log(odds / (1 - odds))[_bins(frame)]
    own = float(evidence[where].mean() - evidence[~where].mean()) if not where.all() else 0.0
    busiest = 0.30 if layout.heading is None else 0.60
    terms = [(busiest - busy) / 0.12, (own - 0.8) / 1.2]
    if not layout.walked_on:
        terms.append((0.45 - high) / 0.25)
    return float(np.prod(np.clip(terms, 0, 1)))


def _bins(frame: Planes) -> NDArray[np.intp]:
    """Return the number of each pixel's bin of luma, Cb and Cr."""
    numbers = (
        cv2.LUT(cv2.blur(plane, (5, 5)), table) for plane, table in zip(frame.all, _BIN_NUMBERS, strict=True)
    )
    return reduce(cv2.add, numbers).astype(np.intp)


def _odds(bins: NDArray[np.intp], ground: Map, other: Map) -> NDArray[np.float32]:
    """Return the probability of ground for each colour, from weights of pixels that are and aren't.

    Ground has few colours, much of each. One never seen is a thing's that comes along.
    """
    shares = []
    for weight in (ground, other):
        exact = np.bincount(bins.ravel(), weight.ravel().astype(np.float64), math.prod(_BINS))
        # Neighbouring colours count as well.
        counts = cv2.GaussianBlur(exact.reshape(_BINS[0], -1).astype(np.float32), (1, 3), 0)
        near = np.stack([cv2.GaussianBlur(colours.reshape(_BINS[1:]), (3, 3), 0) for colours in counts])
        shares.append(near.ravel() / max(float(near.sum()), 1.0))
    yes, no = shares
    return ((yes + _RARE * _RARE_ODDS) / (yes + no + _RARE)).astype(np.float32)


def _by_place(ground: Map) -> Map:
    """Return how likely ground is at a place, by where it is seen: there and around."""
    width = ground.shape[1]
    around = cv2.blur(ground, (width // 10 | 1, width // 20 | 1))
    return np.clip(around, _LEAST_LIKELY, _MOST_LIKELY)


def _posterior(likelihood: Map, prior: Map) -> Map:
    yes, no = likelihood * prior, (1 - likelihood) * (1 - prior)
    belief: Map = yes / np.maximum(yes + no, 1e-6)
    return belief


def areas_of(frame: Planes) -> NDArray[np.intp]:
    """Return a label for each pixel: areas of one colour count as one thing; 0 is too small to tell.

    Mean-shift filtering (Comaniciu and Meer, IEEE PAMI 2002), then connected parts.
    """
    image = cv2.merge([frame.y, *(cv2.convertScaleAbs(p, alpha=3, beta=-256) for p in (frame.u, frame.v))])
    image = cv2.pyrMeanShiftFiltering(image, 6, 14, maxLevel=1, termcrit=_TWO_ROUNDS)
    return _large(_alike(image), 0.002 * frame.y.size)


def _alike(image: Plane) -> NDArray[Any]:
    """Return a label for each area of pixels that differ from a neighbour by 5 codes at most in each channel.

    Parts of a grid of pixels and, between two that are alike, links: a fifth of the time of flood fills.
    """
    height, width = image.shape[:2]
    channels = cv2.split(image)
    grid = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    grid[::2, ::2] = 1
    for links, after, before in (
        (grid[::2, 1::2], np.s_[:, 1:], np.s_[:, :-1]),
        (grid[1::2, ::2], np.s_[1:], np.s_[:-1]),
    ):
        if not links.size:  # of a single row or column
            continue
        apart = reduce(cv2.max, (cv2.absdiff(plane[after], plane[before]) for plane in channels))
        links[:] = cv2.threshold(apart, 5, 1, cv2.THRESH_BINARY_INV)[1]
    return cv2.connectedComponents(grid, connectivity=4)[1][::2, ::2]


def _large(labels: NDArray[Any], least: float) -> NDArray[np.intp]:
    """Return areas counted from 1 on, 0 for what has `least` pixels or fewer, or hides from a grid."""
    met = np.zeros(int(labels.max()) + 1, bool)
    met[labels[2::4, 2::4]] = True
    met &= np.bincount(labels.ravel(), minlength=met.size) > least
    counted: NDArray[np.intp] = np.where(met, np.cumsum(met), 0)[labels]
    return counted


def _by_segment(belief: Map, trodden: Map, segments: NDArray[np.intp]) -> Map:
    """Average the log-odds of `belief` over each segment, so that a thing is ground or not as a whole.

    Being stood on is evidence; each sighting on a segment counts, up to three.
    """
    belief = np.clip(belief, 0.01, 0.99)
    logit = np.log(belief / (1 - belief))
    flat, loose = segments.ravel(), segments == 0
    count = np.maximum(np.bincount(flat), 1)
    mean = np.bincount(flat, logit.ravel()) / count
    seen = np.flatnonzero(trodden)
    mean += np.minimum(np.bincount(flat[seen], trodden.ravel()[seen], mean.size), 3.0)
    joined = _likely(mean)[segments]
    joined[loose] = _likely(logit[loose].astype(np.float64))
    return joined


def _likely(logit: NDArray[np.float64]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-1.5 * logit))).astype(np.float32)


def _soft_ground(belief: Map, frame: Planes, closed: Map) -> Map:
    """Return a belief, of the frame's size or coarser, as the map of the ground that reaches down."""
    guide = frame.y * np.float32(1 / 255)
    belief = belief.astype(np.float32)
    smooth = np.clip(guided(guide, belief, radius=max(2, belief.shape[1] // 80), epsilon=4e-3), 0, 1)
    reached = _reaching_down(cv2.resize(smooth, belief.shape[::-1], interpolation=cv2.INTER_AREA))
    ground: Map = cv2.min(smooth, grow(reached, guide.shape[::-1]))
    ground -= np.float32(0.3)
    ground *= np.float32(1 / 0.4)
    np.clip(ground, 0, 1, out=ground)
    ground *= 1 - closed
    return ground


def spared(ground: Map, frame: Planes, *, still: bool = False) -> Map:
    """Return the ground without what stands out from it, far darker: a bar, a wheel, a person, a black car.

    Under a `still` camera, where it is done once, also without posts, be they bright or dark.
    """
    luma = frame.y * np.float32(1 / 255)
    around = luma_around(luma, ground)
    left = cv2.min((luma - around) * np.float32(1 / 0.10) + np.float32(2.6), _dark_beside(luma, around))
    np.clip(left, 0, 1, out=left)
    left = cv2.blur(left, (3, 3)) * ground
    if still:
        left *= 1 - _upright(luma)
    return left


def _dark_beside(luma: Map, around: Map) -> Map:
    """Return 0 where luma is two fifths of that around, as of a black car, 1 and more from seven tenths."""
    return (lighter_than(luma, around) - np.float32(0.4)) * np.float32(1 / 0.3)


def lighter_than(luma: Map, around: Map) -> Map:
    """Return how many times as light luma is as that of the ground around, both as codes by 255."""
    black = np.float32(0.06)
    return (luma - black) / np.maximum(around - black, np.float32(0.02))


def luma_around(luma: Map, ground: Map) -> Map:
    """Return the mean luma of the ground around each place; half the size is enough for it."""
    luma_of_ground, ground = halved(luma * ground), halved(ground)
    side = ground.shape[1] // 6 | 1
    weight = cv2.blur(ground, (side, side)) + 1e-3
    return grow(cv2.blur(luma_of_ground, (side, side)) / weight, luma.shape[::-1])


def _upright(luma: Map) -> Map:
    """Return where something thin stands: narrow along the row, and that over a tenth of the height.

    Top hat for what is brighter than what lies behind it, bottom hat for what is darker, along rows, opened
    along columns: a post may be brighter than the grass behind its foot and darker than the road above. A
    line on the ground that leads straight away from the camera passes for a post.
    """
    height = luma.shape[0]
    # Along what stands the texture of the ground averages out; a pixel to the sides, since posts lean.
    even, near = (cv2.blur(luma, (1, rows | 1)) for rows in (height // 16, height // 48))
    along = np.ones((height // 10 | 1, 1))
    tall = cv2.morphologyEx(cv2.dilate(_thin(even), np.ones((1, 3))), cv2.MORPH_OPEN, along)
    # Averaging reached beyond its ends, and the pixel beyond its sides.
    there = cv2.min(tall, _thin(near))
    stands: Map = np.clip((there - np.float32(0.015)) / np.float32(0.03), 0, 1)
    # A pixel to the sides again, over whose edge the ground's map would lap.
    return cv2.blur(stands, (3, 1))


def _thin(luma: Map) -> Map:
    """Return by how much narrow things differ from what is beside them in their row."""
    along = np.ones((1, luma.shape[1] // 40 | 1))
    bright, dark = (cv2.morphologyEx(luma, hat, along) for hat in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    return cv2.max(bright, dark)


def where_above(values: Plane | Map, limit: float) -> Plane | Map:
    """Return 255 where values exceed a limit, else 0, in their own type."""
    return cv2.threshold(values, limit, 255, cv2.THRESH_BINARY)[1]


def components(mask: Plane) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels and statistics of connected parts, found in a third of the default algorithm's time."""
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_BBDT)
    return labels, stats


def _reaching_down(belief: Map) -> Map:
    """Return the ground that is connected to the picture's lower third, softly."""
    labels, stats = components(where_above(belief, 0.5).astype(np.uint8))
    lowest = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] - 1
    reaches = (lowest >= len(belief) * 2 // 3).astype(np.float32)
    reaches[0] = 0  # what is no ground
    soft: Map = cv2.GaussianBlur(reaches[labels], (5, 5), 0)
    return soft
