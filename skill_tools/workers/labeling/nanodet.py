"""NanoDet through onnxruntime: letterboxed input, decoded outputs, two tiles for wide pictures.

A picture is worked on by one thread; for speed, look at several pictures at once: that uses two cores
better than one picture on both, and leaves the encoder its share.

NanoDet (RangiLyu, github.com/RangiLyu/nanodet) predicts a box by *generalized focal loss* (Li et al.,
NeurIPS 2020): for each side a distribution over 11 distances, of which the mean, in strides, is the side's
distance from the cell's centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from skill_tools.errors import ArtifactError
from skill_tools.workers.labeling.detector import Detections, Floats, Image, suppressed

INPUT_SIDE = 416
STRIDES = (8, 16, 32)
BINS = 11
MAX_IOU = 0.6
WIDE_ASPECT = 1.5
TILE_OVERLAP = 0.2
"""Share of the picture's width that both tiles see."""

_MEAN = np.array((103.53, 116.28, 123.675), np.float32)
_STD = np.array((57.375, 57.12, 58.395), np.float32)
_SEAM_PX = 4.0
_SEAM_MIN_OVERLAP = 0.6


@dataclass(frozen=True)
class Letterbox:
    """How a picture is fitted into a square: scaled with its proportions kept, centred, padded.

    The scale is kept per axis, because the fitted size is in whole pixels: mapping back is exact.
    """

    width: int
    height: int
    side: int = INPUT_SIDE

    @property
    def fitted(self) -> tuple[int, int]:
        """Width and height of the picture inside the square."""
        scale = self.side / max(self.width, self.height)
        return max(round(self.width * scale), 1), max(round(self.height * scale), 1)

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels left of and above the picture."""
        width, height = self.fitted
        return (self.side - width) // 2, (self.side - height) // 2

    def apply(self, image: Image) -> Image:
        """Give `image` inside the square: side x side x 3."""
        width, height = self.fitted
        left, top = self.padding
        shrinks = width < self.width
        square = np.zeros((self.side, self.side, 3), np.uint8)
        square[top : top + height, left : left + width] = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return square

    def restored(self, found: Detections) -> Detections:
        """Map boxes from the square's pixels to the picture's, cut at the picture's border."""
        scale = self.width / self.fitted[0], self.height / self.fitted[1]
        offset = -self.padding[0] * scale[0], -self.padding[1] * scale[1]
        moved = found.moved(scale, offset)
        limit = np.array((self.width, self.height) * 2, np.float32)
        return Detections(np.clip(moved.boxes, 0, limit), moved.scores, moved.classes)


class NanoDet:
    """A COCO-80 NanoDet of 416 x 416 inputs, on the processor; may be used by several threads.

    Raises:
        ArtifactError: `weights` is no such network.
    """

    def __init__(self, weights: Path, *, classes: Sequence[int], threshold: float) -> None:
        self._session = _session(weights)
        self._input = self._session.get_inputs()[0].name
        self._wanted = np.array(sorted(classes), np.intp)
        self._threshold = threshold
        self._centres, self._strides = _grid()

    @property
    def name(self) -> str:
        """Model and input size."""
        return f"nanodet-g {INPUT_SIDE}x{INPUT_SIDE}"

    def detect(self, image: Image) -> Detections:
        """Find the configured classes; a wide picture is looked at as two overlapping tiles."""
        height, width = image.shape[:2]
        if width < WIDE_ASPECT * height:
            return self._look(image)
        tile = round(width * (1 + TILE_OVERLAP) / 2)
        left = self._look(image[:, :tile])
        right = self._look(image[:, width - tile :]).moved((1, 1), (width - tile, 0))
        return suppressed(stitched(left, right, seams=(width - tile, tile)), MAX_IOU)

    def _look(self, image: Image) -> Detections:
        box = Letterbox(width=image.shape[1], height=image.shape[0])
        blob = (box.apply(image) - _MEAN) / _STD
        outputs = self._session.run(None, {self._input: blob.transpose(2, 0, 1)[None]})
        levels = len(STRIDES)
        scores = np.concatenate([output[0] for output in outputs[:levels]])
        sides = np.concatenate([output[0] for output in outputs[levels:]])
        return suppressed(box.restored(self._decoded(scores, sides)), MAX_IOU)

    def _decoded(self, scores: Floats, sides: Floats) -> Detections:
        """Turn class scores (cells x 80) and side distributions (cells x 44) into boxes, best first."""
        wanted = scores[:, self._wanted]
        best = wanted.argmax(axis=1)
        top = wanted[np.arange(len(wanted)), best]
        cells = np.flatnonzero(top >= self._threshold)
        cells = cells[np.argsort(-top[cells], kind="stable")]
        logits = sides[cells].reshape(-1, 4, BINS)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        reach = (weights @ np.arange(BINS, dtype=np.float32)) / weights.sum(axis=2)
        reach *= self._strides[cells, None]
        centres = self._centres[cells]
        boxes = np.concatenate([centres - reach[:, :2], centres + reach[:, 2:]], axis=1)
        return Detections(boxes.astype(np.float32), top[cells], self._wanted[best[cells]])


def stitched(left: Detections, right: Detections, *, seams: tuple[float, float]) -> Detections:
    """Join two tiles' findings, making one box of a thing that both tiles cut.

    `seams` are the right tile's left edge and the left tile's right edge. A thing wider than the overlap
    reaches the edge of both tiles; its halves are of one class and span the same height.
    """
    start, end = seams
    lefts = np.flatnonzero(left.boxes[:, 2] >= end - _SEAM_PX)
    rights = np.flatnonzero(right.boxes[:, 0] <= start + _SEAM_PX)
    left_boxes, right_boxes, right_scores = left.boxes.copy(), right.boxes, right.scores
    gone = np.zeros(len(right), np.bool_)
    for row in lefts:
        for other in rights:
            alike = left.classes[row] == right.classes[other] and not gone[other]
            if alike and _same_height(left_boxes[row], right_boxes[other]):
                left_boxes[row, 1::2] = (
                    min(left_boxes[row, 1], right_boxes[other, 1]),
                    max(left_boxes[row, 3], right_boxes[other, 3]),
                )
                left_boxes[row, 2] = right_boxes[other, 2]
                gone[other] = True
                break
    kept = Detections(right_boxes, right_scores, right.classes)[~gone]
    return Detections.joined([Detections(left_boxes, left.scores, left.classes), kept])


def _same_height(a: Floats, b: Floats) -> bool:
    shared = min(a[3], b[3]) - max(a[1], b[1])
    spanned = max(a[3], b[3]) - min(a[1], b[1])
    return bool(shared >= _SEAM_MIN_OVERLAP * spanned)


def _grid() -> tuple[Floats, Floats]:
    """Give every cell's centre (cells x 2, x and y) and stride (cells), in the order of the outputs."""
    centres, strides = [], []
    for stride in STRIDES:
        cells = INPUT_SIDE // stride
        y, x = np.mgrid[:cells, :cells].astype(np.float32)
        centres.append(np.stack([x.ravel() + 0.5, y.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(cells * cells, stride, np.float32))
    return np.concatenate(centres), np.concatenate(strides)


def _session(weights: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(weights), sess_options=options, providers=["CPUExecutionProvider"])
        shapes = [tuple(output.shape) for output in session.get_outputs()]
    except Exception as problem:  # onnxruntime's exceptions share no base of their own
        raise _unusable(weights, str(problem).splitlines()[0]) from problem
    cells = [(INPUT_SIDE // stride) ** 2 for stride in STRIDES]
    if shapes != [(1, n, width) for width in (80, 4 * BINS) for n in cells]:
        raise _unusable(weights, f"its outputs are {shapes}")
    return session


def _unusable(weights: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"{weights.name} can't be used as the detector: {why}",
        expected="a COCO-80 NanoDet with 416x416 inputs, as ONNX",
        remedy="restore assets/models/ or set models.cache_dir to a folder with nanodet/*.onnx",
        code="artifact.weights",
    )
