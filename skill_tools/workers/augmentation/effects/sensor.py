"""What a camera adds in the dark."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skill_tools.workers.augmentation.planes import Plane, Planes, rounded
from skill_tools.workers.augmentation.scene import View
from skill_tools.workers.augmentation.vocabulary import seed_for

_LINGERS = 6  # frames
_BLOCK = 32  # pixels; whole macroblocks, so that an encoder can leave them as they were
_PLACES = 64


class SensorNoise:
    """Read noise: zero-mean, the same amount in every frame, another from frame to frame.

    In the dark a camera averages over time, so that noise lingers for some frames and changes more slowly
    than it leaves the sensor: here a sixth of the picture, in blocks, gets new noise in each frame. An
    encoder shows that for fewer bits than noise that is new everywhere, of which it keeps half; and where
    two pictures differ in their noise, the mean of both, which B frames are made of, is rounded up, so that
    they are the lighter the less of it lasts.
    """

    def __init__(self, codes: float, rng: np.random.Generator) -> None:
        """Add noise of a standard deviation of `codes`."""
        self._codes = codes
        self._seed = int(rng.integers(1 << 31))
        self._index: int | None = None

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        planes = planes.own()
        if self._index is None:
            self._make(planes.y.shape)
        begun = self._index == view.index - 1
        for index in range(view.index if begun else view.index - _LINGERS + 1, view.index + 1):
            self._renew(index)
        self._index = view.index
        for change, noise in zip((cv2.add, cv2.subtract), self._now, strict=True):
            change(planes.y, noise, dst=planes.y)
        return planes

    def _make(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(self._seed)
        height, width = shape
        drawn = rng.integers(0, 256, (height + _PLACES, width + _PLACES), dtype=np.uint8)
        # A blur makes its neighbours alike, as demosaicing does, and of a uniform distribution a bell.
        noise = cv2.GaussianBlur(drawn.astype(np.float32), (3, 3), 0.6)
        noise = (noise - cv2.mean(noise)[0]) * np.float32(self._codes / max(float(noise.std()), 1e-6))
        self._fields = rounded(noise), rounded(-noise)
        turns = rng.integers(0, _LINGERS, (-(-height // _BLOCK), -(-width // _BLOCK)), dtype=np.uint8)
        turns = np.repeat(np.repeat(turns, _BLOCK, axis=0), _BLOCK, axis=1)[:height, :width]
        self._masks: list[NDArray[np.bool_]] = [turns == turn for turn in range(_LINGERS)]
        self._now: tuple[Plane, Plane] = (np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    def _renew(self, index: int) -> None:
        """Give the blocks whose turn it is at a frame their noise for some frames."""
        height, width = self._now[0].shape
        place = seed_for(self._seed, index)
        top, left = place % _PLACES, (place >> 8) % _PLACES
        mask = self._masks[index % _LINGERS].view(np.uint8)
        for field, now in zip(self._fields, self._now, strict=True):
            cv2.copyTo(field[top : top + height, left : left + width], mask, now)
