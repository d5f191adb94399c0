"""What is followed under a moving camera: sky and ground where they are now, not where they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.workers.augmentation.background import Standpoint, is_still, median
from skill_tools.workers.augmentation.decoded import Decoded, scenes
from skill_tools.workers.augmentation.planes import Levels, Planes
from skill_tools.workers.augmentation.scene import Geometry, Scene, View, is_cut, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker

WIDTH, HEIGHT, LENGTH = 192, 144, 1400
HORIZON = 72
FPS = 30


def panorama() -> np.ndarray:
    """Return a BGR picture of a wide street: walls, a pale sky above their left half, a grey ground."""
    grain = np.random.default_rng(5).integers(-9, 9, (HEIGHT, LENGTH, 1))
    image = np.full((HEIGHT, LENGTH, 3), (120, 118, 116), np.int16)
    image[:HORIZON] = (70, 95, 140)
    image[:44, : LENGTH // 2] = (225, 215, 205)
    for column in range(10, LENGTH - 20, 37):
        image[50:64, column : column + 14] = (40, 45, 50)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def frame_of(image: np.ndarray, left: float) -> VideoFrame:
    """Return the part of a picture that a camera sees which has come to a column."""
    seen = image[:, round(left) : round(left) + WIDTH]
    return VideoFrame.from_ndarray(np.ascontiguousarray(seen), format="bgr24").reformat(format="yuv420p")


def pan(image: np.ndarray, until: int, step: int = 6) -> Iterator[Planes]:
    """Yield the small frames of a camera that turns along a picture."""
    for left in range(0, until, step):
        yield shrunk(Planes.of(frame_of(image, left)))


def followed(image: np.ndarray, until: int) -> tuple[Scene, Geometry]:
    """Return the scene of such a camera, and the geometry of its last frame."""
    views = list(pan(image, until))
    scene = understand(views[:32:2], (WIDTH, HEIGHT), Levels())
    tracker = Tracker(scene)
    looks = [tracker.look(small, index, index / FPS) for index, small in enumerate(views)]
    return scene, [geometry_of(look) for look in looks][-1]


def geometry_of(view: View) -> Geometry:
    """Return what a frame shows to somebody who lays something on the ground, and so has it followed."""
    _ = view.pose
    return view.geometry


def test_the_sky_goes_with_the_picture() -> None:
    """Where the camera has turned away from the sky no sky is left behind, nor the distance of one."""
    scene, last = followed(panorama(), LENGTH - WIDTH)
    assert not scene.still
    assert scene.geometry.sky[:40].mean() > 0.8
    assert last.sky.max() < 0.05
    assert last.depth_m[:40].mean() < 0.3 * scene.geometry.depth_m[:40].mean()


def test_a_sky_that_comes_into_view_is_found() -> None:
    """A scene that begins without a sky gets one once the camera sees it."""
    scene, last = followed(np.ascontiguousarray(panorama()[:, ::-1]), LENGTH - WIDTH)
    assert scene.geometry.sky.max() == 0
    assert last.sky[:40].mean() > 0.8


def test_a_sky_that_is_darker_than_the_ground_is_one() -> None:
    """Over snow a clear sky is told by its colour, which a wall as blue as paint hasn't."""
    image = np.full((HEIGHT, WIDTH, 3), (225, 225, 225), np.uint8)
    image[:50] = (150, 105, 62)
    assert sky_of(image)[:44].mean() > 0.9
    image[:50] = (150, 60, 50)
    assert sky_of(image).max() == 0


def sky_of(image: np.ndarray) -> np.ndarray:
    """Return the sky that is seen in a BGR picture."""
    return understand([shrunk(Planes.of(frame_of(image, 0)))] * 3, (WIDTH, HEIGHT), Levels()).geometry.sky


@pytest.mark.parametrize("colour", [(30, 120, 230), (60, 160, 60), (160, 60, 130)])
def test_what_stands_low_in_the_picture_is_no_ground(colour: tuple[int, int, int]) -> None:
    """Something of a colour of its own is spared wherever it stands, the ground beside it isn't."""
    image = panorama()
    cv2.rectangle(image, (330, 88), (372, 122), colour, -1)
    _, last = followed(image, 280)
    left = 276
    assert last.ground[92:118, 334 - left : 368 - left].mean() < 0.15
    assert last.ground[100:, : 320 - left].mean() > 0.9


def test_the_grounds_colours_are_learned_anew() -> None:
    """A road that changes its colour as it goes on stays ground."""
    image = panorama().astype(np.float32)
    blue = np.clip((np.arange(LENGTH, dtype=np.float32) - 300) / 500, 0, 1)[None, :, None]
    image[HORIZON:] += blue * np.array((35, -5, -35), np.float32)
    _, last = followed(np.clip(image, 0, 255).astype(np.uint8), LENGTH - WIDTH)
    assert last.ground[100:].mean() > 0.9
    assert last.ground[:60].mean() < 0.1


def test_bright_ground_at_the_upper_edge_is_no_sky() -> None:
    """A camera that turns down sees a pale road up to its upper edge, which stays ground."""
    image = panorama()
    image[HORIZON:] = cv2.add(image[HORIZON:], (70, 70, 70, 0))
    tall = np.vstack([image, np.repeat(image[HORIZON:], 2, axis=0)])
    frames = [tall[top : top + HEIGHT] for top in range(0, 96, 2)]
    views = [shrunk(Planes.of(frame_of(np.ascontiguousarray(each), 600))) for each in frames]
    tracker = Tracker(understand(views[:32:2], (WIDTH, HEIGHT), Levels()))
    looks = [tracker.look(small, index, index / FPS) for index, small in enumerate(views)]
    last = [geometry_of(look) for look in looks][-1]
    assert last.sky.max() < 0.1
    assert last.ground[30:].mean() > 0.9


def two_shots() -> list[np.ndarray]:
    """Return one place as two shots of it may show it, a sky above and a ground below in both."""
    shots = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        image = panorama()[:, :WIDTH].copy()
        for _ in range(7):
            column, row = int(rng.integers(0, WIDTH - 50)), int(rng.integers(30, 90))
            cv2.rectangle(image, (column, row), (column + 50, row + 45), rng.integers(0, 255, 3).tolist(), -1)
        shots.append(image)
    return shots


def decoded(images: list[np.ndarray]) -> list[Decoded]:
    """Return pictures as frames that follow one another."""
    frames: list[Decoded] = []
    for index, image in enumerate(images):
        frame = frame_of(image, 0)
        frame.pts, frame.time_base = index, Fraction(1, 10)
        frames.append(Decoded(frame, index, frames[-1] if frames else None))
    return frames


def test_a_cut_between_shots_that_look_alike_is_found() -> None:
    """Shots of one place correlate; that one follows the other at once tells them apart."""
    one, other = two_shots()
    frames = decoded([one] * 6 + [other] * 6)
    assert not is_cut(frames[5].small, frames[6].small)  # by what the pictures are alone
    assert [frame.index for frame in frames if frame.starts_scene] == [0, 6]


def ends(images: list[np.ndarray]) -> list[int]:
    """Return the numbers of the frames with which scenes begin, of pictures shown at ten a second."""
    begins = []
    for frames in scenes(iter(decoded(images)), 8, Levels()):
        samples = frames.samples()
        frames.end_with(Standpoint(median(samples)) if is_still(samples) else None)
        first, *_ = frames
        begins.append(first.index)
    return begins


def test_a_standing_camera_that_moves_off_begins_another_scene() -> None:
    """What stood in place before would hang in the air: a car waits at a light, then drives on."""
    image = panorama()
    waits = [image[:, :WIDTH]] * 12
    drives = [image[:, left : left + WIDTH] for left in range(3, 90, 3)]
    first, second, *rest = ends([np.ascontiguousarray(each) for each in waits + drives])
    assert (first, rest) == (0, [])
    assert 12 < second < 20


def test_light_and_what_passes_end_no_scene() -> None:
    """It gets dark, and something large goes by: the camera stands all the same."""
    image = panorama()[:, :WIDTH].copy()
    shown = []
    for index in range(60):
        seen = cv2.convertScaleAbs(image, alpha=1 - 0.012 * index)
        cv2.rectangle(seen, (8 * index - 200, 30), (8 * index - 80, HEIGHT), (30, 40, 160), -1)
        shown.append(seen)
    assert ends(shown) == [0]


def test_sun_that_strikes_the_lens_is_no_cut() -> None:
    """Half of a picture is veiled from one frame to the next; its edges stay."""
    image = panorama()
    before, after = (
        frame_of(image, left).to_ndarray(format="bgr24").astype(np.float32) for left in (300, 302)
    )
    glare = np.clip(1.6 - np.arange(WIDTH, dtype=np.float32) / 60, 0, 1)[None, :, None]
    after += glare * (0.7 * (255 - after))
    shots = [shrunk(Planes.of(frame_of(shot.clip(0, 255).astype(np.uint8), 0))) for shot in (before, after)]
    assert not is_cut(*shots, usual=2.0)


def test_motion_that_builds_up_is_no_cut() -> None:
    """The same change, over some frames, is a passer-by or a camera that turns."""
    one, other = two_shots()
    shares = [0.0, 0.0, 0.2, 0.45, 0.75, 1.0, 1.0]
    frames = decoded([cv2.addWeighted(one, 1 - share, other, share, 0) for share in shares])
    assert [frame.index for frame in frames if frame.starts_scene] == [0]


@pytest.mark.parametrize("size", [(64, 2), (2, 64), (2, 2)])
def test_a_picture_of_two_rows_is_followed(size: tuple[int, int]) -> None:
    """However small the picture, what is known of it stays a number."""
    rng = np.random.default_rng(3)
    views = [Planes(*rng.integers(0, 255, (3, *size[::-1]), np.uint8)) for _ in range(6)]
    tracker = Tracker(replace(understand(views, size, Levels()), still=False))
    for index, small in enumerate(views):
        last = geometry_of(tracker.look(small, index, float(index)))
    assert np.isfinite([*last.ground.ravel(), *last.sky.ravel(), *last.depth_m.ravel(), last.trust]).all()
