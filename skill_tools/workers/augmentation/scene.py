"""What a stretch of a clip without cuts shows: camera still or moving, light, sky, ground, depth.

Everything is measured on frames shrunk to at most 320 pixels across, from nothing but pixels, so a scene
costs milliseconds. The limits of that are stated with each estimate; every one of them yields a smooth
map, so that a wrong guess makes an effect weaker or stronger somewhere, and never draws an edge.
"""

# ruff: noqa: PLR2004 - the figures of an estimate stand where they are used

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from skill_tools.media.video import frames_in
from skill_tools.workers.augmentation.background import is_still, median
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.distance import camera_height_m, focal_px, horizon_of, metres_to
from skill_tools.workers.augmentation.ground import (
    Contrast,
    GroundColours,
    Layout,
    areas_of,
    components,
    guided,
    spared,
    trust_in,
    where_above,
)
from skill_tools.workers.augmentation.heading import Heading, heading_of
from skill_tools.workers.augmentation.lights import Lights, find_lights
from skill_tools.workers.augmentation.odometry import Pose
from skill_tools.workers.augmentation.planes import (
    Levels,
    Map,
    Plane,
    Planes,
    mean_luma,
    numbers_in,
    percentiles,
)

if TYPE_CHECKING:
    from skill_tools.workers.augmentation.tracking import Tracker

T = TypeVar("T")

SMALL_WIDTH = 320

_LOOKAHEAD_S, _LOOKAHEAD_BYTES = 1.05, 256 << 20
_FEWEST_AHEAD, _MOST_AHEAD = 32, 64
_SAMPLES = 13
_GLANCED_ROWS = 90
_CUT_DIFFERENCE, _CUT_CORRELATION = 12.0, 0.4
_SUDDEN_DIFFERENCE, _SUDDEN_CORRELATION = 20.0, 0.78
_SUDDEN = 3.3  # times the usual difference
_SAME_EDGES = 0.65  # correlation
_FOREGROUND_CODES = 18.0
_FOREGROUND_REACH = 3  # pixels around one that decide whether it is
_LEAST_OF_INSIDE, _PASSAGE = (
    np.maximum(np.rint(np.arange(256) * share), least * _FOREGROUND_CODES).astype(np.uint8)
    for share, least in ((0.55, 0.7), (0.15, 0.6))
)
_MIXED = 1  # samples
_LEAST_SAMPLES = 6
_QUIET_CODES = 0.7  # from sample to sample, two frames as a rule; an encoder's flicker is up to as much
_AROUND = np.ones((5, 5), np.uint8)


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
    heading: Heading | None = None
    """What is known of a camera that moves ahead."""
    quiet: bool = False
    """Whether the picture gets hardly lighter or darker, so that a flicker would be seen."""

    @property
    def focal(self) -> float:
        """Focal length in pixels of the small size, of a lens that sees 58° across its longer side."""
        return small_focal(self.size, self.geometry.ground.shape[1])

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

    def __init__(
        self, time_s: float, index: int, planes: Planes, shrink: Callable[[], Planes], tracker: Tracker
    ) -> None:
        """Show a frame of a number and a time, given as it is before the edit; `shrink` makes it small."""
        self.time_s, self.index = time_s, index
        self.scene = tracker.scene
        self._planes, self._shrink = planes, shrink
        self._tracker = tracker
        self._geometry: Geometry | None = None
        self._distant: Geometry | None = None
        self._pose: Pose | None = None

    @cached_property
    def small(self) -> Planes:
        """The frame at the small size."""
        return self._shrink()

    @cached_property
    def mean_luma(self) -> float:
        """The frame's mean luma code."""
        return mean_luma(self._planes)

    def shrink(self) -> None:
        """Find out now what has to be read from the whole frame."""
        _ = self.small, self.mean_luma

    @property
    def geometry(self) -> Geometry:
        """Where ground and sky are in this frame, and how far things are."""
        with self._tracker.lock:
            if self._geometry is None:
                self._geometry = self._tracker.geometry(self)
            return self._geometry

    @property
    def distant(self) -> Geometry:
        """Sky and distances as in `geometry`, for a part of the time; its ground isn't followed."""
        with self._tracker.lock:
            if self._distant is None:
                self._distant = self._tracker.distant(self)
            return self._distant

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
            Planes(*(plane[wider.slices] for plane in whole.all))
            for whole in (self.small, self.scene.background, self.scene.plain_ground)
        )
        top, left = box.top - wider.top, box.left - wider.left
        return _foreground(*parts)[top : top + box.down, left : left + box.across]


def shrunk(planes: Planes) -> Planes:
    """Return a frame at the small size: at most 320 wide, all planes alike."""
    return planes.shrunk(*small_size(planes.size))


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the small size for a clip's size."""
    width, height = size
    factor = max(1.0, width / SMALL_WIDTH)
    return max(2, round(width / factor)), max(2, round(height / factor))


def small_focal(size: tuple[int, int], columns: int) -> float:
    """Return the focal length in pixels of small frames so many columns wide, for a clip's size."""
    return focal_px(size) / size[0] * columns


def look_ahead(size: tuple[int, int], fps: Fraction) -> int:
    """Return how many first frames of a scene are held back to understand it.

    Those of a second, 32 to 64, or 256 MB of them: a vehicle that drives through a third of a second, 20
    frames of 4K, is told from one that stands; through 5 frames it is not.
    """
    wanted = min(_MOST_AHEAD, max(_FEWEST_AHEAD, math.ceil(_LOOKAHEAD_S * fps)))
    return max(3, min(wanted, frames_in(_LOOKAHEAD_BYTES, *size)))


def spread(ahead: Sequence[T]) -> Sequence[T]:
    """Return those of a scene's first frames by which it is understood, evenly spread."""
    return ahead[:: stride(len(ahead))]


def stride(frames: int) -> int:
    """Return how many frames on the next one is by which so many are understood."""
    return max(1, round(frames / _SAMPLES))


def understand(samples: Sequence[Planes], size: tuple[int, int], levels: Levels) -> Scene:
    """Return what small frames of one stretch, in order of time, tell about it."""
    still = is_still(samples)
    # What was cut by hand may begin with a mixture of both shots: one frame, which no median leaves over.
    background = median(samples) if still else samples[: _MIXED + 1][-1]
    contrast = Contrast.of(background)
    clear = contrast.stretched(background)
    with ThreadPoolExecutor(1) as beside:
        areas = beside.submit(areas_of, clear)  # half of all the time
        sky = sky_in(background, levels)
        trodden = _trodden(samples, background, still=still)
        falling = still and _something_falls(samples, background)
        light = _light(background, levels)
        heading = None if still else _heading(samples, size)
    layout = Layout(sky, trodden, areas.result(), heading=heading)
    colours, ground = GroundColours.learned(clear, layout, contrast)
    horizon = horizon_of(ground, sky, heading)
    bare = spared(ground, clear, still=still)
    geometry = Geometry(
        bare,
        sky,
        horizon,
        metres_to(bare, sky, horizon, camera_height_m(horizon), size, ahead=heading is not None),
        trust_in(ground, clear, colours, layout),
    )
    return Scene(
        size,
        levels,
        still,
        background,
        _plain(background, geometry.ground),
        light,
        geometry,
        colours.coarse(),
        falling,
        heading,
        quiet=still or _is_quiet(samples),
    )


def _is_quiet(samples: Sequence[Planes]) -> bool:
    lumas = [mean_luma(sample) for sample in samples]
    return len(lumas) < 2 or float(np.abs(np.diff(lumas)).mean()) < _QUIET_CODES


def _heading(samples: Sequence[Planes], size: tuple[int, int]) -> Heading | None:
    lumas = [sample.y for sample in samples]
    return heading_of(lumas, small_focal(size, lumas[0].shape[1]))


def glance(planes: Planes) -> Plane:
    """Return a thumbnail of some of a frame's luma, by which most are told to follow the one before."""
    step = max(1, min(planes.size) // _GLANCED_ROWS)
    return _thumbnail(planes.y[::step, ::step])


def apart(before: Plane, after: Plane) -> float:
    """Return by how many codes two glances differ, a pixel."""
    return cv2.norm(before, after, cv2.NORM_L1) / before.size


def may_part(difference: float) -> bool:
    """Tell by how far glances differ whether a cut may lie between two frames; `is_cut` tells if one does."""
    # Thumbnails of all pixels may differ a little more.
    return difference >= 0.75 * _CUT_DIFFERENCE


def is_cut(before: Planes, after: Planes, usual: float = math.inf) -> bool:
    """Tell whether a hard cut lies between two consecutive small frames.

    Thumbnails across a cut differ, and as a rule don't correlate either: motion leaves them correlated, a
    change of light leaves them alike but for gain and offset. Shots of one place may correlate, sky above and
    ground below; their cut is told by how sudden the change is against the `usual` one, the mean difference
    of the glances before (PySceneDetect's AdaptiveDetector likewise): fast motion and a passer-by build up.
    Sun that strikes the lens lights a part of the picture alone; the edges then stay where they are, as they
    don't across a cut (Zabih, Miller and Mai, "A Feature-Based Algorithm for Detecting and Classifying Scene
    Breaks", 1995).
    """
    thumbs = [_thumbnail(frame.y) for frame in (before, after)]
    difference = apart(*thumbs)
    if difference < _CUT_DIFFERENCE:
        return False
    sudden = difference >= max(_SUDDEN_DIFFERENCE, _SUDDEN * usual)
    if _correlation(*thumbs) >= (_SUDDEN_CORRELATION if sudden else _CUT_CORRELATION):
        return False
    return _correlation(_edges_at(before), _edges_at(after)) < _SAME_EDGES


def _correlation(one: Plane | Map, other: Plane | Map) -> float:
    """Return how far two thumbnails are alike but for gain and offset; 0 where either is even."""
    centred = [thumb.astype(np.float32) - thumb.mean() for thumb in (one, other)]
    norm = float(np.linalg.norm(centred[0]) * np.linalg.norm(centred[1]))
    return float((centred[0] * centred[1]).sum()) / norm if norm >= 1.0 else 0.0


def _edges_at(frame: Planes) -> Map:
    """Return a thumbnail of how strong edges are."""
    soft = cv2.GaussianBlur(frame.y, (0, 0), 2.0)
    across, down = (cv2.Sobel(soft, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return _thumbnail(cv2.magnitude(across, down))


def _thumbnail(luma: Plane | Map) -> Plane:
    return cv2.resize(luma, (32, 18), interpolation=cv2.INTER_AREA)


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
        moved = where_above(change, 6)
        above, below = cv2.subtract(sample.y, background.y), cv2.subtract(background.y, sample.y)
        lighter += cv2.countNonZero(where_above(cv2.subtract(above, moved), 5))
        darker += cv2.countNonZero(where_above(cv2.subtract(below, moved), 5))
        looked_at += moved.size - cv2.countNonZero(moved)
    return lighter > 0.0025 * looked_at and lighter > 6 * darker


def sky_in(frame: Planes, levels: Levels) -> Map:
    """Return where the sky is: smooth, bright and grey to blue or as blue as air, at the upper edge.

    Over snow or sunlit walls a clear sky is dark, but has the colour of scattered light: .4 to 1.15 of Cb
    is missing from Cr, as hardly any paint has it. It must stay above the lower quarter, or it is an object
    that fills the view. Night and sunset skies aren't recognised and are then treated like anything else that
    is far away.
    """
    luma = (frame.y.astype(np.float32) - levels.black) / levels.luma_span
    cb = (frame.u.astype(np.float32) - 128) / levels.chroma_span
    cr = (frame.v.astype(np.float32) - 128) / levels.chroma_span
    gradient = cv2.blur(
        np.abs(cv2.Sobel(luma, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(luma, cv2.CV_32F, 0, 1)), (5, 5)
    )
    bright = luma > max(0.45, levels.unit(percentiles(frame.y, (55,))[0]))
    pale = bright & (cr < 0.03) & (cb > -0.04)
    blue = (luma > 0.22) & (cb > 0.035) & (cb < 0.20) & (cr < -0.40 * cb) & (cr > -1.15 * cb)
    candidate: Plane = ((pale | blue) & (gradient < 0.22)).astype(np.uint8)
    candidate = cv2.morphologyEx(candidate, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    height, width = candidate.shape
    kept = np.zeros(candidate.shape, np.float32)
    if not candidate[:2].any():
        return kept
    labels, stats = components(candidate)
    for label in numbers_in(labels[:2]):
        _, _, across, down, area = stats[label]
        if area > 0.008 * labels.size and down < 0.75 * height and across > 0.06 * width:
            kept[labels == label] = 1.0
    if not kept.any():
        return kept
    return np.clip(guided(luma, cv2.dilate(kept, np.ones((3, 3))), radius=4, epsilon=1e-3), 0, 1)


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
            for plane in frame.all
        )
    )


def _trodden(samples: Sequence[Planes], background: Planes, *, still: bool) -> Map:
    """Return how often something that moved stood on each pixel, under a still camera."""
    votes = np.zeros(background.y.shape, np.float32)
    if not still:
        return votes
    for sample in samples:
        moved = where_above(cv2.absdiff(sample.y, background.y), _FOREGROUND_CODES)
        moved = cv2.morphologyEx(moved, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        stats = components(moved)[1]
        for left, top, across, down, area in stats.tolist()[1:]:
            if area > 0.0008 * votes.size and down > across / 2:
                foot = min(top + down + 1, len(votes) - 1)
                votes[foot, left + across // 2] += 1
    return votes
