"""A clip's frames as they were decoded, parted where it cuts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from av.video.frame import VideoFrame

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.planes import Planes
from skill_tools.workers.augmentation.scene import apart, glance, is_cut, may_part, shrunk, spread

_NEW = 0.3
"""Weight of a frame's difference in what is usual."""


class Reading:
    """A clip's frames, in their order; the first is decoded when this is made, which takes some 50 ms."""

    def __init__(self, path: Path, *, threads: int, rough: bool = False) -> None:
        """Open the clip, to be decoded by so many threads, or as many as FFmpeg likes when 0; `rough` or not.

        Raises:
            ClipError: it can't be opened, or no frame of it can be decoded.
        """
        self.skipped: list[str] = []
        """A line for each broken packet met so far."""
        frames = read_frames(path, skipped=self.skipped, threads=threads, rough=rough)
        self.frames = chain([next(frames)], frames)
        """To be gone through once."""


class Decoded:
    """A frame as it was decoded, which nobody may edit."""

    def __init__(self, frame: VideoFrame, index: int, previous: Decoded | None) -> None:
        """Take the frame of a number, a `yuv420p` one, that comes after another."""
        self.frame, self.index = frame, index
        self.planes = Planes.of(frame, editable=False)
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

    def _is_cut_from(self, previous: Decoded) -> bool:
        """Tell whether a cut lies before this frame, and keep in mind how far frames usually differ."""
        difference, usual = apart(previous._glance, self._glance), previous._usual
        cut = may_part(difference) and is_cut(previous.small, self.small, usual)
        if cut:
            self._usual = usual
        else:
            self._usual = difference if math.isinf(usual) else usual + _NEW * (difference - usual)
        return cut


def scenes(items: Iterator[Decoded], depth: int) -> Iterator[tuple[Iterator[Decoded], Sequence[Planes]]]:
    """Yield each scene's frames, together with the small copies of them by which it is understood.

    These are of the first `depth` frames, which are held back for as long as it takes. Whoever doesn't go
    through all frames of a scene gets no other.
    """
    pending = next(items, None)
    while pending is not None:
        ahead = [pending]
        pending = None
        for item in items:
            if item.starts_scene:
                pending = item
                break
            ahead.append(item)
            if len(ahead) % 2:  # as a rule every other one is a sample, and the next is still being decoded
                item.shrink()
            if len(ahead) == depth:
                break
        samples = [item.small for item in spread(ahead)]
        following = _Following(ahead, items, pending)
        yield iter(following), samples
        pending = following.next_scene


class _Following:
    """A scene's frames: those looked at already, then the rest up to the next cut."""

    def __init__(self, ahead: list[Decoded], items: Iterator[Decoded], next_scene: Decoded | None) -> None:
        self._ahead, self._items, self.next_scene = ahead, items, next_scene

    def __iter__(self) -> Iterator[Decoded]:
        # Frames go out of the list as they are handed on, so that they aren't held twice as long.
        ahead = self._ahead
        ahead.reverse()
        while ahead:
            yield ahead.pop()
        if self.next_scene is not None:
            return
        for item in self._items:
            if item.starts_scene:
                self.next_scene = item
                return
            yield item
