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
from skill_tools.workers.augmentation.fading import TELLING, Fade, Lights, UsualLight, is_dark, lights_of
from skill_tools.workers.augmentation.planes import Levels, Planes, copied, stamped
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
        self.picture: Box | None = None
        """What counts of the frame, if there are bars around it."""
        self.fade: Fade | None = None
        """How far it is faded, if it is."""
        self._seen = Planes.of(frame, editable=False)
        self._glance = glance(self._seen)
        self._usual = math.inf  # until two frames have been seen
        self.starts_scene = previous is None or self._is_cut_from(previous)

    @property
    def time_s(self) -> float:
        """When the frame is shown."""
        return float((self.frame.pts or 0) * (self.frame.time_base or 0))

    @cached_property
    def lights(self) -> Lights:
        """How light its dark, middling and light places are."""
        return lights_of(self._glance)

    @cached_property
    def planes(self) -> Planes:
        """What is to be edited: what counts of the frame, in the light of its scene."""
        return self.fade.lifted(self._seen) if self.fade else self._seen

    @cached_property
    def small(self) -> Planes:
        """A small copy of it."""
        small = shrunk(self._seen)
        return self.fade.lifted(small) if self.fade else small

    def shrink(self) -> Planes:
        """Return the small copy, made now if it wasn't yet."""
        return self.small

    def within(self, picture: Box | None) -> Decoded:
        """Return the frame as one of which that box alone counts, or itself where there is none."""
        if picture is None:
            return self
        return self._with(picture=picture, _seen=self._seen.within(picture))

    def in_light(self, usual: UsualLight) -> Decoded:
        """Return the frame as one of a scene with such light, which is itself unless it is faded."""
        fade = usual.fade_of(self.lights, self._seen)
        return self._with(fade=fade) if fade else self

    def lit_by(self, usual: UsualLight) -> Planes | None:
        """Return a small copy in such light, None if too little of it is left."""
        return usual.shown(self.lights, shrunk(self._seen))

    def framed(self, planes: Planes) -> VideoFrame:
        """Return a `yuv420p` frame of edited planes, with the stamps, the fade and the bars of this one."""
        planes = self.fade.faded(planes, self._seen) if self.fade else planes
        if self.picture is None:
            return stamped(planes.framed(), self.frame)
        whole = copied(self.frame)
        Planes.of(whole).put(planes, self.picture)
        return whole

    def _with(self, **changed: object) -> Decoded:
        """Return a copy with some attributes changed, which forgets what follows from them."""
        other = copy(self)
        for name in ("planes", "small"):
            vars(other).pop(name, None)
        vars(other).update(changed)
        return other

    def _is_cut_from(self, previous: Decoded) -> bool:
        """Tell whether a cut lies before this frame, and keep in mind how far frames usually differ."""
        difference, usual = apart(previous._glance, self._glance), previous._usual
        cut = may_part(difference) and is_cut(previous.small, self.small, usual)
        if cut:
            self._usual = usual
        else:
            self._usual = difference if math.isinf(usual) else usual + _NEW * (difference - usual)
        return cut


def scenes(
    items: Iterator[Decoded], depth: int, levels: Levels, within_s: float = math.inf
) -> Iterator[SceneFrames]:
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
        frames = SceneFrames(ahead, items, pending, levels)
        yield frames
        pending = frames.next_scene


class SceneFrames:
    """A scene's frames, to be gone through once: those looked at already, then the rest up to its end."""

    def __init__(
        self, ahead: list[Decoded], items: Iterator[Decoded], next_scene: Decoded | None, levels: Levels
    ) -> None:
        self._ahead, self._items, self.next_scene = ahead, items, next_scene
        self._standpoint: Standpoint | None = None
        self._picture: Box | None = None
        self._is_dark = is_dark(ahead[-1].lights, levels)
        self._levels, self._light = levels, UsualLight([item.lights for item in ahead], levels)

    def samples(self) -> Sequence[Planes]:
        """Return the small copies of frames by which the scene is understood: as they are once it is lit."""
        samples = spread(self._ahead)
        if not samples[0].fade:
            return [item.small for item in samples]
        lit = [item.lit_by(self._light) for item in samples]
        return [sample for sample in lit if sample is not None] or [item.small for item in samples]

    def leave_out(self) -> Box | None:
        """Go on without black bars and without fades; return where between bars the picture is, if so."""
        self._picture = picture_in([item.planes for item in spread(self._ahead)])
        self._ahead = [self._part(item) for item in self._ahead]
        return self._picture

    def _part(self, item: Decoded) -> Decoded:
        return item.within(self._picture).in_light(self._light)

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
            part = self._part(item)
            if not item.starts_scene:
                item.starts_scene = self._comes_from_black(item) or self._is_elsewhere(part)
            if item.starts_scene:
                self.next_scene = item
                return
            yield part

    def _comes_from_black(self, item: Decoded) -> bool:
        """Tell whether something is to be seen again, where before nothing was: it may be anything."""
        was_dark, self._is_dark = self._is_dark, is_dark(item.lights, self._levels)
        return was_dark and not self._is_dark

    def _is_elsewhere(self, part: Decoded) -> bool:
        """Tell whether the camera has left where it stood, as far as that is to be seen."""
        seen = not part.fade or part.fade.share >= TELLING
        return seen and self._standpoint is not None and self._standpoint.is_left(part.shrink, part.time_s)
