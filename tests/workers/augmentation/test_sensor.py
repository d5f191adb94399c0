"""The noise of a camera in the dark."""

from __future__ import annotations

import numpy as np
import pytest

from skill_tools.workers.augmentation.effects.sensor import SensorNoise
from skill_tools.workers.augmentation.planes import Levels, Planes
from skill_tools.workers.augmentation.scene import understand
from skill_tools.workers.augmentation.tracking import Tracker

SIZE = (641, 360)  # odd on purpose


def grey() -> Planes:
    """Return an even grey picture that nobody may edit."""
    width, height = SIZE
    chroma = np.full((height // 2, (width + 1) // 2), 128, np.uint8)
    planes = Planes(np.full((height, width), 90, np.uint8), chroma, chroma)
    planes.y.flags.writeable = False
    return planes


def noisy(indices: list[int], codes: float = 3.0) -> dict[int, np.ndarray]:
    """Return by frame the noise that a picture gets when it is shown at these numbers."""
    noise = SensorNoise(codes, np.random.default_rng(4))
    small = grey().shrunk(320, 180)
    tracker = Tracker(understand([small], SIZE, Levels()))
    return {
        index: noise.apply(grey(), tracker.look(small, index, index / 25)).y.astype(int) - 90
        for index in indices
    }


def test_noise_has_no_mean_and_the_deviation_asked_for() -> None:
    """It makes nothing brighter, and neither weaker nor stronger than asked."""
    for noise in noisy([0, 1, 7]).values():
        assert abs(noise.mean()) < 0.1
        assert noise.std() == pytest.approx(3.0, rel=0.1)


def test_noise_lingers_in_most_places_and_nowhere_for_long() -> None:
    """About a sixth of the picture changes from frame to frame, all of it within six."""
    noise = noisy(list(range(9)))
    for index in range(8):
        assert 0.10 < np.mean(noise[index] != noise[index + 1]) < 0.20
    assert np.corrcoef(noise[0].ravel(), noise[6].ravel())[0, 1] < 0.1


def test_noise_of_a_frame_doesn_t_hang_on_those_before() -> None:
    """A frame shown by itself has the noise that it has in a run."""
    run = noisy(list(range(11)))
    assert np.array_equal(noisy([10])[10], run[10])
    assert np.array_equal(noisy([2, 10])[10], run[10])
