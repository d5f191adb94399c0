"""The detector: the letterbox, tiles, suppression, and what it finds in a real picture."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from skill_tools.errors import ArtifactError, InputError
from skill_tools.media.probe import probe
from skill_tools.workers.labeling.classes import CLASS_NAMES, class_index
from skill_tools.workers.labeling.config import SuperResolution
from skill_tools.workers.labeling.detector import Detections, Image, iou, suppressed
from skill_tools.workers.labeling.frames import read_pictures
from skill_tools.workers.labeling.nanodet import INPUT_SIDE, Letterbox, NanoDet, stitched
from skill_tools.workers.labeling.superres import EnlargingDetector
from skill_tools.workers.labeling.weights import find_weights

PERSON, CAR, TRUCK, BICYCLE = (class_index(name) for name in ("person", "car", "truck", "bicycle"))

IN_FRAME_60 = [
    (PERSON, (614, 235, 651, 339)),
    (PERSON, (469, 205, 499, 291)),
    (PERSON, (505, 204, 532, 283)),
    (CAR, (650, 45, 722, 99)),
    (CAR, (735, 50, 768, 95)),
]
"""What stands free in frame 60 of the sample, drawn by hand."""


@pytest.fixture(scope="module")
def frame_60(sample_clip: Path) -> Image:
    """Give the sample's 61st picture."""
    return next(islice(read_pictures(probe(sample_clip), []), 60, None)).image


@pytest.fixture(scope="module")
def detector(weights: Path) -> NanoDet:
    """Open the vendored network."""
    return NanoDet(weights, classes=[PERSON, CAR, TRUCK, BICYCLE], threshold=0.2)


def found(boxes: list[tuple[float, ...]], scores: list[float], classes: list[int]) -> Detections:
    """Make detections of plain lists."""
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.intp)
    )


def assert_finds_all(detections: Detections) -> None:
    """Hold that everything drawn by hand was found, with its class and confidence."""
    for class_index_, box in IN_FRAME_60:
        overlap = iou(np.array([box], np.float32), detections.boxes)[0]
        best = int(overlap.argmax())
        assert overlap[best] > 0.6, box
        assert detections.classes[best] == class_index_
        assert detections.scores[best] > 0.4


def test_people_and_cars_of_a_real_picture(detector: NanoDet, frame_60: Image) -> None:
    """Everybody who stands free, and both parked cars, are found where they are, with confidence."""
    assert_finds_all(detector.detect(frame_60))


def test_boxes_stay_in_the_picture(detector: NanoDet, frame_60: Image) -> None:
    """No box reaches beyond the border, and every box has an area."""
    boxes = detector.detect(frame_60).boxes
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= frame_60.shape[1]
    assert boxes[:, 3].max() <= frame_60.shape[0]
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_only_wanted_classes(weights: Path, frame_60: Image) -> None:
    """Classes that weren't asked for are not reported."""
    seen = NanoDet(weights, classes=[CAR], threshold=0.2).detect(frame_60)
    assert {CLASS_NAMES[index] for index in seen.classes} == {"car"}


def test_wide_picture_is_seen_in_two_tiles(detector: NanoDet, frame_60: Image) -> None:
    """The same things are found, at their places, when the picture lies in one three times as wide."""
    height, width = frame_60.shape[:2]
    for offset in (0, 700, width * 2 - 40):
        wide = np.zeros((height, width * 3, 3), np.uint8)
        wide[:, offset : offset + width] = frame_60[:, : wide.shape[1] - offset]
        seen = detector.detect(wide).moved((1, 1), (-offset, 0))
        people = [box for kind, box in IN_FRAME_60 if kind == PERSON]
        overlap = iou(np.array(people, np.float32), seen.boxes)
        assert (overlap.max(axis=1) > 0.5).all()


def test_enlarged_frames_give_boxes_in_source_pixels(detector: NanoDet, frame_60: Image) -> None:
    """Detection on enlarged frames reports the source's coordinates."""
    larger = EnlargingDetector(detector, SuperResolution(enabled=True, width=1536, height=1152))
    assert larger.scale_for(768, 576) == 2
    assert_finds_all(larger.detect(frame_60))


def test_nothing_is_shrunk_by_super_resolution(detector: NanoDet) -> None:
    """A clip that is larger than the target stays as it is."""
    assert EnlargingDetector(detector, SuperResolution()).scale_for(1920, 1080) == 1


@pytest.mark.parametrize("size", [(768, 576), (640, 272), (1920, 1080), (97, 333), (416, 416), (3, 500)])
def test_letterbox_maps_back_exactly(size: tuple[int, int]) -> None:
    """The picture's corners and centre inside the square map to themselves, whatever the rounding was."""
    width, height = size
    box = Letterbox(width, height)
    fitted_width, fitted_height = box.fitted
    left, top = box.padding
    corners = (left, top, left + fitted_width, top + fitted_height)
    middle = (left, top, left + fitted_width / 2, top + fitted_height / 2)
    back = box.restored(found([corners, middle], [1, 1], [0, 0])).boxes
    np.testing.assert_allclose(back, [(0, 0, width, height), (0, 0, width / 2, height / 2)], atol=1e-4)


def test_letterbox_keeps_proportions_and_pads() -> None:
    """A white wide picture becomes a centred white band of the same proportions on black."""
    square = Letterbox(640, 272).apply(np.full((272, 640, 3), 255, np.uint8))
    assert square.shape == (INPUT_SIDE, INPUT_SIDE, 3)
    rows = np.flatnonzero(square[:, 200, 0])
    assert (rows[0], len(rows)) == (119, round(272 * 416 / 640))


def test_suppression_works_within_a_kind() -> None:
    """A car's weaker double and a truck on the same place go; a person there and a far car stay."""
    boxes = [(0, 0, 10, 10), (1, 0, 11, 10), (0, 0, 10, 10), (0, 0, 10, 10), (50, 0, 60, 10)]
    kept = suppressed(found(boxes, [0.9, 0.8, 0.7, 0.6, 0.5], [CAR, CAR, TRUCK, PERSON, CAR]), 0.6)
    assert kept.classes.tolist() == [CAR, PERSON, CAR]


def test_halves_at_the_seam_become_one() -> None:
    """A thing that both tiles cut is one box; things that one tile sees whole stay."""
    left = found([(300, 50, 600, 200), (10, 10, 40, 60)], [0.9, 0.8], [CAR, PERSON])
    right = found([(400, 55, 800, 205), (900, 10, 930, 60)], [0.7, 0.6], [CAR, PERSON])
    joined = stitched(left, right, seams=(400, 600))
    assert joined.boxes.tolist() == [[300, 50, 800, 205], [10, 10, 40, 60], [900, 10, 930, 60]]


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    """A file that is no network gives an error that names it."""
    bad = tmp_path / "nanodet.onnx"
    bad.write_bytes(b"not a network")
    with pytest.raises(ArtifactError, match=r"nanodet\.onnx"):
        NanoDet(bad, classes=[0], threshold=0.2)


def test_weights_are_looked_for_in_order(tmp_path: Path, weights: Path) -> None:
    """The cache comes first, then VDA_MODELS_DIR, then the package's own."""
    cache, models = tmp_path / "cache", tmp_path / "models"
    (cache / "nanodet").mkdir(parents=True)
    models.mkdir()
    environ = {"VDA_MODELS_DIR": str(models)}
    assert find_weights(str(cache), environ) == weights
    (models / "nanodet_x.onnx").touch()
    assert find_weights(str(cache), environ) == models / "nanodet_x.onnx"
    (cache / "nanodet" / "nanodet_y.onnx").touch()
    assert find_weights(str(cache), environ) == cache / "nanodet" / "nanodet_y.onnx"


@pytest.mark.parametrize(("given", "meant"), [("cart", "car"), ("persom", "person"), ("Motorbike", "motor")])
def test_unknown_class_names_the_nearest(given: str, meant: str) -> None:
    """A misspelt class is refused with the class that was probably meant."""
    with pytest.raises(InputError, match="No detector class") as refused:
        class_index(given)
    assert meant in refused.value.remedy
