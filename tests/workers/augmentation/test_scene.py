"""What a scene tells: camera, light, cuts, sky, ground, depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.effects import chain_for, edited
from skill_tools.workers.augmentation.effects.ground_plane import patches
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import Scene, is_cut, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker
from skill_tools.workers.augmentation.vocabulary import wish_for

LEVELS = Levels()
SAMPLE = Path(__file__).parents[3] / "assets/samples/campus_walkway.mp4"


def small_frames(path: Path) -> Iterator[Planes]:
    """Yield a clip's frames at the small size."""
    for frame in read_frames(path):
        yield shrunk(Planes.of(in_planes(frame, LEVELS)))


def scene_of(path: Path) -> Scene:
    """Return what the first frames of a clip tell."""
    return understand(list(small_frames(path))[::2], (192, 144), LEVELS)


def test_a_standing_camera_is_told_from_a_panning_one(make_street: Callable[..., Path]) -> None:
    """What moves in front of a camera doesn't move the camera."""
    assert scene_of(make_street()).still
    assert not scene_of(make_street("pan.mp4", pan=8)).still


def test_the_background_is_without_what_walks_through(make_street: Callable[..., Path]) -> None:
    """The median over time leaves the ground where a figure passed; the figure is the foreground."""
    path = make_street()
    scene = scene_of(path)
    frames = list(small_frames(path))
    view = Tracker(scene).look(frames[6], 6, 0.24)
    figure = (slice(82, 104), slice(45, 54))
    assert view.foreground[figure].mean() > 0.9
    assert view.foreground[:, 120:].max() == 0.0
    assert np.abs(scene.background.y[figure].astype(int) - 118).mean() < 14


def test_ground_lies_below_and_sky_above(make_street: Callable[..., Path]) -> None:
    """The lower half is ground, the pale strip at the top is sky, the facade is neither."""
    geometry = scene_of(make_street()).geometry
    assert geometry.ground[110:].mean() > 0.9
    assert geometry.ground[:60].mean() < 0.1
    assert geometry.sky[:20].mean() > 0.8
    assert geometry.sky[40:].mean() < 0.05


@pytest.mark.parametrize("size", [(64, 2), (2, 64), (2, 2)])
def test_a_picture_of_two_rows_has_a_scene(make_street: Callable[..., Path], size: tuple[int, int]) -> None:
    """Nothing is too flat, or too narrow, to be told how far its ground may be taken for one."""
    small = next(small_frames(make_street(frames=1, size=size)))
    assert 0 <= understand([small], size, LEVELS).geometry.trust <= 1


def test_a_post_on_the_ground_is_no_ground(make_street: Callable[..., Path]) -> None:
    """A thin bright post stands out of the ground around it, a line across the ground doesn't."""
    frames = list(small_frames(make_street()))[::2]
    for frame in frames:
        frame.y[80:140, 150:153] = 215
    geometry = understand(frames, (192, 144), LEVELS).geometry
    assert geometry.ground[84:136, 151].mean() < 0.15
    assert geometry.ground[92:95, 100:140].mean() > 0.8


def test_a_post_before_two_grounds_is_no_ground(make_street: Callable[..., Path]) -> None:
    """It may be darker than the road behind it, and brighter than the grass before its foot."""
    frames = list(small_frames(make_street()))[::2]
    for frame in frames:
        frame.y[112:] -= 24
        frame.y[80:140, 150:153] = 106
    ground = understand(frames, (192, 144), LEVELS).geometry.ground
    assert ground[84:104, 151].mean() < 0.3
    assert ground[118:136, 151].mean() < 0.3
    assert ground[118:, 20:130].mean() > 0.9


def foliage(seed: int = 3) -> Planes:
    """Return a picture of leaves from its upper edge to its lower."""
    leaves = np.random.default_rng(seed).integers(30, 230, (36, 48), dtype=np.uint8)
    grey = np.full((144, 192), 120, np.uint8)
    return Planes(np.kron(leaves, np.ones((4, 4), np.uint8)), grey, grey + 10)


def test_a_close_up_has_no_ground_to_be_trusted(make_street: Callable[..., Path]) -> None:
    """Streets are trusted, from a standing and from a moving camera; what merely fills the view isn't."""
    assert scene_of(make_street()).geometry.trust == 1
    assert scene_of(make_street("pan.mp4", pan=8)).geometry.trust == 1
    assert understand([foliage()], (192, 144), LEVELS).geometry.trust == 0


def test_a_hall_seen_from_above_is_trusted_where_people_walk() -> None:
    """Ground that reaches far up is trusted once it is seen to be walked on, from side to side."""
    assert understand(list(hall(walkers=0)), (192, 144), LEVELS).geometry.trust == 0
    geometry = understand(list(hall(walkers=3)), (192, 144), LEVELS).geometry
    assert geometry.trust == 1
    assert geometry.ground[30:].mean() > 0.9


def hall(walkers: int) -> Iterator[Planes]:
    """Yield small frames of a grey floor that reaches nearly to the upper edge, and of who walks there."""
    grain = np.random.default_rng(2).integers(-4, 5, (144, 192))
    for step in range(16):
        luma = 120 + grain
        luma[:16] = 60 + grain[:16]
        for walker in range(walkers):
            row, column = 40 + 30 * walker, 15 + 9 * step + 5 * walker
            luma[row : row + 16, column : column + 7] = 30
        blue, red = np.full((144, 192), 128, np.uint8), np.full((144, 192), 128, np.uint8)
        blue[:16], red[:16] = 100, 160
        yield Planes(luma.astype(np.uint8), blue, red)


@pytest.mark.parametrize("surface", ["snow", "sand"])
def test_nothing_lies_where_no_ground_is_trusted(surface: str) -> None:
    """A close-up isn't covered, and the variant's notes say why."""
    scene = understand([foliage()], (192, 144), LEVELS)
    wish = wish_for({"surface": surface}, fixed=0.9, seed=1, name="a")
    chain = chain_for(wish, scene, seed=1, name="a")
    small = foliage()
    frame = Planes(small.y, small.u[::2, ::2], small.v[::2, ::2])
    done = edited(frame, Tracker(scene).look(small, 0, 0.0), chain.stages)
    assert np.abs(done.y.astype(int) - foliage().y).max() <= 1
    assert "No ground" in chain.notes[0]


def test_depth_shrinks_towards_the_camera(make_street: Callable[..., Path]) -> None:
    """Ground further down is nearer; the sky is farthest."""
    depth = scene_of(make_street()).geometry.depth_m
    rows = depth[90:, 96]
    assert (np.diff(rows) <= 0).all()
    assert depth[3].mean() > 3 * depth[140].mean()


def test_a_cut_is_found_once_where_it_is(make_street: Callable[..., Path]) -> None:
    """Two shots in one clip are parted between their frames, and nowhere else."""
    frames = list(small_frames(make_street(cut_every=7)))
    assert [at for at in range(1, 12) if is_cut(frames[at - 1], frames[at])] == [7]


@pytest.mark.parametrize("gain", [0.8, 1.2])
def test_a_change_of_light_is_no_cut(make_street: Callable[..., Path], gain: float) -> None:
    """A lamp that goes on doesn't start another scene."""
    frame = next(small_frames(make_street()))
    lit = Planes(np.clip(frame.y * gain, 0, 255).astype(np.uint8), frame.u, frame.v)
    assert not is_cut(frame, lit)


def test_a_real_clip_is_understood() -> None:
    """The sample's camera stands, looks down, and sees the walkway as ground and no sky."""
    frames = [frame for at, frame in enumerate(small_frames(SAMPLE)) if at % 8 == 0][:10]
    scene = understand(frames, (768, 576), LEVELS)
    assert scene.still
    assert scene.geometry.sky.max() == 0
    assert scene.geometry.horizon < 0.2
    assert scene.geometry.ground[120:, 60:].mean() > 0.85
    assert scene.geometry.ground[:30, 140:240].mean() < 0.1


def test_what_is_remembered_of_the_ground_moves_with_the_picture() -> None:
    """Under a camera that turns fast, ground isn't missing where people were, but where they are."""
    frame = Planes.of(next(read_frames(SAMPLE)))
    views = [shrunk(_part(frame, 9 * index)) for index in range(14)]
    scene = understand(views, (480, 360), LEVELS)
    assert not scene.still

    def ground_at_last(*, covered: bool) -> np.ndarray:
        tracker = Tracker(scene)
        for index, small in enumerate(views):
            view = tracker.look(small, index, index / 30)
            _ = view.pose if covered else view.geometry
        return view.geometry.ground

    anew = Tracker(scene, from_start=False).look(views[-1], 0, 0.0).geometry.ground
    off, off_unmoved = (np.abs(ground_at_last(covered=each) - anew).mean() for each in (True, False))
    assert off < 0.7 * off_unmoved


def test_patterns_on_the_ground_are_no_stripes_toward_the_horizon(make_street: Callable[..., Path]) -> None:
    """Where rows are too far to be told apart nothing is patchy; nearer there are patches."""
    scene = scene_of(make_street())
    view = Tracker(scene).look(scene.background, 0, 0.0)
    pattern = patches(view, 1.6, 7)
    horizon = round(scene.geometry.horizon * len(pattern))
    assert np.ptp(pattern[: horizon + 1]) < 1e-3
    assert np.ptp(pattern[horizon + len(pattern) // 4 :]) > 0.5


def _part(frame: Planes, down: int) -> Planes:
    """Return 480x360 pixels of a frame, from `down` rows and as many columns on, to the nearest even one."""
    at = down // 2 * 2
    rows, columns = slice(at, at + 360), slice(at, at + 480)
    half_rows, half_columns = slice(at // 2, at // 2 + 180), slice(at // 2, at // 2 + 240)
    return Planes(frame.y[rows, columns], *(plane[half_rows, half_columns] for plane in (frame.u, frame.v)))
