"""A clip's frames as they were decoded, parted where it cuts and where a standing camera moves off."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import chain
from pathlib import Path

from av.video.frame import VideoFrame

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.background import Standpoint
from skill_tools.workers.augmentation.bars import picture_in
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.planes import Planes, copied, stamped
from skill_tools.workers.augmentation.scene import apart, glance, is_cut, may_part, shrunk, spread, stride

_NEW = 0.3
"""Weight of a frame's difference in what is usual."""


class Reading:
    """A clip's frames, in their order; the first is decoded when this is made, which takes some 50 ms."""

    def __init__(self, path: Path, *, threads: int) -> None:
        """Open the clip, to be decoded by so many threads.

        Raises:
            ClipError: it can't be opened, or no frame of it can be decoded.
        """
        self.skipped: list[str] = []
        """A line for each broken packet met so far."""
        frames = read_frames(path, skipped=self.skipped, threads=threads)
        self.frames = chain([next(frames)], frames)
        """To be gone through once."""


class Decoded:
    """A frame as it was decoded, which nobody may edit."""

    def __init__(self, frame: VideoFrame, index: int, previous: Decoded | None) -> None:
        """Take the frame of a number, a `yuv420p` one, that comes after another."""
        self.frame, self.index = frame, index
        self.planes = Planes.of(frame, editable=False)
        self.picture: Box | None = None
        """Where in the frame they are, if there are bars around them."""
        self._glance = glance(self.planes)
        self._usual = math.inf  # until two frames have been seen
        self.starts_scene = previous is None or self._is_cut_from(previous)

    @property
    def time_s(self) -> float:
        """When the frame is shown."""
        return float((self.frame.pts or 0) * (self.frame.time_base or 0))

    @cached_property
    def small(self) -> Planes:
        """A small copy of it."""
        return shrunk(self.planes)

    def shrink(self) -> Planes:
        """Return the small copy, made now if it wasn't yet."""
        return self.small

    def within(self, picture: Box | None) -> Decoded:
        """Return the part of the frame that is in a box, or itself where there is none."""
        if picture is None:
            return self
        part = copy(self)
        part.picture, part.planes = picture, self.planes.within(picture)
        vars(part).pop("small", None)
        return part

    def framed(self, planes: Planes) -> VideoFrame:
        """Return a `yuv420p` frame of edited planes, with the stamps and the bars of this one."""
        if self.picture is None:
            return stamped(planes.framed(), self.frame)
        whole = copied(self.frame)
        Planes.of(whole).put(planes, self.picture)
        return whole

    def _is_cut_from(self, previous: Decoded) -> bool:
        """Tell whether a cut lies before this frame, and keep in mind how far frames usually differ."""
        difference, usual = apart(previous._glance, self._glance), previous._usual
        cut = may_part(difference) and is_cut(previous.small, self.small, usual)
        if cut:
            self._usual = usual
        else:
            self._usual = difference if math.isinf(usual) else usual + _NEW * (difference - usual)
        return cut


def scenes(items: Iterator[Decoded], depth: int, within_s: float = math.inf) -> Iterator[SceneFrames]:
    """Yield each scene's frames; whoever doesn't go through all of a scene gets no other.

    The first `depth` of them, or those `within_s`, are held back for as long as it takes to understand the
    scene.
    """
    every = stride(depth)
    pending = next(items, None)
    while pending is not None:
        ahead = [pending]
        pending = None
        for item in items:
            if item.starts_scene:
                pending = item
                break
            ahead.append(item)
            if (len(ahead) - 1) % every == 0:  # a sample as a rule, and the next is still being decoded
                item.shrink()
            if len(ahead) == depth or item.time_s - ahead[0].time_s >= within_s:
                break
        frames = SceneFrames(ahead, items, pending)
        yield frames
        pending = frames.next_scene


class SceneFrames:
    """A scene's frames, to be gone through once: those looked at already, then the rest up to its end."""

    def __init__(self, ahead: list[Decoded], items: Iterator[Decoded], next_scene: Decoded | None) -> None:
        self._ahead, self._items, self.next_scene = ahead, items, next_scene
        self._standpoint: Standpoint | None = None
        self._picture: Box | None = None

    def samples(self) -> Sequence[Planes]:
        """Return the small copies of frames by which the scene is understood."""
        return [item.small for item in spread(self._ahead)]

    def leave_bars(self) -> Box | None:
        """Go on with the picture between black bars alone, where there are such; return where it is."""
        self._picture = picture_in([item.planes for item in spread(self._ahead)])
        self._ahead = [item.within(self._picture) for item in self._ahead]
        return self._picture

    def end_with(self, standpoint: Standpoint | None) -> None:
        """Let the scene end, if there is no cut before, when the camera has left a place where it stands."""
        self._standpoint = standpoint

    def __iter__(self) -> Iterator[Decoded]:
        """Yield the frames in their order."""
        # Frames go out of the list as they are handed on, so that they aren't held twice as long.
        ahead = self._ahead
        ahead.reverse()
        while ahead:
            yield ahead.pop()
        if self.next_scene is not None:
            return
        for item in self._items:
            part = item.within(self._picture)
            if not item.starts_scene and self._standpoint:
                item.starts_scene = self._standpoint.is_left(part.shrink, item.time_s)
            if item.starts_scene:
                self.next_scene = item
                return
            yield part
