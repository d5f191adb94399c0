"""The way that a moving camera has come, told from pictures of a ground whose every spot is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from skill_tools.workers.augmentation.odometry import Odometer, Pose

ROWS, COLUMNS, FOCAL, HEIGHT_M, HORIZON = 180, 320, 288.0, 1.6, 0.4
GROUND = (np.arange(ROWS)[:, None] > HORIZON * ROWS + 2) * np.ones((ROWS, COLUMNS), np.float32)
SPOTS = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (1024, 1024), np.uint8), (0, 0), 1.2)


def seen_from(x_m: float, z_m: float, heading: float) -> np.ndarray:
    """Return what a camera sees that stands at (x, z) and looks `heading` radians to the right."""
    below = np.maximum(np.arange(ROWS)[:, None] - HORIZON * ROWS, 0.5) + np.zeros((1, COLUMNS))
    away = FOCAL * HEIGHT_M / below
    across = (np.arange(COLUMNS) - COLUMNS / 2) * away / FOCAL
    east = x_m + np.cos(heading) * across + np.sin(heading) * away
    north = z_m - np.sin(heading) * across + np.cos(heading) * away
    scaled = ((part * 24 + 512).astype(np.float32) for part in (east, north))
    lit = cv2.remap(cv2.equalizeHist(SPOTS), *scaled, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.where(GROUND > 0, lit, 90).astype(np.uint8)


def pose_after(odometer: Odometer, luma: np.ndarray) -> Pose:
    """Return the pose at the next frame, all of whose lower part is ground."""
    odometer.follow(luma)
    odometer.ground = GROUND
    return odometer.pose


@pytest.mark.parametrize(
    ("forward_m", "sideways_m", "turn"), [(0.25, 0.0, 0.0), (0.0, 0.06, 0.0), (0.15, 0.0, 0.012), (0, 0, 0)]
)
def test_the_way_over_the_ground_is_counted(forward_m: float, sideways_m: float, turn: float) -> None:
    """After 20 frames the pose is the camera's own within a tenth of the way and a tenth of the turn."""
    odometer, x_m, z_m, heading = Odometer(FOCAL, HEIGHT_M, HORIZON), 0.0, 0.0, 0.0
    for index in range(21):
        pose = pose_after(odometer, seen_from(x_m, z_m, heading))
        place = np.array([x_m, z_m])
        if index < 20:
            x_m += np.cos(heading) * sideways_m + np.sin(heading) * forward_m
            z_m += np.cos(heading) * forward_m - np.sin(heading) * sideways_m
            heading += turn
    way = 20 * np.hypot(forward_m, sideways_m)
    assert np.linalg.norm(pose[:, 2] - place) <= 0.1 * way + 0.03
    assert np.arctan2(pose[0, 1], pose[0, 0]) == pytest.approx(heading, abs=0.1 * abs(heading) + 0.01)


def test_motion_goes_on_where_nothing_is_to_be_followed() -> None:
    """Frames without a corner take over the motion of the frame before."""
    odometer = Odometer(FOCAL, HEIGHT_M, HORIZON)
    for index in range(3):
        before = pose_after(odometer, seen_from(0, 0.3 * index, 0))
    blank = np.full((ROWS, COLUMNS), 90, np.uint8)
    pose_after(odometer, blank)
    after = pose_after(odometer, blank)
    assert after[1, 2] - before[1, 2] == pytest.approx(0.6, abs=0.1)
