"""A few frames out of the middle of a clip, with the scene around them understood as a whole run does it."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import cv2
from av.video.frame import VideoFrame

from skill_tools.errors import ClipError
from skill_tools.media.opening import EXPECTED_CLIP
from skill_tools.media.probe import ClipInfo
from skill_tools.media.video import NO_HASTE, Haste, read_frames
from skill_tools.workers.augmentation.background import Standpoint
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.decoded import Decoded, scenes
from skill_tools.workers.augmentation.effects import Stage, edited
from skill_tools.workers.augmentation.fading import Fade
from skill_tools.workers.augmentation.planes import Levels, Plane, Planes, halved, in_planes
from skill_tools.workers.augmentation.scene import Scene, View, look_ahead, understand
from skill_tools.workers.augmentation.threads import Pump
from skill_tools.workers.augmentation.tracking import Tracker

_REACH_PIXELS = 150_000_000
"""As much as is decoded from a clip's start, for less than a second's wait, to be exact."""
_USUAL_S = 2.0
_USUAL_PIXELS = 60_000_000
_ON_TIME = 1.1  # frames come a little sooner or later, as far as their clip's clock counts
_AHEAD = 4  # decoded while others are edited


class Seen(NamedTuple):
    """A frame to be edited, in the size asked for, and what is known of it."""

    planes: Planes
    view: View
    fade: Fade | None


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames between two cuts, each with what is known of it, and the scene that they show."""

    scene: Scene
    picture: Box | None
    """What the scene shows of the frames, if there are bars around it."""
    frames: Iterator[Seen]
    """To be gone through once, before the next shot is asked for."""

    def edited(self, seen: Seen, stages: Sequence[Stage]) -> Planes:
        """Return a frame edited, in planes of its own."""
        whole = seen.planes.copy()
        part = whole if self.picture is None else whole.within(self.picture)
        done = edited(seen.fade.lifted(part) if seen.fade else part, seen.view, stages)
        done = seen.fade.faded(done, part) if seen.fade else done
        if self.picture is None:
            return done
        whole.put(done, self.picture)
        return whole


class Stretch:
    """Every `step`th frame of `length_s` seconds from `at_s` on, at least one, scaled to `size`.

    A moment that is soon reached from the clip's start is understood from there, exactly as a run does.
    For a later one the clip is entered shortly before it, and the scene is understood from the frames
    around it: close, but not the same where a scene changes slowly. `at_s` defaults to the clip's start; of
    one frame alone to two seconds, or sooner in a clip that is short or so large that they take long to
    decode. A moment behind the end means the last frame.
    """

    def __init__(  # noqa: PLR0913 - all but the clip by name
        self,
        info: ClipInfo,
        *,
        at_s: float | None,
        length_s: float,
        size: tuple[int, int],
        step: int = 1,
        begun: Pump[VideoFrame] | None = None,
        haste: Haste = NO_HASTE,
    ) -> None:
        """Say what is to be shown; nothing is decoded yet.

        Decoding from the clip's start, if it has `begun` already, is gone on with where it serves; else it
        is decoded in such `haste`.
        """
        self._info, self._size, self._begun, self._haste = info, size, begun, haste
        self.levels = Levels.of(info)
        frame_s = float(1 / info.fps)
        pixels_a_s = float(info.fps * info.width * info.height)
        usual_s = 0.0 if length_s else min(_USUAL_S, info.duration_s / 2, _USUAL_PIXELS / pixels_a_s)
        first_s = info.starts_s
        last_s = first_s + max(0.0, info.duration_s - 1.5 * frame_s)
        self._at_s = min(last_s, first_s + usual_s if at_s is None else max(first_s, at_s))
        self._depth = look_ahead((info.width, info.height), info.fps)
        self._ahead_s = float(self._depth / info.fps)
        self._window = _Window(self._at_s, self._at_s + length_s, frame_s, step)
        self._from_start = (self._at_s - first_s) * pixels_a_s <= _REACH_PIXELS
        self.exact = self._from_start and not haste.thinned
        """Whether the scene is understood from the very frames by which a run understands it."""
        self._shown = False
        self.begins_s = self._at_s
        """When the first frame is shown, by the clip's clock: exact once there is a shot."""

    def shots(self) -> Generator[Shot]:
        """Yield what is to be shown, nearly always one shot; frames are decoded meanwhile.

        Raises:
            ClipError: the clip can't be decoded.
        """
        with ExitStack() as stack:
            if self._begun:  # not to be decoded any longer while what is shown is drawn
                stack.enter_context(closing(self._begun))
            decoded = stack.enter_context(closing(Pump(self._decoded(), ahead=_AHEAD, name="decode")))
            yield from self._shots(decoded.items())
        if not self._shown:
            raise ClipError(
                f"{self._info.path} shows nothing at {self._at_s:.2f} s.",
                expected=EXPECTED_CLIP,
                remedy="Choose another moment.",
                code="input.clip_undecodable",
            )

    def _shots(self, decoded: Iterator[Decoded]) -> Iterator[Shot]:
        within_s = self._ahead_s if self._haste.thinned else math.inf
        for frames in scenes(decoded, self._depth, self.levels, within_s):
            between = frames.leave_out()
            whole = between.size if between else (self._info.width, self._info.height)
            scene = understand(frames.samples(), whole, self.levels)
            frames.end_with(Standpoint(scene.background) if scene.still else None)
            wanted = self._window.seen_of(iter(frames))
            first = next(wanted, None)
            if first is not None:
                if not self._shown:
                    self._shown, self.begins_s = True, first.time_s
                picture = between and self._scaled(between)
                scene = replace(scene, size=picture.size if picture else self._size)
                tracker = Tracker(scene, from_start=first.starts_scene)
                looked_at = self._looked_at(chain([first], wanted), tracker)
                with closing(looked_at):  # before what it takes from, which else it would wait for
                    yield Shot(scene, picture, looked_at)
            if self._window.done:
                return

    def _looked_at(self, items: Iterator[Decoded], tracker: Tracker) -> Generator[Seen]:
        """Yield frames as they are to be edited, scaled by another thread meanwhile."""

        def scaled(item: Decoded) -> Seen:
            view = tracker.look(item.planes, item.index, item.time_s, item.shrink)
            view.shrink()
            return Seen(resized(Planes.of(item.frame, editable=False), self._size), view, item.fade)

        with closing(Pump(map(scaled, items), ahead=_AHEAD, name="scale")) as looked_at:
            yield from looked_at.items()

    def _scaled(self, box: Box) -> Box:
        return box.scaled_by(self._size[0] / self._info.width, self._size[1] / self._info.height)

    def _decoded(self) -> Iterator[Decoded]:
        frame_s = float(1 / self._info.fps)
        previous: Decoded | None = None
        for number, frame in enumerate(self._frames()):
            item = Decoded(in_planes(frame, self.levels), number, previous)
            if not self.exact:  # not all frames before this one were counted
                item.index = round((item.time_s - self._info.starts_s) / frame_s)
            yield item
            previous = item

    def _frames(self) -> Iterator[VideoFrame]:
        if not self._from_start:
            begins_s = self._at_s - self._ahead_s
            return read_frames(self._info.path, start_s=begins_s, haste=self._haste)
        begun, self._begun = self._begun, None
        return begun.items() if begun else read_frames(self._info.path, haste=self._haste)


class _Window:
    """Picks of frames those to be shown: as far apart as a clip's at `step` by `step`."""

    def __init__(self, at_s: float, end_s: float, frame_s: float, step: int) -> None:
        self._at_s, self._end_s, self._frame_s, self._step = at_s, end_s, frame_s, step
        self._due_s = at_s
        self.done = False
        """Whether there is no more to be shown, however many frames follow."""

    def seen_of(self, frames: Iterator[Decoded]) -> Iterator[Decoded]:
        """Yield those of a scene's frames that are to be shown."""
        for item in frames:
            over_s = item.time_s + self._frame_s
            if over_s <= self._at_s + 1e-6:
                continue
            self.done = over_s > self._end_s - 1e-6
            if over_s > self._due_s + 1e-6:
                self._due_s = over_s + _ON_TIME * (self._step - 1) * self._frame_s
                yield item
            if self.done:
                return


def resized(planes: Planes, size: tuple[int, int]) -> Planes:
    """Return the planes, in memory of their own, scaled to (width, height) by averaging."""
    if planes.size == size:
        return planes.copy()
    half = (size[0] + 1) // 2, (size[1] + 1) // 2
    return Planes(_averaged(planes.y, *size), *(_averaged(plane, *half) for plane in (planes.u, planes.v)))


def _averaged(plane: Plane, width: int, height: int) -> Plane:
    # By halves as long as they go into it, which takes half the time.
    while not (plane.shape[1] % (2 * width) or plane.shape[0] % (2 * height)):
        plane = halved(plane)
    return cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
