"""Fades from and to black, and first frames that a camera hasn't exposed yet: what is added fades as well.

Effects are fitted to the light of their scene. A frame that is darker than that as a whole is edited as if
it had the scene's light, and darkened again afterwards: else fog would shine over a black picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Levels, Plane, Planes, Table, rounded

Lights = NDArray[np.float64]
"""Codes of luma of a frame's dark, middling and light places."""

TELLING = 0.25
"""Of a scene's light; what has less shows more noise than things."""

_SHARES = (0.25, 0.5, 0.75, 0.97)
_FEWEST_CODES = 10.0  # above black, of which a share can be told
_BEGINS, _ALL = 0.9, 0.4
"""Of the scene's light; below both a frame is as far faded as it seems. What passes takes less light away."""
_BLACK = 0.04  # of the scene's light; what has less shows nothing
_MOST_LIFTED = 0.05  # likewise; what has less is left a little darker than the scene
_SETTLED = 3  # of a scene's first frames, the last third shows its light
_LIGHTEST = 0.999  # share of a frame that is darker
_CODES = np.arange(256.0)


@dataclass(frozen=True)
class Fade:
    """How far a frame is faded."""

    share: float
    """Of its scene's light, 0 to 1."""
    levels: Levels

    @property
    def is_plain(self) -> bool:
        """Whether nobody would take it for a change of light in the scene."""
        return self.share <= _ALL

    def lifted(self, planes: Planes) -> Planes:
        """Return what the frame would show in the light of its scene, in planes that nobody may edit."""
        lifted = Planes(*(np.empty_like(plane) for plane in planes.all))
        self._scale(planes, 1 / max(self.share, _MOST_LIFTED), lifted)
        for plane in lifted.all:
            plane.flags.writeable = False
        return lifted

    def faded(self, planes: Planes, source: Planes) -> Planes:
        """Return edited planes in a new frame, faded as their source is; a copy of that where it is black."""
        if not self.share:
            return Planes.of(source.in_new_frame())
        faded = Planes.of(VideoFrame(*planes.size, "yuv420p"))
        self._scale(planes, self.share, faded)
        return faded

    def _scale(self, planes: Planes, factor: float, out: Planes) -> None:
        luma, chroma = (
            Table(rounded(zero + factor * (_CODES - zero))) for zero in (self.levels.black, 128.0)
        )
        luma.of(planes.y, out.y)
        chroma.of(planes.u, out.u)
        chroma.of(planes.v, out.v)


class UsualLight:
    """The light of a scene, by which its faded frames are told.

    It is that of dark, middling and light places at the end of the frames that are looked at first. A frame
    is faded where all of them have lost light, from a tenth on, and by all that they have lost from three
    fifths on; but not where something is as light as before. It is then edited in the scene's light, and
    darkened again. A fade to white and one shot that fades over into another are not told, and where the
    lights of a room go out, or a camera hasn't found its exposure yet, it is taken for a fade as well.
    """

    def __init__(self, first: Sequence[Lights], levels: Levels) -> None:
        """Take it from the lights of the scene's first frames, in their order."""
        self._levels = levels
        settled = first[-max(1, len(first) // _SETTLED) :]
        self._codes = np.mean([_above_black(lights, levels) for lights in settled], axis=0)

    def share_of(self, lights: Lights) -> float:
        """Return how much of the scene's light a frame of such lights has, at most 1.

        Of dark and light places, those count that have lost least: what passes hides the others. Of a scene
        in which nothing is to be seen a frame has nothing.
        """
        told = self._codes >= _FEWEST_CODES
        shares = _above_black(lights, self._levels)[told] / self._codes[told]
        return min(1.0, float(shares.max(initial=0.0)))

    def fade_of(self, lights: Lights, planes: Planes) -> Fade | None:
        """Return how far a frame of such lights is to be faded, None if it isn't.

        Not where something is as light as ever: in the shade of a wood the sky shines, at night lamps do.
        """
        share = self.share_of(lights)
        if share < _BEGINS:
            share = max(share, self._levels.unit(_ranked(planes.y[::8, ::8], (_LIGHTEST,))[0]))
        if share >= _BEGINS:
            return None
        share = max(share, 1 - (_BEGINS - share) * (1 - _ALL) / (_BEGINS - _ALL))
        return Fade(share if share >= _BLACK else 0.0, self._levels)

    def shown(self, lights: Lights, planes: Planes) -> Planes | None:
        """Return a faded frame, of any size, in all the scene's light; None if too little is left of it."""
        share = self.share_of(lights)
        return Fade(share, self._levels).lifted(planes) if share >= TELLING else None


def lights_of(glance: Plane) -> Lights:
    """Return the lights of a frame that has such a thumbnail."""
    return _ranked(glance, _SHARES)


def is_dark(lights: Lights, levels: Levels) -> bool:
    """Tell by a frame's lights whether nothing is to be seen."""
    return bool(_above_black(lights, levels)[-1] < _FEWEST_CODES)


def _above_black(lights: Lights, levels: Levels) -> Lights:
    return np.maximum(lights - levels.black, 0.0)


def _ranked(plane: Plane, shares: Sequence[float]) -> Lights:
    """Return the codes below which shares of a plane lie."""
    places = [int(share * (plane.size - 1)) for share in shares]
    return np.partition(plane, places, axis=None)[places].astype(np.float64)
