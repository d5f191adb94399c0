"""Enlarged frames for the detector, when super-resolution is asked for and no engine for it is here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from skill_tools.workers.labeling.config import SuperResolution
from skill_tools.workers.labeling.detector import Detections, Detector, Image


@dataclass(frozen=True)
class EnlargingDetector:
    """Looks at frames enlarged by a Lanczos filter of 8 x 8 taps; boxes come back in the source's pixels.

    The filter works on single frames, so it streams, and windows or their overlap change nothing.
    """

    detector: Detector
    most: SuperResolution

    @property
    def name(self) -> str:
        """The detector's, and what it looks at."""
        return f"{self.detector.name} on Lanczos-enlarged frames"

    @property
    def note(self) -> str:
        """What the reader of the labels should know."""
        return (
            "super_resolution: no super-resolution engine is installed; frames were enlarged with an 8x8 "
            f"Lanczos filter to fit {self.most.width}x{self.most.height} for detection only, one by one "
            "(window_frames and overlap_frames have no effect); all coordinates are the source's"
        )

    def scale_for(self, width: int, height: int) -> float:
        """Give the factor by which a frame is enlarged: proportions are kept and nothing is shrunk."""
        return max(1.0, min(self.most.width / width, self.most.height / height))

    def detect(self, image: Image) -> Detections:
        """Find things in the enlarged `image`."""
        height, width = image.shape[:2]
        scale = self.scale_for(width, height)
        if scale == 1:
            return self.detector.detect(image)
        size = round(width * scale), round(height * scale)
        large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)
        return self.detector.detect(large).moved((width / size[0], height / size[1]), (0, 0))
