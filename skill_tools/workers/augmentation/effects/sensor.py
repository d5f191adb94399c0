"""What a camera adds in the dark."""

from __future__ import annotations

import math

import cv2
import numpy as np

from skill_tools.workers.augmentation.planes import Plane, Planes
from skill_tools.workers.augmentation.scene import View
from skill_tools.workers.augmentation.vocabulary import seed_for

_SPREAD_OF_FOUR = math.sqrt(4 * (256**2 - 1) / 12)  # of the sum of four bytes, all values alike likely


class SensorNoise:
    """Read noise: zero-mean, the same amount in every frame, never the same twice in a row."""

    def __init__(self, codes: float, rng: np.random.Generator) -> None:
        """Add noise of a standard deviation of `codes`."""
        self._codes = codes
        self._seed = int(rng.integers(1 << 31))
        self._field: np.ndarray | None = None

    def apply(self, planes: Planes, view: View) -> None:
        """Edit the planes of one frame in place."""
        height, width = planes.y.shape
        if self._field is None:
            self._field = self._drawn(height + 64, width + 64)
        place = seed_for(self._seed, view.index)
        top, left = place % 64, (place >> 8) % 64
        cv2.addWeighted(
            planes.y, 1.0, self._field[top : top + height, left : left + width], 1.0, -128, dst=planes.y
        )

    def _drawn(self, height: int, width: int) -> Plane:
        """Return noise around 128, as soft as a lens leaves it.

        Each value is the sum of four bytes: a bell curve but for its ends, in a third of the usual time.
        """
        count = height * width
        words = np.random.default_rng(self._seed).integers(0, 1 << 64, (count + 1) // 2, np.uint64)
        parts = words.view(np.uint8)[: 4 * count].reshape(4, height, width)
        noise = cv2.GaussianBlur(parts.sum(axis=0, dtype=np.uint16).astype(np.float32), (3, 3), 0.6)
        gain = 1.4 * self._codes / _SPREAD_OF_FOUR
        field: Plane = cv2.convertScaleAbs(noise, alpha=gain, beta=128 - 4 * 127.5 * gain)
        return field
