"""What a stretch of a clip without cuts shows: camera still or moving, light, sky, ground, depth.

Everything is measured on frames shrunk to at most 320 pixels across, from nothing but pixels, so a scene
costs milliseconds. The limits of that are stated with each estimate; every one of them yields a smooth
map, so that a wrong guess makes an effect weaker or stronger somewhere, and never draws an edge.
"""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from threading import RLock
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.lights import Lights, find_lights
from skill_tools.workers.augmentation.odometry import Odometer, Pose
from skill_tools.workers.augmentation.planes import Levels, Map, Plane, Planes, grow, percentiles

T = TypeVar("T")

SMALL_WIDTH = 320
FAR_M = 400.0
FOLLOWED_EVERY_S = 0.062
"""How often what changes slowly is looked at under a moving camera: every other frame at 30 a second."""

_LOOKAHEAD_BYTES = 64 << 20
_LOOKAHEAD_FRAMES = 32
_SAMPLES = 12
_CUT_DIFFERENCE = 12.0
_CUT_CORRELATION = 0.4
_STILL_SHIFT = 0.6
_STILL_DIFFERENCE = 5.0
_EDGE_CODES = 10  # change of luma by pixel
_FEWEST_EDGES = 100  # pixels
_FOREGROUND_CODES = 18.0
_FOREGROUND_REACH = 3  # pixels around one that decide whether it is
_LEAST_OF_INSIDE, _PASSAGE = (
    np.maximum(np.rint(np.arange(256) * share), least * _FOREGROUND_CODES).astype(np.uint8)
    for share, least in ((0.55, 0.7), (0.15, 0.6))
)
_GROUND_MEMORY_S = 0.25
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
_USUAL_SPREAD = 150
_LEAST_SAMPLES = 6
_AROUND = np.ones((5, 5), np.uint8)
_TWO_ROUNDS = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 2, 1)  # a third one moves nothing visible


@dataclass(frozen=True)
class Light:
    """How the source is exposed and coloured; luma from 0 (black) to 1 (white)."""

    median: float
    dark: float
    """5th percentile."""
    light: float
    """95th percentile."""
    colourfulness: float
    """Mean distance of chroma from grey, 0 to about 0.3."""
    warmth: float
    """Mean Cr - Cb; above 0 is reddish yellow, below is blue."""
    cast: float = 0.0
    """The same of the lightest eighth, which is white as a rule: the colour of the light itself."""

    @property
    def flat(self) -> float:
        """How far the light comes from everywhere, 0 to 1: what is dark isn't much darker than the rest."""
        contrast = (self.light - self.dark) / max(self.light, 0.05)
        return float(np.clip((0.70 - contrast) / 0.10, 0, 1))

    @property
    def veil(self) -> float:
        """How far fog lies over the source already, 0 to 1: nothing is dark, and all is about as light."""
        lifted = np.clip((self.dark - 0.32) / 0.18, 0, 1)
        return float(lifted * np.clip((0.42 - (self.light - self.dark)) / 0.15, 0, 1))


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where ground and sky are and how far things are, as maps of the small size."""

    ground: Map
    """1 on ground that faces up and carries traffic, 0 elsewhere."""
    sky: Map
    horizon: float
    """Row of the horizon as a part of the height; negative when it lies above the picture."""
    depth_m: Map
    """Distance in metres, to scale only if the camera is at its assumed height."""
    trust: float = 1.0
    """How far the ground may be taken for one, 0 to 1: what covers it wholly is shown as far as that."""

    @property
    def camera_height_m(self) -> float:
        """Height of the camera above the ground, assumed from where the horizon is."""
        return camera_height_m(self.horizon)


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known about a stretch of a clip before its first frame is edited."""

    size: tuple[int, int]
    """Width and height of the clip in pixels."""
    levels: Levels
    still: bool
    """Whether the camera stands still."""
    background: Planes
    """The scene without what moves in it, at the small size."""
    plain_ground: Planes
    """The mean of the ground around each place, at the small size."""
    light: Light
    geometry: Geometry
    colours: GroundColours
    falling: bool = False
    """Whether something falls in the source already, rain or snow; seen under a still camera alone."""

    @property
    def focal(self) -> float:
        """Focal length in pixels of the small size, of a lens that sees 58° across its longer side."""
        columns: int = self.geometry.ground.shape[1]
        return 0.9 * max(self.size) / self.size[0] * columns

    @cached_property
    def lights(self) -> Lights:
        """Windows and lamps, looked for when first asked for; none under a moving camera."""
        if not self.still:
            return Lights()
        return find_lights(self.background, self.geometry.ground, self.geometry.sky, self.levels)


class View:
    """One frame as effects see it, with what the scene knows about it; found out only when it is asked for.

    Several variants of a frame share one view, and so do the threads that edit.
    """

    def __init__(self, time_s: float, index: int, planes: Planes, tracker: Tracker) -> None:
        """Show the frame of a number and a time, given as it is before the edit, or a small copy of it."""
        self.time_s, self.index = time_s, index
        self.scene = tracker.scene
        self._planes = planes
        self._tracker = tracker
        self._geometry: Geometry | None = None
        self._pose: Pose | None = None

    @cached_property
    def small(self) -> Planes:
        """The frame at the small size."""
        return shrunk(self._planes)

    @property
    def geometry(self) -> Geometry:
        """Where ground and sky are in this frame, and how far things are."""
        with self._tracker.lock:
            if self._geometry is None:
                self._geometry = self._tracker.geometry(self)
            return self._geometry

    @property
    def pose(self) -> Pose:
        """Where the camera has come to on the ground since the scene began; one object while it stands."""
        with self._tracker.lock:
            if self._pose is None:
                self._pose = self._tracker.pose(self)
            return self._pose

    @cached_property
    def foreground(self) -> Plane:
        """255 where something stands or moves before the background; nowhere under a moving camera.

        By difference from the background's median: what never moves counts as background, and what
        looks like the ground behind it is missed.
        """
        if not self.scene.still:
            return np.zeros(self.small.y.shape, np.uint8)
        return _foreground(self.small, self.scene.background, self.scene.plain_ground)

    def foreground_in(self, box: Box) -> Plane:
        """Return the foreground within a box of the small size, for the share of the time of all of it."""
        if "foreground" in vars(self) or not self.scene.still:
            return self.foreground[box.slices]
        wider = box.wider(_FOREGROUND_REACH, self.small.y.shape)
        parts = (
            Planes(*(plane[wider.slices] for plane in (whole.y, whole.u, whole.v)))
            for whole in (self.small, self.scene.background, self.scene.plain_ground)
        )
        top, left = box.top - wider.top, box.left - wider.left
        return _foreground(*parts)[top : top + box.down, left : left + box.across]


class Tracker:
    """Follows a scene from frame to frame: constant under a still camera, smoothed under a moving one."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lock = RLock()
        """Held while a frame is looked at: two threads ask, and each frame counts once."""
        self._geometry = scene.geometry
        self._ground: Map = scene.geometry.ground
        self._fresh: Map = scene.geometry.ground
        self._looked_s = self._seen_s = -np.inf
        self._origin: Pose = np.eye(2, 3)
        self._odometer: Odometer | None = None
        # Where no ground can be told nothing is laid on it, so there is no way to be counted.
        if not scene.still and scene.geometry.trust:
            self._odometer = Odometer(scene.focal, scene.geometry.camera_height_m, scene.geometry.horizon)

    def look(self, planes: Planes, index: int, time_s: float) -> View:
        """Return what there is to know about a frame, given as it is before the edit or at the small size."""
        return View(time_s, index, planes, self)

    def geometry(self, view: View) -> Geometry:
        """Return the geometry of the next frame; each frame is to be asked about once, in their order."""
        if not self.scene.still:
            self._geometry = self._followed(view.small, view.time_s)
        return self._geometry

    def pose(self, view: View) -> Pose:
        """Return the camera's place at the next frame, likewise."""
        return self._odometer.moved(view.small.y, view.geometry.ground) if self._odometer else self._origin

    def _followed(self, small: Planes, time_s: float) -> Geometry:
        """Return the geometry with what a frame shows.

        Colours and depth are looked at every other frame or so, ground follows in steps of every frame: what
        lags behind the picture now and then would flicker.
        """
        old = self._geometry
        small = self.scene.colours.contrast.stretched(small)
        looks = time_s - self._looked_s >= FOLLOWED_EVERY_S
        if looks:
            self._fresh = self.scene.colours.ground_in(small, old.sky)
        kept = _kept(time_s - self._seen_s)
        self._ground = cv2.addWeighted(self._ground, kept, self._fresh, 1 - kept, 0.0)
        depth_m = self._followed_depth(old, _kept(time_s - self._looked_s)) if looks else old.depth_m
        self._seen_s, self._looked_s = time_s, time_s if looks else self._looked_s
        return Geometry(spared(self._ground, small), old.sky, old.horizon, depth_m, old.trust)

    def _followed_depth(self, old: Geometry, kept: float) -> Map:
        """Return the depth, `kept` of it as it was; it has no detail that half the size would lose."""
        ground, sky = (halved(part) for part in (self._ground, old.sky))
        depth = grow(_depth(ground, sky, old.horizon, self.scene.size), old.depth_m.shape[::-1])
        return cv2.addWeighted(old.depth_m, kept, depth, 1 - kept, 0.0)


def _kept(since_s: float) -> float:
    """Return how much of what was known before remains after a time; of the first frame 37 %."""
    return float(np.exp(-min(since_s, _GROUND_MEMORY_S) / _GROUND_MEMORY_S))


def shrunk(planes: Planes) -> Planes:
    """Return a frame at the small size: at most 320 wide, all planes alike."""
    return planes.shrunk(*small_size(planes.size))


def camera_height_m(horizon: float) -> float:
    """Return an eye's height when the horizon is well within the picture, else that of an upper floor."""
    return 1.6 if horizon > 0.2 else 6.0


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the small size for a clip's size."""
    width, height = size
    factor = max(1.0, width / SMALL_WIDTH)
    return max(2, round(width / factor)), max(2, round(height / factor))


def look_ahead(width: int, height: int) -> int:
    """Return how many first frames of a scene are held back to understand it: 32, of 64 MB at most."""
    return max(3, min(_LOOKAHEAD_FRAMES, _LOOKAHEAD_BYTES // max(1, width * height * 3 // 2)))


def spread(ahead: Sequence[T]) -> Sequence[T]:
    """Return those of a scene's first frames by which it is understood, evenly spread."""
    return ahead[:: max(1, len(ahead) // _SAMPLES)]


def understand(samples: Sequence[Planes], size: tuple[int, int], levels: Levels) -> Scene:
    """Return what small frames of one stretch, in order of time, tell about it."""
    still = _is_still(samples)
    background = _median(samples) if still else samples[0]
    sky = _sky(background, levels)
    contrast = Contrast.of(background)
    clear = contrast.stretched(background)
    trodden = _trodden(samples, background, still=still)
    colours, ground = GroundColours.learned(clear, sky, trodden, contrast)
    horizon = _horizon(ground, sky)
    geometry = Geometry(
        spared(ground, clear, still=still),
        sky,
        horizon,
        _depth(ground, sky, horizon, size),
        _trust(ground, clear, colours),
    )
    return Scene(
        size,
        levels,
        still,
        background,
        _plain(background, geometry.ground),
        _light(background, levels),
        geometry,
        colours,
        _something_falls(samples, background) if still else False,
    )


def glance(planes: Planes) -> Plane:
    """Return some pixels of a frame's luma, by which most frames are told to follow the one before."""
    return cv2.resize(planes.y, small_size(planes.size), interpolation=cv2.INTER_NEAREST)


def differ(before: Plane, after: Plane) -> bool:
    """Tell whether two frames differ enough for a cut to lie between them; `is_cut` tells if one does."""
    return bool(cv2.norm(before, after, cv2.NORM_L1) >= _CUT_DIFFERENCE * before.size)


def is_cut(before: Planes, after: Planes) -> bool:
    """Tell whether a hard cut lies between two consecutive small frames.

    Thumbnails across a cut differ, and don't correlate either: motion leaves them correlated, a change
    of light leaves them alike but for gain and offset.
    """
    # Averaged pictures differ by no more than the pictures, and most follow each other closely.
    if not differ(before.y, after.y):
        return False
    thumbs = [
        cv2.resize(frame.y, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
        for frame in (before, after)
    ]
    if float(np.mean(np.abs(thumbs[0] - thumbs[1]))) < _CUT_DIFFERENCE:
        return False
    centred = [thumb - thumb.mean() for thumb in thumbs]
    norm = float(np.linalg.norm(centred[0]) * np.linalg.norm(centred[1]))
    return norm < 1.0 or float((centred[0] * centred[1]).sum()) / norm < _CUT_CORRELATION


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
class GroundColours:
    """Which colours are ground's in a scene, learned where ground most likely is.

    Pixels low in the picture are taken for ground and those high up for something else; their colour
    histograms then judge every pixel, and the split is repeated with that verdict, as in likelihood-based
    road detection (Alvarez and Lopez, "Road Detection Based on Illuminant Invariance", IEEE T-ITS 2011).
    Walls of the ground's own colour pass for ground; a floor unlike what is seen at the bottom doesn't.
    """

    odds: NDArray[np.float32]
    """Probability that a colour is ground's, by the number of its bin."""
    prior: Map
    """Probability of ground by place."""
    contrast: Contrast
    """What the frames were stretched by before their colours were taken."""

    @classmethod
    def learned(cls, frame: Planes, sky: Map, trodden: Map, contrast: Contrast) -> tuple[GroundColours, Map]:
        """Learn from one frame or background, small and stretched; return also where ground is in it.

        `trodden` counts how often something that moved was seen to stand on a pixel.
        """
        height, width = frame.y.shape
        rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        prior = (0.04 + 0.90 / (1 + np.exp(-(rows - 0.40) / 0.09))) * (1 - sky)
        bins = _bins(frame)
        low = np.repeat(rows > 0.6, width, axis=1)
        odds = _odds(bins, low, (rows < 0.25) * (1 - 0.5 * sky))
        belief = _by_segment(_posterior(odds[bins], prior), trodden, _segments(frame))
        ground = _soft_ground(belief, frame, sky)
        odds = _odds(bins, ground, 1 - ground)
        return cls(odds, np.clip(cv2.blur(ground, (31, 15)), 0.03, 0.97), contrast), ground

    def ground_in(self, frame: Planes, sky: Map) -> Map:
        """Return where ground is in another stretched frame of the scene, soft, following its edges.

        Colours are judged at half the small size, and the verdict follows the edges of all of it.
        """
        coarse = Planes(*(halved(plane) for plane in (frame.y, frame.u, frame.v)))
        return _soft_ground(_posterior(self.odds[_bins(coarse)], halved(self.prior)), frame, sky)


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


def halved(plane: Plane) -> Plane:
    """Return a small plane or map at half its size."""
    size = max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2)
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def _is_still(samples: Sequence[Planes]) -> bool:
    """Tell whether the camera stands: most pixels keep their value, and as a rule nothing shifts as a whole.

    Three quarters of the samples have to agree. Shifts are looked for where the edges don't tell already
    that there is none.
    """
    if len(samples) < 2:
        return True
    first, *others = (sample.y for sample in samples)
    differences = [cv2.absdiff(other, first) for other in others]
    changes = [percentiles(difference, [60])[0] for difference in differences]
    if np.percentile(changes, 75) >= _STILL_DIFFERENCE:
        return False
    edges = _edges(first)
    doubtful = [
        other for other, difference in zip(others, differences, strict=True) if not _stay(edges, difference)
    ]
    if len(doubtful) <= (len(others) - 1) / 4:
        return True
    shifts = [0.0] * (len(others) - len(doubtful)) + [_shift(first, other) for other in doubtful]
    return bool(np.percentile(shifts, 75) < _STILL_SHIFT)


def _edges(luma: Plane) -> list[tuple[NDArray[np.intp], Plane]]:
    """Return the pixels of edges across and down, and by what half the shift that tells would change each."""
    edges = []
    for axis in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(luma, cv2.CV_16S, *axis, scale=1 / 8)).ravel()
        places = np.flatnonzero(slope >= _EDGE_CODES)
        edges.append((places, (slope[places] * (_STILL_SHIFT / 2)).astype(np.uint8)))
    return edges


def _stay(edges: list[tuple[NDArray[np.intp], Plane]], difference: Plane) -> bool:
    """Tell whether most edges of either direction are where they were, by a picture's difference."""
    codes = difference.ravel()
    return all(
        places.size >= _FEWEST_EDGES and 2 * np.count_nonzero(codes[places] <= limits) > places.size
        for places, limits in edges
    )


def _shift(first: Plane, other: Plane) -> float:
    """Return how far a picture is shifted in pixels, across or down; 0 where that can't be told.

    By phase correlation (Kuglin and Hines, 1975), which now and then errs.
    """
    one, two = first.astype(np.float32), other.astype(np.float32)
    shift, response = cv2.phaseCorrelate(one, two, cv2.createHanningWindow(one.shape[::-1], cv2.CV_32F))
    return max(map(abs, shift)) if response > 0.1 else 0.0


def _median(samples: Sequence[Planes]) -> Planes:
    return Planes(
        *(_middle([getattr(sample, name) for sample in samples]) for name in ("y", "u", "v")),
    )


def _middle(planes: list[Plane]) -> Plane:
    """Return the median of each pixel over planes, of an even number the lower mean of the two in the middle.

    A sorting network of minima and maxima (Batcher, "Sorting Networks and their Applications", 1968),
    which takes whole planes at once and so a tenth of the time of sorting each pixel's values.
    """
    ranked = list(planes)
    for low, high in _comparators(len(ranked)):
        ranked[low], ranked[high] = cv2.min(ranked[low], ranked[high]), cv2.max(ranked[low], ranked[high])
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[len(ranked) // 2]
    return cv2.addWeighted(lower, 0.5, upper, 0.5, 0) if lower is not upper else lower


def _comparators(count: int) -> Iterator[tuple[int, int]]:
    """Yield the exchanges of Batcher's odd-even merge sort of `count` values (Knuth, TAOCP 3, 5.2.2 M)."""
    top = 1 << max(0, (count - 1).bit_length() - 1)
    block = top
    while block:
        step, offset, distance = top, 0, block
        while True:
            yield from (
                (index, index + distance) for index in range(count - distance) if index & block == offset
            )
            if step == block:
                break
            distance, step, offset = step - block, step >> 1, block
        block >>= 1


def _light(frame: Planes, levels: Levels) -> Light:
    cb = (frame.u.astype(np.float32) - 128) / levels.chroma_span
    cr = (frame.v.astype(np.float32) - 128) / levels.chroma_span
    dark, median, light = (levels.unit(code) for code in percentiles(frame.y, (5, 50, 95)))
    lightest = frame.y >= percentiles(frame.y, (88,))[0]
    return Light(
        median,
        dark,
        light,
        float(np.hypot(cb, cr).mean()),
        float((cr - cb).mean()),
        float((cr - cb)[lightest].mean()),
    )


def _something_falls(samples: Sequence[Planes], background: Planes) -> bool:
    """Tell whether rain or snow falls, seen from a still camera.

    A drop or flake brightens what is behind it for a moment, while noise goes either way (Garg and Nayar,
    "Detection and Removal of Rain from Videos", CVPR 2004): where nothing large moves, many pixels are for
    once lighter than their median, and few are darker.
    """
    if len(samples) < _LEAST_SAMPLES:
        return False
    lighter = darker = looked_at = 0
    for sample in samples:
        change = cv2.dilate(cv2.blur(cv2.absdiff(sample.y, background.y), (9, 9)), np.ones((9, 9)))
        moved = _above(change, 6)
        above, below = cv2.subtract(sample.y, background.y), cv2.subtract(background.y, sample.y)
        lighter += cv2.countNonZero(_above(cv2.subtract(above, moved), 5))
        darker += cv2.countNonZero(_above(cv2.subtract(below, moved), 5))
        looked_at += moved.size - cv2.countNonZero(moved)
    return lighter > 0.0025 * looked_at and lighter > 6 * darker


def _sky(frame: Planes, levels: Levels) -> Map:
    """Return where the sky is: bright, smooth, grey to blue, connected to the upper edge.

    It must stay above the lower quarter, or it is a bright object that fills the view. Dark, night and
    sunset skies aren't recognised and are then treated like anything else that is far away.
    """
    luma = (frame.y.astype(np.float32) - levels.black) / levels.luma_span
    cb = (frame.u.astype(np.float32) - 128) / levels.chroma_span
    cr = (frame.v.astype(np.float32) - 128) / levels.chroma_span
    gradient = cv2.blur(
        np.abs(cv2.Sobel(luma, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(luma, cv2.CV_32F, 0, 1)), (5, 5)
    )
    bright = luma > max(0.45, levels.unit(percentiles(frame.y, (55,))[0]))
    candidate: Plane = (bright & (gradient < 0.22) & (cr < 0.03) & (cb > -0.04)).astype(np.uint8)
    candidate = cv2.morphologyEx(candidate, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    labels, stats = _components(candidate)
    height, width = labels.shape
    kept = np.zeros(labels.shape, np.float32)
    for label in np.unique(labels[:2]):
        _, _, across, down, area = stats[label]
        if label and area > 0.008 * labels.size and down < 0.75 * height and across > 0.06 * width:
            kept[labels == label] = 1.0
    if not kept.any():
        return kept
    return np.clip(guided(luma, cv2.dilate(kept, np.ones((3, 3))), radius=4, epsilon=1e-3), 0, 1)


def _trust(ground: Map, frame: Planes, colours: GroundColours) -> float:
    """Return how far what was taken for ground looks like one.

    In a close-up the lower part of the picture is a face, a car or a tree, and would be covered with snow.
    Ground has a colour of its own, seldom reaches into the upper third, and shows few strong edges: a
    meadow, gravel or cobbles seen from near are then mistrusted as well, and stay bare.
    """
    where = ground > 0.5
    if not where.any():
        return 0.0
    soft = cv2.GaussianBlur(frame.y, (0, 0), 1.0)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(soft, cv2.CV_16S, *axis)) for axis in ((1, 0), (0, 1)))
    busy = float((cv2.add(across, down)[where] > 60).mean())
    high = float(where[: len(where) // 3].mean())
    odds = np.clip(colours.odds, 0.02, 0.98)
    evidence = np.log(odds / (1 - odds))[_bins(frame)]
    own = float(evidence[where].mean() - evidence[~where].mean()) if not where.all() else 0.0
    terms = ((0.30 - busy) / 0.12, (0.45 - high) / 0.25, (own - 0.8) / 1.2)
    return float(np.prod(np.clip(terms, 0, 1)))


def _horizon(ground: Map, sky: Map) -> float:
    """Return the horizon's row: under the sky where one is seen, else above where the ground ends.

    Without a sky it is a guess: a camera that sees ground up to its upper edge looks down from high up.
    """
    height = ground.shape[0]
    covered = (ground > 0.5).mean(axis=1)
    rows = np.flatnonzero(covered > 0.08)
    top = float(rows[0]) / height if rows.size else 0.5
    if (sky > 0.5).any():
        lowest = height - np.argmax((sky > 0.5)[::-1], axis=0)
        under_sky = float(np.percentile(lowest[(sky > 0.5).any(axis=0)], 80)) / height
        return float(min(under_sky + 0.03, max(top, 0.02)))
    return float(top - 0.12 - max(0.0, 0.25 - top))


def _depth(ground: Map, sky: Map, horizon: float, size: tuple[int, int]) -> Map:
    """Return metres: on flat ground by the row, above it by where a thing stands on the ground.

    Z = f·H / (row - horizon), a level camera's view of a plane (Hartley and Zisserman, §8); f for a 58°
    lens, H 1.6 m when the horizon is in the picture and 6 m when the camera looks down.
    """
    height, width = ground.shape
    focal = 0.9 * max(size) / size[1] * height
    rows = np.arange(height, dtype=np.float32)[:, None]
    below = np.maximum(rows - horizon * height, height * 0.012)
    by_row = np.minimum(focal * camera_height_m(horizon) / below, FAR_M)
    is_ground = ground > 0.5
    contact = np.where(is_ground, rows, height - 1)[::-1]
    contact = np.minimum.accumulate(contact, axis=0)[::-1]
    stands_on_ground = np.maximum.accumulate(is_ground[::-1], axis=0)[::-1]
    depth = np.where(stands_on_ground, by_row[contact.astype(np.intp), 0], by_row)
    depth = depth * (1 - sky) + FAR_M * sky
    smooth: Map = cv2.blur(depth.astype(np.float32), (max(3, width // 40) | 1, 3))
    return smooth


def _foreground(small: Planes, background: Planes, plain_ground: Planes) -> Plane:
    # What stood long enough to be in the background leaves a ghost there when it goes, but what then
    # shows is like the ground around it.
    difference = cv2.min(_distance(small, background), _distance(small, plain_ground))
    soft = cv2.blur(difference, (3, 3))
    codes: Plane = np.zeros(soft.shape, np.uint8)
    places = np.flatnonzero(soft > _LEAST_OF_INSIDE[0])
    if places.size:
        # Blurring spreads a strong difference beyond the thing: its edge is where half of it is left.
        inside = cv2.dilate(soft, _AROUND).ravel()[places][None]
        passed = cv2.subtract(soft.ravel()[places][None], cv2.LUT(inside, _LEAST_OF_INSIDE))
        codes.ravel()[places] = cv2.divide(passed, cv2.LUT(inside, _PASSAGE), scale=255)[0]
    return codes


def _distance(one: Planes, other: Planes) -> Plane:
    """Return how far each pixel's colour lies from another's, in codes; all from 255 on alike."""
    colour = cv2.add(cv2.absdiff(one.u, other.u), cv2.absdiff(one.v, other.v))
    return cv2.add(cv2.add(cv2.absdiff(one.y, other.y), colour), colour)


def _plain(frame: Planes, ground: Map) -> Planes:
    """Return the mean of the ground around each pixel, without what differs from it."""
    side = frame.y.shape[1] // 8 | 1
    weight = cv2.blur(ground, (side, side)) + 1e-3
    return Planes(
        *(
            np.clip(cv2.blur(plane * ground, (side, side)) / weight, 0, 255).astype(np.uint8)
            for plane in (frame.y, frame.u, frame.v)
        )
    )


def _bins(frame: Planes) -> NDArray[np.intp]:
    """Return the number of each pixel's bin of luma, Cb and Cr."""
    numbers = (
        cv2.LUT(cv2.blur(plane, (5, 5)), table)
        for plane, table in zip((frame.y, frame.u, frame.v), _BIN_NUMBERS, strict=True)
    )
    return reduce(cv2.add, numbers).astype(np.intp)


def _odds(bins: NDArray[np.intp], ground: Map, other: Map) -> NDArray[np.float32]:
    """Return the probability of ground for each colour, from weights of pixels that are and aren't."""
    counts = []
    for weight in (ground, other):
        exact = np.bincount(bins.ravel(), weight.ravel().astype(np.float64), math.prod(_BINS))
        # Neighbouring lumas count a little as well.
        count = cv2.GaussianBlur(exact.reshape(_BINS[0], -1).astype(np.float32), (1, 3), 0).ravel()
        counts.append(count / max(float(count.sum()), 1.0))
    yes, no = counts
    return ((yes + 3e-4) / (yes + no + 6e-4)).astype(np.float32)


def _posterior(likelihood: Map, prior: Map) -> Map:
    yes, no = likelihood * prior, (1 - likelihood) * (1 - prior)
    belief: Map = yes / np.maximum(yes + no, 1e-6)
    return belief


def _segments(frame: Planes) -> NDArray[np.intp]:
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


def _trodden(samples: Sequence[Planes], background: Planes, *, still: bool) -> Map:
    """Return how often something that moved stood on each pixel, under a still camera."""
    votes = np.zeros(background.y.shape, np.float32)
    if not still:
        return votes
    for sample in samples:
        moved = _above(cv2.absdiff(sample.y, background.y), _FOREGROUND_CODES)
        moved = cv2.morphologyEx(moved, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        stats = _components(moved)[1]
        for left, top, across, down, area in stats.tolist()[1:]:
            if area > 0.0008 * votes.size and down > across / 2:
                foot = min(top + down + 1, len(votes) - 1)
                votes[foot, left + across // 2] += 1
    return votes


def _soft_ground(belief: Map, frame: Planes, sky: Map) -> Map:
    """Return a belief, of the frame's size or coarser, as the map of the ground that reaches down."""
    guide = frame.y * np.float32(1 / 255)
    belief = belief.astype(np.float32)
    smooth = np.clip(guided(guide, belief, radius=max(2, belief.shape[1] // 80), epsilon=4e-3), 0, 1)
    reached = _reaching_down(cv2.resize(smooth, belief.shape[::-1], interpolation=cv2.INTER_AREA))
    ground: Map = cv2.min(smooth, grow(reached, guide.shape[::-1]))
    ground -= np.float32(0.3)
    ground *= np.float32(1 / 0.4)
    np.clip(ground, 0, 1, out=ground)
    ground *= 1 - sky
    return ground


def spared(ground: Map, frame: Planes, *, still: bool = False) -> Map:
    """Return the ground without what stands out from it: a bar, a wheel, a person.

    Under a `still` camera, where it is done once, also without posts, be they bright or dark.
    """
    luma = frame.y * np.float32(1 / 255)
    darker = _around(luma, ground)
    darker -= luma
    left: Map = darker * np.float32(-1 / 0.10)
    left += np.float32(2.6)
    np.clip(left, 0, 1, out=left)
    left *= ground
    if still:
        for hat, apart in ((cv2.MORPH_TOPHAT, -darker), (cv2.MORPH_BLACKHAT, darker)):
            left = left * (1 - _upright(luma, hat) * np.clip((apart - 0.03) / 0.05, 0, 1))
    return left


def _around(luma: Map, ground: Map) -> Map:
    """Return the mean luma of the ground around each place; half the size is enough for it."""
    luma_of_ground, ground = halved(luma * ground), halved(ground)
    side = ground.shape[1] // 6 | 1
    weight = cv2.blur(ground, (side, side)) + 1e-3
    return grow(cv2.blur(luma_of_ground, (side, side)) / weight, luma.shape[::-1])


def _upright(luma: Map, hat: int) -> Map:
    """Return where something thin stands: narrow along the row, and that over a tenth of the height.

    Top hat for what is bright, bottom hat for what is dark, along rows, opened along columns. A line on the
    ground that leads straight away from the camera passes for a post.
    """
    height, width = luma.shape
    narrow = cv2.blur(cv2.morphologyEx(luma, hat, np.ones((1, width // 24 | 1))), (1, 5))
    tall = cv2.morphologyEx(narrow, cv2.MORPH_OPEN, np.ones((height // 10 | 1, 1)))
    # A pixel to the sides, whose edge the ground's map would lap over.
    stands: Map = cv2.blur(np.clip((tall - 0.02) / 0.04, 0, 1), (3, 1))
    return stands


def _above(values: Plane | Map, limit: float) -> Plane | Map:
    """Return 255 where values exceed a limit, else 0, in their own type."""
    return cv2.threshold(values, limit, 255, cv2.THRESH_BINARY)[1]


def _components(mask: Plane) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return labels and statistics of connected parts, found in a third of the default algorithm's time."""
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(mask, 8, cv2.CV_32S, cv2.CCL_BBDT)
    return labels, stats


def _reaching_down(belief: Map) -> Map:
    """Return the ground that is connected to the picture's lower third, softly."""
    labels, stats = _components(_above(belief, 0.5).astype(np.uint8))
    lowest = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] - 1
    reaches = (lowest >= len(belief) * 2 // 3).astype(np.float32)
    reaches[0] = 0  # what is no ground
    soft: Map = cv2.GaussianBlur(reaches[labels], (5, 5), 0)
    return soft
