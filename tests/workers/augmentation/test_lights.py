"""Windows and lamps: which are found, and how they shine at night and in the evening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.boxes import Box
from skill_tools.workers.augmentation.config import HallucinationCheck
from skill_tools.workers.augmentation.effects import Chain, chain_for, edited
from skill_tools.workers.augmentation.effects.shining import Shining
from skill_tools.workers.augmentation.evaluators import Evaluation
from skill_tools.workers.augmentation.lamps import street_lamps
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import Scene, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker
from skill_tools.workers.augmentation.vocabulary import wish_for

LEVELS = Levels()
SAMPLE = Path(__file__).parents[3] / "assets/samples/campus_walkway.mp4"
SIZE = (640, 400)
ROWS, COLUMNS = (80, 150), tuple(range(40, 600, 80))
PANE = (40, 44)  # across, down
FRAMES = 9


@dataclass
class Set:
    """A street before a house, on request with windows, a lamp post, paper on the ground, someone walking."""

    windows: bool = True
    post: bool = False
    paper: bool = False
    walks: bool = False
    noise: int = 3
    frames: list[Planes] = field(init=False)

    def __post_init__(self) -> None:
        """Draw the frames."""
        rng = np.random.default_rng(5)
        grain = rng.integers(-self.noise, self.noise + 1, SIZE[::-1])
        self.frames = [self._frame(index, grain) for index in range(FRAMES)]

    def _frame(self, index: int, grain: np.ndarray) -> Planes:
        y = np.full(SIZE[::-1], 112, np.int16)
        y[:220] = 150
        y[:50] = 220
        for top in ROWS if self.windows else ():
            for left in COLUMNS:
                y[top - 4 : top + PANE[1] + 4, left - 4 : left + PANE[0] + 4] = 205
                y[top : top + PANE[1], left : left + PANE[0]] = 45
        if self.post:
            y[60:320, 336:342] = 60
            y[18:28, 308:342] = 60
            y[18:60, 336:342] = 60
        if self.paper:
            y[330:346, 100:150] = 235
        if self.walks:
            y[140:330, 60 * index + 10 : 60 * index + 50] = 90
        y = cv2.GaussianBlur(y.astype(np.float32), (0, 0), 0.8) + grain
        u, v = (np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8) for _ in range(2))
        u[25:110] = 118
        v[25:110] = 134
        return Planes(np.clip(y, 0, 255).astype(np.uint8), u, v)

    def scene(self) -> Scene:
        """Return what is understood of it."""
        return understand([shrunk(frame) for frame in self.frames], SIZE, LEVELS)


def shown(
    frames: list[Planes], index: int, *, hour: str = "night", seed: int = 1, without: type | None = None
) -> Planes:
    """Return a frame as it is at an hour, at a strength of 0.8, without stages of a class on request."""
    scene = understand([shrunk(frame) for frame in frames], frames[0].size, LEVELS)
    view = Tracker(scene).look(shrunk(frames[index]), index, index / 10)
    stages = [
        stage
        for stage in chain(scene, hour, seed).stages
        if without is None or not isinstance(stage, without)
    ]
    return edited(frames[index].copy(), view, stages)


def chain(scene: Scene, hour: str, seed: int = 1) -> Chain:
    """Return the chain of an hour."""
    return chain_for(
        wish_for({"time_of_day": hour}, fixed=0.8, seed=seed, name="a"), scene, seed=seed, name="a"
    )


def lit_panes(picture: Planes, *, by: float = 100) -> list[tuple[int, int]]:
    """Return the places of the panes whose middle is lighter than `by`."""
    return [
        (top, left)
        for top in ROWS
        for left in COLUMNS
        if np.median(picture.y[top + 8 : top + PANE[1] - 8, left + 8 : left + PANE[0] - 8]) > by
    ]


def sample() -> list[Planes]:
    """Return some frames of a real clip."""
    frames = [Planes.of(in_planes(frame, LEVELS)).copy() for frame in read_frames(SAMPLE)]
    return frames[:32:3]


def test_the_windows_of_a_house_are_found() -> None:
    """Every pane of a plain facade is found, to a pixel of the small size, and nothing besides."""
    scene = Set().scene()
    panes = scene.lights.panes
    assert len(panes) == len(ROWS) * len(COLUMNS)
    for pane in panes:
        left, top = pane.corners.min(axis=0) * 2
        assert min(abs(left - column) for column in COLUMNS) <= 2
        assert min(abs(top - row) for row in ROWS) <= 2
    assert scene.lights.lamps == ()


def test_some_windows_are_lit_at_night_and_their_frames_are_not() -> None:
    """A share of the panes shines, warm and uneven; frames between a lit pane and the wall stay darker."""
    picture = shown(Set().frames, 3)
    lit = lit_panes(picture)
    assert 0.2 * len(ROWS) * len(COLUMNS) < len(lit) < 0.9 * len(ROWS) * len(COLUMNS)
    for top, left in lit:
        pane = picture.y[top + 4 : top + PANE[1] - 4, left + 4 : left + PANE[0] - 4]
        frame = picture.y[top + 8 : top + PANE[1] - 8, left - 4 : left - 1]
        assert np.median(frame) < 0.85 * np.median(pane)
        assert pane.std() > 2
        middle = (slice(top // 2 + 6, top // 2 + 16), slice(left // 2 + 6, left // 2 + 14))
        assert picture.u[middle].mean() < 122
        assert picture.v[middle].mean() > 131


def test_the_same_seed_lights_the_same_windows() -> None:
    """Bit for bit; another seed lights others."""
    frames = Set().frames
    first, again, other = (shown(frames, 3, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(getattr(first, plane), getattr(again, plane)) for plane in "yuv")
    assert lit_panes(first) != lit_panes(other)


def test_each_room_has_a_light_of_its_own() -> None:
    """Lit panes differ in brightness and in colour."""
    picture = shown(Set().frames, 3)
    middles = [(top + PANE[1] // 2, left + PANE[0] // 2) for top, left in lit_panes(picture)]
    lumas = [picture.y[row - 6 : row + 6, column - 6 : column + 6].mean() for row, column in middles]
    blues = [
        picture.u[row // 2 - 3 : row // 2 + 3, column // 2 - 3 : column // 2 + 3].mean()
        for row, column in middles
    ]
    assert max(lumas) > min(lumas) + 10
    assert max(blues) > min(blues) + 4


def test_who_walks_before_a_lit_window_covers_it() -> None:
    """Of the light that a pane adds to the picture, little is added to the figure."""
    street = Set(walks=True)
    most = 0.0
    for index in range(1, FRAMES - 1):
        lit, unlit = (
            shown(street.frames, index, without=without).y.astype(int) for without in (None, Shining)
        )
        gain = lit - unlit
        assert np.percentile(gain[150:190, 60 * index + 15 : 60 * index + 45], 98) < 25, index
        most = max(most, float(np.percentile(gain[150:190], 98)))
    assert most > 80


def test_a_house_without_windows_gets_none() -> None:
    """Nothing is found, so nothing is drawn: no stage adds light."""
    scene = Set(windows=False, paper=True).scene()
    assert not scene.lights
    assert not any(isinstance(stage, Shining) for stage in chain(scene, "night").stages)


def test_leaves_are_no_windows() -> None:
    """Dark places all over a picture that don't stand in rows aren't lit."""
    leaves = np.random.default_rng(3).integers(30, 230, (50, 80), dtype=np.uint8)
    leaves = cv2.resize(leaves, SIZE, interpolation=cv2.INTER_CUBIC)
    grey = np.full((SIZE[1] // 2, SIZE[0] // 2), 120, np.uint8)
    assert len(understand([shrunk(Planes(leaves, grey, grey + 10))], SIZE, LEVELS).lights.panes) < 4


def test_paper_on_the_ground_does_not_shine() -> None:
    """It darkens as the ground does, and nothing around it is lighter for it."""
    without, paper = (shown(Set(paper=on).frames, 3).y.astype(int) for on in (False, True))
    place, ground = (slice(332, 344), slice(104, 146)), (slice(356, 368), slice(104, 146))
    before = Set(paper=True).frames[3].y.astype(int)
    kept = [(paper[where].mean() - 16) / (before[where].mean() - 16) for where in (place, ground)]
    assert kept[0] < 1.15 * kept[1]
    around = np.ones(paper.shape, bool)
    around[322:354, 92:158] = False
    assert np.abs(paper - without)[around].mean() < 1


def test_a_lamp_is_found_before_the_sky_and_lights_the_ground_below() -> None:
    """Its head is the brightest thing; the ground is lightest at its foot, and darker with distance."""
    street = Set(post=True, windows=False)
    (lamp,) = street.scene().lights.lamps
    assert abs(lamp.box.centre[0] * 2 - 322) < 10
    assert lamp.foot is not None
    assert abs(lamp.foot[1] * 2 - 320) < 8
    luma = shown(street.frames, 3).y.astype(int)
    assert luma[20:26, 314:330].mean() > 190
    assert luma[30:44, 300:310].mean() > luma[30:44, 40:80].mean() + 4
    row = [luma[318:330, at : at + 24].mean() for at in (300, 200, 100, 10)]
    assert row == sorted(row, reverse=True)
    assert row[0] > 1.35 * row[-1]


def test_the_lamp_and_windows_of_a_real_clip_are_found() -> None:
    """The sample's street lamp, and windows of the one house that shows some, nowhere else."""
    frames = sample()
    scene = understand([shrunk(frame) for frame in frames], frames[0].size, LEVELS)
    (lamp,) = scene.lights.lamps
    assert abs(lamp.box.centre[0] - 175) < 4
    assert lamp.box.centre[1] < 16
    assert lamp.foot is not None
    assert abs(lamp.foot[1] - 163) < 6
    assert len(scene.lights.panes) >= 5
    house = Box(134, 10, 110, 30)
    assert all(house.joined(pane.box) == house for pane in scene.lights.panes)


def test_lamps_that_burn_in_a_dark_source_keep_their_light() -> None:
    """What is burnt out over a dark street is a lamp, and stays as bright as it is; by day it is none."""
    dark = np.full(SIZE[::-1], 30, np.uint8)
    dark[200:] = 45
    for column in (120, 330, 500):
        cv2.circle(dark, (column, 90), 9, 240, -1)
    grey = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    frames = [Planes(dark, grey, grey)] * 6
    scene = understand([shrunk(frame) for frame in frames], SIZE, LEVELS)
    assert len(scene.lights.lamps) == 3
    assert shown(frames, 3).y[86:94, 326:334].mean() > 230
    day = [Planes(cv2.add(dark, 110), grey, grey)] * 6
    assert not understand([shrunk(frame) for frame in day], SIZE, LEVELS).lights


def test_the_luminaires_of_a_room_stay_on() -> None:
    """White fields in a row at a pale ceiling shine; the ceiling isn't taken for a night's sky."""
    room = np.full(SIZE[::-1], 150, np.uint8)
    room[:90], room[250:] = 190, 100
    for column in (60, 210, 360, 510):
        room[30:44, column : column + 70] = 240
    grey = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    frames = [Planes(room, grey, grey)] * 6
    scene = understand([shrunk(frame) for frame in frames], SIZE, LEVELS)
    assert scene.lights.indoors
    luma = shown(frames, 3).y
    assert luma[34:40, 230:260].mean() > 220
    assert luma[70:85, 100:500].mean() > luma[260:280, 100:500].mean()


def test_a_moving_camera_has_no_lights_of_its_scene(make_street: Callable[..., Path]) -> None:
    """Where nothing stays in its place nothing is looked for; what the camera brings along is steady."""
    frames = [Planes.of(in_planes(frame, LEVELS)).copy() for frame in read_frames(make_street(pan=8))]
    scene = understand([shrunk(frame) for frame in frames], frames[0].size, LEVELS)
    assert not scene.still
    assert not scene.lights
    tracker, stages = Tracker(scene), chain(scene, "night").stages
    flat = Planes(*(np.full_like(plane, 128) for plane in (frames[0].y, frames[0].u, frames[0].v)))
    gains = []
    for index, frame in enumerate(frames[:3]):
        view = tracker.look(shrunk(frame), index, index / 25)
        gains.append(edited(flat.copy(), view, stages[:3]).y)
    assert np.array_equal(gains[0], gains[2])


def test_more_rooms_are_lit_the_later_it_is() -> None:
    """Few at sunset, more in the blue hour and at night; the lamp is on at all of these, and not at noon."""
    street = Set(post=True)
    lit = {
        hour: len(lit_panes(shown(street.frames, 3, hour=hour), by=75))
        for hour in ("sunset", "blue_hour", "night")
    }
    assert 0 < lit["sunset"] < lit["blue_hour"] <= lit["night"] + 2
    scene = street.scene()
    for hour in ("sunset", "evening", "twilight", "blue_hour"):
        assert any(isinstance(stage, Shining) for stage in chain(scene, hour).stages)
    assert not any(isinstance(stage, Shining) for stage in chain(scene, "midday").stages)


@pytest.mark.parametrize("hour", ["night", "evening", "sunset", "twilight", "blue_hour"])
@pytest.mark.parametrize("strength", [0.6, 0.8, 1.0])
def test_lit_hours_pass_their_checks(hour: str, strength: float) -> None:
    """No edge is new, and lit windows don't hide the colour of the hour's light."""
    frames = sample()
    scene = understand([shrunk(frame) for frame in frames], frames[0].size, LEVELS)
    wish = wish_for({"time_of_day": hour}, fixed=strength, seed=1, name="a")
    stages, tracker = chain_for(wish, scene, seed=1, name="a").stages, Tracker(scene)
    evaluation = Evaluation(HallucinationCheck(), LEVELS, wish.values)
    for index in (0, 5):
        view = tracker.look(shrunk(frames[index]), index, index / 10)
        done = edited(frames[index].copy(), view, stages)
        evaluation.see(frames[index], done, view.geometry.ground)
    edges = evaluation.edges()
    assert edges is not None
    assert edges.passed
    assert evaluation.attributes()["time_of_day"].passed


def test_the_foreground_of_a_part_is_that_of_the_whole() -> None:
    """What stands before a region can be found there alone."""
    street = Set(walks=True)
    scene, small = street.scene(), shrunk(street.frames[4])
    box = Box(100, 60, 90, 80)
    part = Tracker(scene).look(small, 4, 0.4).foreground_in(box)
    whole = Tracker(scene).look(small, 4, 0.4).foreground
    assert part.max() > 0.9
    assert np.array_equal(part, whole[box.slices])


@pytest.mark.parametrize("rows", range(2, 9))
def test_a_strip_of_few_rows_has_no_lamp(rows: int) -> None:
    """Something thin and upright in a picture of a few rows is no post, and is no reason to break off."""
    luma = np.full((rows, 64), 90, np.uint8)
    luma[:, ::16] = 230
    nowhere, everywhere = np.zeros((rows, 64), np.float32), np.ones((rows, 64), np.float32)
    assert list(street_lamps(luma, everywhere, nowhere, (), LEVELS)) == []
