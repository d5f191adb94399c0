"""What a detector is: a picture in, boxes with classes and scores out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from skill_tools.workers.labeling.classes import KINDS

Image = npt.NDArray[np.uint8]
"""A picture, height x width x 3, BGR."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detections:
    """What was found in one picture: n boxes, best first."""

    boxes: Floats
    """n x 4, left, top, right, bottom in pixels, as continuous: the picture spans [0, width]."""
    scores: Floats
    """n, from 0 to 1."""
    classes: npt.NDArray[np.intp]
    """n class indices."""

    def __len__(self) -> int:
        """Count the boxes."""
        return len(self.scores)

    def __getitem__(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Detections:
        """Give the chosen rows."""
        return Detections(self.boxes[chosen], self.scores[chosen], self.classes[chosen])

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> Detections:
        """Multiply every box by `scale` (x, y) and then add `offset` (x, y)."""
        boxes = self.boxes * np.array(scale * 2, np.float32) + np.array(offset * 2, np.float32)
        return Detections(boxes.astype(np.float32), self.scores, self.classes)

    @classmethod
    def none(cls) -> Detections:
        """Nothing found."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))

    @classmethod
    def joined(cls, parts: list[Detections]) -> Detections:
        """All of `parts` in one, best first."""
        boxes = np.concatenate([part.boxes for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        classes = np.concatenate([part.classes for part in parts])
        order = np.argsort(-scores, kind="stable")
        return cls(boxes[order], scores[order], classes[order])


class Detector(Protocol):
    """Finds things in pictures; several threads may use one detector at once."""

    @property
    def name(self) -> str:
        """What it is, for the record: model and input size."""
        ...

    def detect(self, image: Image) -> Detections:
        """Find the configured classes in `image`, in its own pixels."""
        ...


def iou(a: Floats, b: Floats) -> Floats:
    """Give the intersection over union of every box in `a` (n x 4) with every one in `b` (m x 4): n x m."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=2)
    union = areas(a)[:, None] + areas(b)[None, :] - inside
    ratio: Floats = (inside / np.maximum(union, 1e-6)).astype(np.float32)
    return ratio


def areas(boxes: Floats) -> Floats:
    """Give the area of each box, n."""
    area: Floats = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return area


def suppressed(found: Detections, max_iou: float) -> Detections:
    """Keep of each kind the best boxes that overlap no better one by more than `max_iou`.

    Greedy non-maximum suppression, class by class; classes of one kind count as one class.
    """
    kinds = np.asarray(KINDS)[found.classes]
    overlapping = (iou(found.boxes, found.boxes) > max_iou) & (kinds[:, None] == kinds[None, :])
    alive = np.ones(len(found), np.bool_)
    for row in range(len(found)):
        if alive[row]:
            alive[row + 1 :] &= ~overlapping[row, row + 1 :]
    return found[alive]
