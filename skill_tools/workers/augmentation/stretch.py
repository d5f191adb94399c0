"""A few frames out of the middle of a clip, with the scene around them understood as a whole run does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
from av.video.frame import VideoFrame

from skill_tools.errors import ClipError
from skill_tools.media.opening import EXPECTED_CLIP
from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import (
    Scene,
    Tracker,
    View,
    is_cut,
    look_ahead,
    shrunk,
    spread,
    understand,
)

_REACH_PIXELS = 150_000_000
"""As much as is decoded from a clip's start, for less than a second's wait, to be exact."""
_DEFAULT_AT_S = 2.0


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames between two cuts, each with what is known of it, and the scene that they show."""

    scene: Scene
    frames: Sequence[tuple[Planes, View]]


@dataclass(frozen=True, eq=False)
class Stretch:
    """What was asked for of a clip; nearly always one shot."""

    shots: Sequence[Shot]
    exact: bool
    """Whether the scene is understood from the very frames by which a run understands it."""

    @property
    def at_s(self) -> float:
        """When the first frame is shown, in seconds from the clip's start."""
        return self.shots[0].frames[0][1].time_s


@dataclass(frozen=True, eq=False)
class _Glimpse:
    small: Planes
    index: int
    time_s: float
    planes: Planes | None


def stretch_of(
    info: ClipInfo,
    levels: Levels,
    *,
    at_s: float | None,
    length_s: float,
    size: tuple[int, int],
    step: int = 1,
) -> Stretch:
    """Return every `step`th frame of `length_s` seconds from `at_s` on, at least one, scaled to `size`.

    A moment that is soon reached from the clip's start is understood from there, exactly as a run does.
    For a later one the clip is entered shortly before it, and the scene is understood from the frames
    around it: close, but not the same where a scene changes slowly. `at_s` defaults to the clip's start, of
    one frame alone to two seconds, or the middle of a shorter clip; a moment behind the end means the last
    frame.

    Raises:
        ClipError: the clip can't be decoded.
    """
    frame_s = float(1 / info.fps)
    last_s = max(0.0, info.duration_s - 1.5 * frame_s)
    usual_s = 0.0 if length_s else min(_DEFAULT_AT_S, info.duration_s / 2)
    at_s = min(last_s, usual_s if at_s is None else at_s)
    depth = look_ahead(info.width, info.height)
    begin_s = at_s - depth * frame_s
    exact = at_s * info.fps * info.width * info.height <= _REACH_PIXELS
    reader = _Reader(levels, size, at_s, at_s + length_s, frame_s, step)
    shots: list[Shot] = []
    pending: list[_Glimpse] = []
    for number, frame in enumerate(read_frames(info.path, start_s=0.0 if exact else begin_s)):
        if reader.done and len(pending) >= depth:
            break
        complete = reader.done
        glimpse = reader.glimpse(frame, number if exact else None)
        if pending and is_cut(pending[-1].small, glimpse.small):
            shots += _shot(pending, info, levels, depth, size)
            pending = []
            if complete:
                break
        pending.append(glimpse)
    shots += _shot(pending, info, levels, depth, size)
    if not shots:
        raise ClipError(
            f"{info.path} shows nothing at {at_s:.2f} s.",
            expected=EXPECTED_CLIP,
            remedy="Choose another moment.",
            code="input.clip_undecodable",
        )
    return Stretch(shots, exact)


class _Reader:
    """Keeps of each frame what is needed: of those to show all, of the others a small copy."""

    def __init__(
        self, levels: Levels, size: tuple[int, int], at_s: float, end_s: float, frame_s: float, step: int
    ) -> None:
        self._levels, self._size, self._step = levels, size, step
        self._at_s, self._end_s, self._frame_s = at_s, end_s, frame_s
        self._shown = 0
        self.done = False

    def glimpse(self, frame: VideoFrame, index: int | None) -> _Glimpse:
        """Return what is kept of a frame, whose number follows from its time when it isn't known."""
        planes = Planes.of(in_planes(frame, self._levels))
        time_s = float((frame.pts or 0) * (frame.time_base or Fraction(0)))
        wanted = time_s + self._frame_s > self._at_s + 1e-6 and not self.done
        kept = resized(planes, self._size) if wanted and self._shown % self._step == 0 else None
        self._shown += wanted
        self.done = self._shown > 0 and time_s + self._frame_s > self._end_s - 1e-6
        number = round(time_s / self._frame_s) if index is None else index
        return _Glimpse(shrunk(planes), number, time_s, kept)


def _shot(
    glimpses: Sequence[_Glimpse], info: ClipInfo, levels: Levels, depth: int, size: tuple[int, int]
) -> list[Shot]:
    """Return the shot that the glimpses are of, unless none of its frames is to be shown."""
    if not any(one.planes for one in glimpses):
        return []
    ahead = [one.small for one in glimpses[:depth]]
    scene = replace(understand(spread(ahead), (info.width, info.height), levels), size=size)
    tracker = Tracker(scene)
    looked = [(one.planes, tracker.look(one.small, one.index, one.time_s)) for one in glimpses]
    return [Shot(scene, [(planes, view) for planes, view in looked if planes is not None])]


def resized(planes: Planes, size: tuple[int, int]) -> Planes:
    """Return the planes, in memory of their own, scaled to (width, height) by averaging."""
    if planes.size == size:
        return planes.copy()
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    return Planes(
        cv2.resize(planes.y, size, interpolation=cv2.INTER_AREA),
        *(cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (planes.u, planes.v)),
    )
