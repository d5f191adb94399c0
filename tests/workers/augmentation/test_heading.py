"""A camera that moves ahead: its horizon, its own vehicle, the road before it, and what stands beside."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.workers.augmentation.distance import metres_to
from skill_tools.workers.augmentation.heading import Heading, heading_of
from skill_tools.workers.augmentation.planes import Levels, Planes
from skill_tools.workers.augmentation.scene import (
    Geometry,
    Scene,
    View,
    look_ahead,
    shrunk,
    spread,
    understand,
)
from skill_tools.workers.augmentation.tracking import Tracker

SIZE = WIDTH, HEIGHT = 320, 180
FOCAL = 0.9 * WIDTH
CAMERA_M = 1.4
STEP_M = 0.35  # a frame
FPS = 25
BONNET = 60, 30, 90


class Drive:
    """A drive on a straight road between trees and hills, as a camera behind a windscreen sees it."""

    def __init__(
        self, *, horizon: float = 0.55, bonnet: bool = False, car_m: float = 0, walls: bool = False
    ) -> None:
        rng = np.random.default_rng(3)
        self._row, self._bonnet, self._car_m, self._walls = horizon * HEIGHT, bonnet, car_m, walls
        self._road = cv2.resize(rng.normal(0, 7, (1500, 90)), None, fx=2, fy=2).astype(np.float32)
        places = [(side, ahead) for ahead in range(4, 150, 5) for side in (-1, 1)]
        self._trees = [
            (side * rng.uniform(6, 9), ahead, _leaves(rng.integers(15, 110, (9, 6, 3))))
            for side, ahead in reversed(places)
        ]

    def frame(self, index: float) -> np.ndarray:
        """Return what is seen at a frame, BGR."""
        gone = index * STEP_M
        image = np.full((HEIGHT, WIDTH, 3), (225, 190, 160), np.uint8)
        image[int(self._row) - 14 : int(self._row) + 1] = (70, 85, 75)  # hills, far away
        self._pave(image, gone)
        for across, ahead, pattern in self._trees:
            self._stand(image, across, ahead - gone, (3.0, 7.0), pattern)
        for edge in (0, WIDTH) if self._walls else ():
            foot = (edge, int(0.93 * HEIGHT)), (WIDTH // 2, int(self._row)), (edge, int(0.84 * HEIGHT))
            cv2.fillPoly(image, [np.array(foot)], (45, 45, 50))
        if self._car_m:
            self._stand(image, 0.2, self._car_m, (1.8, 1.5), np.full((20, 24, 3), (150, 40, 30), np.uint8))
        if self._bonnet:
            cv2.ellipse(image, (WIDTH // 2, HEIGHT + 40), (320, 56), 0, 0, 360, BONNET, -1)
        return image

    def small(self, index: float) -> Planes:
        """Return the same as a small frame."""
        frame = VideoFrame.from_ndarray(self.frame(index), format="bgr24").reformat(format="yuv420p")
        return shrunk(Planes.of(frame))

    def _pave(self, image: np.ndarray, gone: float) -> None:
        rows = np.arange(int(self._row) + 1, HEIGHT, dtype=np.float32)[:, None]
        away = FOCAL * CAMERA_M / (rows - self._row)
        across = (np.arange(WIDTH, dtype=np.float32) - WIDTH / 2) * away / FOCAL
        columns, ahead = across * 8 + 90, np.repeat((away + gone) * 20 % 2999, WIDTH, axis=1)
        grain = cv2.remap(self._road, columns, ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        line = (np.abs(np.abs(across) - 1.8) < 0.08) * 90
        shade = (118 + grain + line)[..., None]
        verge = np.array((60, 105, 95), np.float32) + grain[..., None] * 2
        image[int(self._row) + 1 :] = np.clip(np.where(np.abs(across)[..., None] < 4, shade, verge), 0, 255)

    def _stand(
        self, image: np.ndarray, across: float, ahead: float, size_m: tuple[float, float], pattern: np.ndarray
    ) -> None:
        if ahead < 2:
            return
        scale = FOCAL / ahead
        wide, high = size_m[0] * scale, size_m[1] * scale
        left, top = WIDTH / 2 + across * scale - wide / 2, self._row + CAMERA_M * scale - high
        first, last = max(0, int(left)), min(WIDTH, int(left + wide) + 2)
        upper, lower = max(0, int(top)), min(HEIGHT, int(top + high) + 2)
        if first >= last or upper >= lower:
            return
        rows, columns = pattern.shape[:2]
        view = np.array([[wide / columns, 0, left - first], [0, high / rows, top - upper]])
        size = last - first, lower - upper
        seen = cv2.warpAffine(np.full((rows, columns), 255, np.uint8), view, size) > 127
        shown = cv2.warpAffine(pattern, view, size, borderMode=cv2.BORDER_REPLICATE)
        image[upper:lower, first:last][seen] = shown[seen]


def _leaves(spots: np.ndarray) -> np.ndarray:
    return cv2.resize(spots.astype(np.uint8), (36, 54), interpolation=cv2.INTER_NEAREST)


def headed(drive: Drive) -> Heading | None:
    """Return what the first second of a drive tells of where it goes."""
    return heading_of([drive.small(index).y for index in range(0, 30, 2)], FOCAL)


def understood(drive: Drive) -> Scene:
    """Return the scene with which a drive begins."""
    return understand([drive.small(index) for index in range(0, 32, 2)], SIZE, Levels())


@pytest.mark.parametrize("horizon", [0.42, 0.55, 0.66, 0.76])
def test_the_horizon_is_where_a_camera_goes(horizon: float) -> None:
    """The horizon is found by motion, though hills and trees hide it."""
    heading = headed(Drive(horizon=horizon))
    assert heading is not None
    assert heading.horizon == pytest.approx(horizon, abs=0.03)
    assert heading.own.max() == 0


@pytest.mark.parametrize(("size", "fps"), [((3840, 2160), 30), ((3840, 2160), 60), ((1280, 720), 60)])
def test_a_drive_is_told_from_the_first_frames_of_any_clip(size: tuple[int, int], fps: int) -> None:
    """However large or fast a clip is, the frames that are held back of it tell where the camera goes."""
    indices = spread(range(look_ahead(size, Fraction(fps))))
    drive = Drive()
    scene = understand([drive.small(index * FPS / fps) for index in indices], SIZE, Levels())
    assert not scene.still
    assert scene.heading is not None
    assert scene.heading.horizon == pytest.approx(0.55, abs=0.03)


def test_a_camera_that_stands_or_turns_goes_nowhere() -> None:
    """Without a way ahead there is no heading: not for a standing camera, nor for one that turns."""
    wide = np.hstack([Drive().frame(index) for index in (0, 40, 80)])
    turning = [np.ascontiguousarray(wide[:, left : left + WIDTH, 1]) for left in range(0, 96, 6)]
    assert heading_of(turning, FOCAL) is None
    assert heading_of([turning[0]] * 16, FOCAL) is None
    assert heading_of([], FOCAL) is None


def test_its_own_vehicle_is_no_ground() -> None:
    """The bonnet of the car that carries the camera is told from the road, and nothing lies on it."""
    scene = understood(Drive(bonnet=True))
    assert scene.heading is not None
    bonnet = (Drive(bonnet=True).frame(0) == BONNET).all(axis=2)
    assert scene.heading.own[bonnet].mean() > 0.9
    assert scene.heading.own[:150].max() == 0
    assert scene.geometry.ground[bonnet].mean() < 0.1
    assert scene.geometry.trust > 0.8


@pytest.mark.parametrize("horizon", [0.55, 0.62])
def test_the_foot_of_a_wall_along_the_road_is_no_bonnet(horizon: float) -> None:
    """It stays where it is while the camera goes along, but the road between two of them moves."""
    scene = understood(Drive(horizon=horizon, walls=True))
    assert scene.heading is not None
    assert scene.heading.own.max() == 0
    assert scene.geometry.ground[160:, 130:190].mean() > 0.9


def test_the_road_ahead_is_ground_up_to_the_horizon() -> None:
    """The road is trusted to be one; what rises above the horizon isn't, whatever its colour."""
    scene = understood(Drive(horizon=0.55))
    ground = scene.geometry.ground
    assert scene.geometry.trust > 0.8
    assert ground[150:, 120:200].mean() > 0.9
    assert ground[: int(0.53 * HEIGHT)].max() < 0.05


def test_a_car_ahead_stands_where_its_wheels_are() -> None:
    """A car is no ground and all of it is equally far, though it reaches above the horizon."""
    scene = understood(Drive(car_m=14))
    foot, middle = int(0.55 * HEIGHT + CAMERA_M * FOCAL / 14), WIDTH // 2 + 8
    body = np.s_[foot - 24 : foot - 4, middle - 10 : middle + 10]
    assert scene.geometry.ground[body].mean() < 0.15
    near = scene.geometry.depth_m[foot + 3, middle]
    assert scene.geometry.depth_m[body].max() < 1.4 * near


def test_a_way_ahead_is_found_later_as_well() -> None:
    """A scene that begins with nothing to be trusted gets its road once the camera goes ahead."""
    drive, rng = Drive(), np.random.default_rng(1)
    leaves = cv2.resize(rng.integers(0, 255, (60, 200), np.uint8), None, fx=6, fy=6)
    grey = np.full((HEIGHT, WIDTH), 128, np.uint8)
    begins = [
        Planes(np.ascontiguousarray(leaves[:HEIGHT, at : at + WIDTH]), grey, grey) for at in range(0, 128, 8)
    ]
    scene = understand(begins, SIZE, Levels())
    assert scene.heading is None
    assert scene.geometry.trust == 0
    tracker = Tracker(scene)
    looks = [tracker.look(drive.small(index), index, index / FPS) for index in range(150)]
    trust = [laid_on(look).trust for look in looks]
    geometry = looks[-1].geometry
    assert geometry.trust > 0.5
    assert np.diff(trust).max() < 0.04  # what lies there shows bit by bit, frame by frame
    assert geometry.horizon == pytest.approx(0.55, abs=0.04)
    assert geometry.ground[150:, 120:200].mean() > 0.9


def laid_on(view: View) -> Geometry:
    """Return what a frame shows to somebody who lays something on the ground, and so has it followed."""
    _ = view.pose
    return view.geometry


def test_a_car_is_no_ground_when_the_camera_stops_behind_it() -> None:
    """What is right before a camera that stands isn't learned as the ground's."""
    stops = Drive(car_m=5.5).small(65)
    smalls = [*map(Drive().small, range(65)), *[stops] * 95]
    tracker = Tracker(understand(smalls[:32:2], SIZE, Levels()))
    looks = [tracker.look(small, index, index / FPS) for index, small in enumerate(smalls)]
    ground = [laid_on(look) for look in looks][-1].ground
    foot, middle = int(0.55 * HEIGHT + CAMERA_M * FOCAL / 5.5), WIDTH // 2 + 10
    assert ground[foot - 50 : foot - 6, middle - 30 : middle + 30].mean() < 0.2


def test_what_is_high_is_as_far_as_what_is_beside_it() -> None:
    """Fog over a tree behind a car isn't cleared by the car: only what is as low as one is as near."""
    rows = np.arange(90)[:, None]
    ground = np.repeat((rows > 48).astype(np.float32), 160, axis=1)
    ground[49:62, 70:82] = 0
    depth = metres_to(ground, np.zeros_like(ground), 0.5, CAMERA_M, (1280, 720))
    assert depth[55, 76] == pytest.approx(depth[63, 76], rel=0.15)
    assert depth[20, 76] > 3 * depth[55, 76]
    assert depth[20, 76] == pytest.approx(depth[20, 20], rel=0.3)
