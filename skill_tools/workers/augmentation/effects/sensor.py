"""What a camera adds in the dark."""

from __future__ import annotations

import cv2
import numpy as np

from skill_tools.workers.augmentation.planes import Map, Planes, rounded
from skill_tools.workers.augmentation.scene import View
from skill_tools.workers.augmentation.vocabulary import seed_for


class SensorNoise:
    """Read noise: zero-mean, the same amount in every frame, never the same twice in a row."""

    def __init__(self, codes: float, rng: np.random.Generator) -> None:
        """Add noise of a standard deviation of `codes`."""
        self._codes = codes
        self._seed = int(rng.integers(1 << 31))
        self._field: np.ndarray | None = None

    def apply(self, planes: Planes, view: View) -> Planes:
        """Return the planes of one frame edited: the ones given, if they may be edited, or others."""
        planes = planes.own()
        height, width = planes.y.shape
        if self._field is None:
            rng = np.random.default_rng(self._seed)
            noise: Map = rng.standard_normal((height + 64, width + 64), dtype=np.float32)
            self._field = rounded(cv2.GaussianBlur(noise, (3, 3), 0.6) * (1.4 * self._codes) + 128)
        place = seed_for(self._seed, view.index)
        top, left = place % 64, (place >> 8) % 64
        cv2.addWeighted(
            planes.y, 1.0, self._field[top : top + height, left : left + width], 1.0, -128, dst=planes.y
        )
        return planes
