"""Which boxes of an original a detector finds again on a variant: what augmentation costs the labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_IOU = 0.5

Boxes = NDArray[np.floating]
"""n x 4: left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class FoundAgain:
    """Boxes of the original, and how many have one of their class in the same place of the variant."""

    boxes: int
    found: int

    @property
    def share(self) -> float:
        """The share found again, 0 to 1; 1 where there was nothing to find."""
        return self.found / self.boxes if self.boxes else 1.0

    @classmethod
    def of(
        cls, original: Mapping[str, object] | None, variant: Mapping[str, object] | None
    ) -> FoundAgain | None:
        """Compare the labels of two COCO documents, frame by frame; None where one of them is missing."""
        if original is None or variant is None:
            return None
        before, after = _by_place(original), _by_place(variant)
        nothing = np.zeros((0, 4))
        found = sum(matches(boxes, after.get(place, nothing)) for place, boxes in before.items())
        return cls(sum(map(len, before.values())), found)


def matches(boxes: Boxes, others: Boxes) -> int:
    """Return how many of `boxes` overlap one of `others` with IoU from .5, each counted for one box."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(axis=2)
    overlap = inside / np.maximum(_areas(boxes)[:, None] + _areas(others)[None, :] - inside, 1e-9)
    found = 0
    while overlap.size and overlap.max() >= LEAST_IOU:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row], overlap[:, column] = 0, 0
        found += 1
    return found


def _areas(boxes: Boxes) -> Boxes:
    areas: Boxes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas


def _by_place(document: Mapping[str, object]) -> dict[tuple[int, int], Boxes]:
    """Return a COCO document's boxes by image and category."""
    annotations = document.get("annotations")
    rows: defaultdict[tuple[int, int], list[Sequence[float]]] = defaultdict(list)
    for one in annotations if isinstance(annotations, list) else []:
        left, top, width, height = one["bbox"]
        rows[one["image_id"], one["category_id"]].append((left, top, left + width, top + height))
    return {place: np.array(boxes) for place, boxes in rows.items()}
