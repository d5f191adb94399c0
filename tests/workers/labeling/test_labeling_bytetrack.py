"""Tracking: identities through occlusion, uncertainty and disappearance."""

from __future__ import annotations

import numpy as np
import pytest

from skill_tools.workers.labeling.bytetrack import ByteTracker, TrackerParameters
from skill_tools.workers.labeling.classes import class_index
from skill_tools.workers.labeling.detector import Detections
from skill_tools.workers.labeling.kalman import BoxMotion, to_xyah

PERSON, CAR, TRUCK = (class_index(name) for name in ("person", "car", "truck"))

Seen = tuple[float, float, int]
"""Left edge, score and class of a box 40 wide and 80 high."""


def tracker(max_age: int = 10) -> ByteTracker:
    """Make a tracker for confident boxes from 0.4 on."""
    return ByteTracker(TrackerParameters(confident_score=0.4, min_iou=0.3, min_hits=3, max_age=max_age))


def step(one: ByteTracker, *seen: Seen) -> dict[float, int]:
    """Give the next frame; answer with the track of each left edge."""
    boxes = np.array([(left, 100, left + 40, 180) for left, _, _ in seen], np.float32).reshape(-1, 4)
    found = Detections(
        boxes,
        np.array([score for _, score, _ in seen], np.float32),
        np.array([kind for _, _, kind in seen], np.intp),
    )
    return {seen[sighting.detection][0]: sighting.track for sighting in one.update(found)}


def test_identity_survives_an_occlusion() -> None:
    """Someone who walks on behind something is the same person at the other side."""
    one = tracker()
    for frame in range(10):
        before = step(one, (100 + 8 * frame, 0.9, PERSON))
    for _ in range(6):
        assert step(one) == {}
    after = step(one, (100 + 8 * 16, 0.9, PERSON))
    assert set(after.values()) == set(before.values())


def test_uncertain_boxes_keep_a_track() -> None:
    """A track lives on by boxes that are too uncertain to start one."""
    one = tracker(max_age=2)
    for frame in range(5):
        step(one, (100 + 4 * frame, 0.9, PERSON))
    for frame in range(5, 15):
        assert set(step(one, (100 + 4 * frame, 0.25, PERSON)).values()) == {1}


def test_uncertain_boxes_start_nothing() -> None:
    """Boxes below the confident score alone never make a track."""
    one = tracker()
    for _ in range(8):
        assert step(one, (100, 0.39, PERSON)) == {}


def test_crossing_people_keep_their_identities() -> None:
    """Two people who pass each other go on under their own numbers."""
    one = tracker()
    for frame in range(40):
        seen = step(one, (100 + 6 * frame, 0.9, PERSON), (380 - 6 * frame, 0.8, PERSON))
    assert seen == {334: 1, 146: 2}


def test_young_track_that_is_missed_is_forgotten() -> None:
    """What wasn't seen in three frames in a row comes back as another track."""
    one = tracker()
    first = step(one, (100, 0.9, PERSON))
    step(one)
    assert one.alive == frozenset()
    assert set(step(one, (100, 0.9, PERSON)).values()).isdisjoint(first.values())


def test_lost_track_ends_after_max_age() -> None:
    """A track that was lost for longer than max_age isn't found again."""
    for missed, same in ((5, True), (6, False)):
        one = tracker(max_age=5)
        for _ in range(5):
            step(one, (100, 0.9, PERSON))
        for _ in range(missed):
            step(one)
        assert (step(one, (100, 0.9, PERSON)) == {100: 1}) is same


def test_classes_of_one_kind_are_one_track() -> None:
    """A van that is a car and then a truck is one track; a person in its place is another."""
    one = tracker()
    for kind in (CAR, TRUCK, CAR, TRUCK):
        assert step(one, (100, 0.9, kind)) == {100: 1}
    assert step(one, (100, 0.9, PERSON)) == {100: 2}


@pytest.mark.parametrize("frames", [1, 12])
def test_motion_equals_the_full_filter(frames: int) -> None:
    """Four small filters give the figures of DeepSORT's 8-dimensional one."""
    generator = np.random.default_rng(7)
    boxes = [
        np.array((100 + 5 * t, 50 + t, 140 + 5.2 * t, 150 + 1.5 * t), np.float32)
        + generator.normal(0, 1, 4).astype(np.float32)
        for t in range(frames + 1)
    ]
    motion = BoxMotion.starting(boxes[0])
    mean, covariance = full_start(boxes[0])
    for box in boxes[1:]:
        motion = motion.predicted().corrected(box)
        mean, covariance = full_step(mean, covariance, to_xyah(box))
    np.testing.assert_allclose([*motion.position, *motion.velocity], mean, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(motion.position_variance, np.diag(covariance)[:4], rtol=1e-6)


def full_start(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start DeepSORT's filter at `box`."""
    mean = np.r_[to_xyah(box), np.zeros(4)]
    height = mean[3]
    std = [height / 10, height / 10, 1e-2, height / 10, height / 16, height / 16, 1e-5, height / 16]
    return mean, np.diag(np.square(std))


def full_step(
    mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict and correct DeepSORT's filter, by its matrices."""
    move = np.eye(8) + np.eye(8, k=4)
    look = np.eye(4, 8)
    height = mean[3]
    std = [height / 20, height / 20, 1e-2, height / 20, height / 160, height / 160, 1e-5, height / 160]
    mean, covariance = move @ mean, move @ covariance @ move.T + np.diag(np.square(std))
    noise = np.diag(np.square([mean[3] / 20, mean[3] / 20, 1e-1, mean[3] / 20]))
    spread = look @ covariance @ look.T + noise
    gain = covariance @ look.T @ np.linalg.inv(spread)
    return mean + gain @ (measured - look @ mean), covariance - gain @ spread @ gain.T
