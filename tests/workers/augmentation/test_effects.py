"""Each value changes the picture in the way its name says, steadily, and moves no edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice, pairwise, product
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.config import HallucinationCheck
from skill_tools.workers.augmentation.effects import chain_for, draw_ahead, edited
from skill_tools.workers.augmentation.effects.ground_plane import tile
from skill_tools.workers.augmentation.effects.rain import shower
from skill_tools.workers.augmentation.effects.snowfall import flurry
from skill_tools.workers.augmentation.effects.splashes import stamps_at
from skill_tools.workers.augmentation.evaluators import Evaluation, edge_agreement
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import Scene, View, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker
from skill_tools.workers.augmentation.vocabulary import VALUES, wish_for

LEVELS = Levels()
EVERY_VALUE = [(variable, value) for variable, values in VALUES.items() for value in values]
EVERY_SECOND = 1 / 25
SAMPLE = Path(__file__).resolve().parents[3] / "assets/samples/campus_walkway.mp4"


class Shot:
    """A clip's frames and scene, and what wishes make of them."""

    def __init__(self, clip: Path | Iterable[VideoFrame], levels: Levels = LEVELS) -> None:
        frames = read_frames(clip) if isinstance(clip, Path) else clip
        self.frames = [Planes.of(in_planes(frame, levels)) for frame in frames]
        self.scene: Scene = understand(
            [shrunk(frame) for frame in self.frames[::2]], self.frames[0].size, levels
        )

    def rendered(
        self, sampled: Mapping[str, str], *, strength: float | None = None, seed: int = 42
    ) -> tuple[list[Planes], list[View]]:
        """Return the frames of a variant and how each was seen."""
        wish = wish_for(sampled, fixed=strength, seed=seed, name="street")
        chain, tracker = chain_for(wish, self.scene, seed=seed, name="street"), Tracker(self.scene)
        views, done = [], []
        for index, frame in enumerate(self.frames):
            views.append(tracker.look(shrunk(frame), index, index * EVERY_SECOND))
            done.append(edited(frame.copy(), views[-1], chain.stages))
        return done, views


@pytest.fixture(scope="module")
def shot(street_clip: Path) -> Shot:
    """Return a standing camera's view of the street; what is rendered is always a copy."""
    return Shot(street_clip)


def difference(one: Planes, other: Planes) -> float:
    """Return the mean absolute differences of the three planes, added up."""
    return sum(float(np.abs(getattr(one, p).astype(int) - getattr(other, p)).mean()) for p in "yuv")


def luma(frames: list[Planes]) -> np.ndarray:
    """Return the mean luma code of each frame."""
    return np.array([frame.y.mean() for frame in frames])


@pytest.mark.parametrize(("variable", "value"), EVERY_VALUE)
def test_each_value_is_seen_and_moves_no_edge(shot: Shot, variable: str, value: str) -> None:
    """The picture changes visibly, both evaluators agree, and most edges are where they were."""
    frames, views = shot.rendered({variable: value})
    wish = wish_for({variable: value}, fixed=None, seed=42, name="street")
    evaluation = Evaluation(HallucinationCheck(), LEVELS, wish.values)
    for at in (0, 5, 11):
        evaluation.see(shot.frames[at], frames[at], views[at].geometry.ground)
    assert difference(frames[5], shot.frames[5]) > 2.0
    assert evaluation.edges().passed
    assert {name: verdict for name, verdict in evaluation.attributes().items() if not verdict.passed} == {}


@pytest.mark.parametrize("weather", ["rain", "snow"])
def test_what_falls_is_seen_before_leaves(make_street: Callable[..., Path], weather: str) -> None:
    """Before leaves, which have more detail than flakes, falling is told from a mere change of light."""
    shot = Shot(make_street())
    leaves = np.random.default_rng(4).integers(-20, 21, (60, 192))
    for frame in shot.frames:
        frame.y[:60] = np.clip(frame.y[:60] + leaves, 16, 235)
    assert seen(shot, {"weather": weather}, weather)
    assert not seen(shot, {"weather": "overcast"}, weather)


def seen(shot: Shot, sampled: Mapping[str, str], weather: str) -> bool:
    """Return whether a weather is found in a variant, whatever was asked of that."""
    frames, views = shot.rendered(sampled)
    evaluation = Evaluation(HallucinationCheck(), LEVELS, {"weather": weather})
    for at in (0, 5, 11):
        evaluation.see(shot.frames[at], frames[at], views[at].geometry.ground)
    return evaluation.attributes()["weather"].passed


@pytest.mark.parametrize("row", range(3))
def test_a_picture_of_few_pixels_is_evaluated(row: int) -> None:
    """Where all that isn't ground is a row that isn't looked at, the whole picture is."""
    planes = Planes(*(np.full((3, 3), code, np.uint8) for code in (90, 128, 128)))
    ground = np.ones((3, 3), np.float32)
    ground[row] = 0
    evaluation = Evaluation(HallucinationCheck(), LEVELS, {"weather": "rain"})
    evaluation.see(planes, planes, ground)
    assert not evaluation.attributes()["weather"].passed


@pytest.mark.parametrize(("variable", "value"), EVERY_VALUE)
def test_each_value_is_steady(shot: Shot, variable: str, value: str) -> None:
    """Mean luma jumps no more from frame to frame than the source's, a tenth of a code allowed."""
    frames, _ = shot.rendered({variable: value})
    jitter, source = (np.abs(np.diff(luma(part))).mean() for part in (frames, shot.frames))
    assert jitter <= 1.05 * source + 0.1


@pytest.fixture(scope="module")
def panned() -> Shot:
    """Return the sample as a camera sees it that turns."""
    pictures = [frame.to_ndarray(format="bgr24") for frame in islice(read_frames(SAMPLE), 40)]
    frames = []
    for index, picture in enumerate(pictures):
        left = round(60 - 60 * np.cos(index / 12))
        window = np.ascontiguousarray(picture[80:440, left : left + 640])
        frames.append(VideoFrame.from_ndarray(window, format="bgr24").reformat(format="yuv420p"))
    return Shot(frames)


@pytest.mark.parametrize("surface", VALUES["surface"])
def test_ground_is_steady_under_a_moving_camera(panned: Shot, surface: str) -> None:
    """What lies on the ground follows the picture frame by frame, with no flicker of its own."""
    assert not panned.scene.still
    frames, _ = panned.rendered({"surface": surface})
    jitter, source = (np.abs(np.diff(luma(part))).mean() for part in (frames, panned.frames))
    assert jitter <= 1.05 * source


@pytest.mark.parametrize(("variable", "value"), EVERY_VALUE)
def test_equal_seeds_give_equal_frames(shot: Shot, variable: str, value: str) -> None:
    """A variant can be made again bit for bit."""
    first, second = (shot.rendered({variable: value})[0][7] for _ in range(2))
    assert all(np.array_equal(getattr(first, plane), getattr(second, plane)) for plane in "yuv")


@pytest.mark.parametrize(("variable", "value"), EVERY_VALUE)
def test_no_strength_is_no_change(shot: Shot, variable: str, value: str) -> None:
    """At strength 0 the picture stays as it is, to the eye."""
    frames, _ = shot.rendered({variable: value}, strength=0.0)
    assert difference(frames[3], shot.frames[3]) < 2.5


def test_rain_falls(shot: Shot) -> None:
    """Streaks of one frame, before the walls, are found lower in the next, and fewer in their old place."""
    frames, _ = shot.rendered({"weather": "rain"}, strength=1.0)
    walls = [frame.y[:72].astype(float) for frame in frames]
    steady = np.median(walls, axis=0)
    streaks = [np.clip(frame - steady, 0, None) for frame in walls]

    def likeness(shift: int) -> float:
        pairs = pairwise(streaks)
        return float(np.mean([(now[: 72 - shift] * after[shift:]).mean() for now, after in pairs]))

    falls = [likeness(shift) for shift in range(40)]
    assert int(np.argmax(falls)) > 0
    assert max(falls) > 1.15 * falls[0]


def test_rain_is_not_drawn_anew_at_a_cut_or_a_second_look(shot: Shot) -> None:
    """What falls depends on time alone, so frames may be looked at in any order."""
    wish = wish_for({"weather": "rain"}, fixed=None, seed=42, name="street")
    results = []
    for order in ([2, 9], [9]):
        chain, tracker = chain_for(wish, shot.scene, seed=42, name="street"), Tracker(shot.scene)
        for index in order:
            view = tracker.look(shrunk(shot.frames[index]), index, index * EVERY_SECOND)
            done = edited(shot.frames[index].copy(), view, chain.stages)
        results.append(done.y)
    assert np.array_equal(*results)


def test_wet_ground_mirrors_and_leaves_the_rest_alone(shot: Shot) -> None:
    """Ground darkens and shows the walls above it; sky and facade don't change."""
    frames, _ = shot.rendered({"surface": "wet"}, strength=1.0)
    before, after = shot.frames[5].y.astype(int), frames[5].y.astype(int)
    assert np.abs(after[:60] - before[:60]).mean() < 1.0
    assert after[120:, 100:].mean() < before[120:, 100:].mean()
    assert np.abs(after[76:] - before[76:]).mean() > 5.0


def test_what_stands_on_wet_ground_stays_dry(shot: Shot) -> None:
    """The walking figure keeps its own brightness."""
    frames, _ = shot.rendered({"surface": "wet"}, strength=1.0)
    figure = (slice(84, 106), slice(46, 52))
    assert abs(int(frames[6].y[figure].mean()) - int(shot.frames[6].y[figure].mean())) < 12


def test_snow_in_shade_is_darker(make_street: Callable[..., Path]) -> None:
    """The shadow of a tree falls on snow as it fell on the ground, half as light as around it."""
    shot = Shot(make_street())
    shade, sun = np.s_[112:130, 150:166], np.s_[112:130, 120:140]
    for frame in shot.frames:
        frame.y[shade] = 16 + (frame.y[shade] - 16.0) * 0.55
    shot.scene = understand([shrunk(frame) for frame in shot.frames[::2]], shot.frames[0].size, LEVELS)
    frames, _ = shot.rendered({"surface": "snow"}, strength=1.0)
    assert frames[6].y[shade].mean() > shot.frames[6].y[shade].mean() + 10
    assert frames[6].y[shade].mean() - 16 < 0.85 * (frames[6].y[sun].mean() - 16)


def test_a_grey_ground_stays_grey_when_puddles_pass_by(make_street: Callable[..., Path]) -> None:
    """Under a moving camera a puddle's light and colour move together: no coloured rims between them."""
    shot = Shot(make_street(pan=3, frames=24))
    for frame in shot.frames:
        frame.u[:] = frame.v[:] = 128
    shot.scene = understand([shrunk(frame) for frame in shot.frames[::2]], shot.frames[0].size, LEVELS)
    assert not shot.scene.still
    frames, _ = shot.rendered({"surface": "puddles"}, strength=1.0)
    assert difference(frames[-1], shot.frames[-1]) > 2.0
    for frame in frames:
        assert max(np.abs(plane.astype(int) - 128).max() for plane in (frame.u, frame.v)) <= 3


def test_fog_hides_what_is_far_more_than_what_is_near(shot: Shot) -> None:
    """Contrast that is left falls with distance, and nothing is blurred near the camera."""
    frames, _ = shot.rendered({"weather": "fog"}, strength=1.0)
    far, near = slice(30, 70), slice(115, 144)
    kept = [frames[0].y[rows].std() / shot.frames[0].y[rows].std() for rows in (far, near)]
    assert kept[0] < 0.6 * kept[1]


def test_evening_warms_and_is_no_mere_gain(shot: Shot) -> None:
    """Grey turns towards red and away from blue, dark and light by different factors."""
    frames, _ = shot.rendered({"time_of_day": "evening"}, strength=1.0)
    ground = slice(120, 144)
    assert frames[0].u[60:].mean() < shot.frames[0].u[60:].mean() - 2
    assert frames[0].v[60:].mean() > shot.frames[0].v[60:].mean() + 2
    light = (frames[0].y[ground].mean() - 16) / (shot.frames[0].y[ground].mean() - 16)
    dark_before = np.percentile(shot.frames[0].y, 2) - 16
    dark = (np.percentile(frames[0].y, 2) - 16) / dark_before
    assert light < 0.8
    assert abs(light - dark) > 0.03


def test_dark_clips_are_not_darkened_twice(shot: Shot) -> None:
    """Evening takes fewer stops from a clip that already is dim."""
    dim = [Planes((frame.y * 0.5 + 8).astype(np.uint8), frame.u, frame.v) for frame in shot.frames]
    scene = understand([shrunk(frame) for frame in dim], dim[0].size, LEVELS)
    wish = wish_for({"time_of_day": "evening"}, fixed=1.0, seed=1, name="a")
    stops = [
        chain_for(wish, each, seed=1, name="a").parameters["time_of_day"]["stops"]
        for each in (shot.scene, scene)
    ]
    assert stops[0] < stops[1] < 0


@pytest.mark.parametrize(
    "sampled", [{"weather": "rain"}, {"weather": "snow"}, {"surface": "flooding"}, {"surface": "sand"}]
)
def test_a_scene_takes_what_was_drawn_ahead_of_it(shot: Shot, sampled: Mapping[str, str]) -> None:
    """What doesn't hang on the scene is drawn before there is one, and then never again."""
    drawings = (shower, flurry, stamps_at, tile)
    for drawing in drawings:
        drawing.cache_clear()
    wish = wish_for(sampled, fixed=None, seed=5, name="street")
    draw_ahead(wish, shot.scene.size, seed=5, name="street")
    ahead = [drawing.cache_info().misses for drawing in drawings]
    chain = chain_for(wish, shot.scene, seed=5, name="street")
    edited(shot.frames[0].copy(), Tracker(shot.scene).look(shrunk(shot.frames[0]), 0, 0.0), chain.stages)
    assert any(ahead)
    assert [drawing.cache_info().misses for drawing in drawings] == ahead


def test_a_moving_camera_gets_every_value(make_street: Callable[..., Path]) -> None:
    """Nothing needs a standing camera: what can't follow the ground is left out, and that is noted."""
    shot = Shot(make_street(pan=8))
    for sampled in (
        {"weather": "rain"},
        {"surface": "puddles"},
        {"time_of_day": "night"},
        {"weather": "fog"},
    ):
        frames, _ = shot.rendered(sampled)
        assert np.abs(frames[5].y.astype(int) - shot.frames[5].y).mean() > 2.0


def test_full_range_and_odd_sizes_are_edited(make_street: Callable[..., Path]) -> None:
    """Other ranges and sizes that chroma doesn't divide come through every stage."""
    shot = Shot(make_street(size=(161, 121)), Levels(full_range=True))
    sampled = {"weather": "snow", "time_of_day": "night", "surface": "flooding", "lighting": "dim"}
    frames, _ = shot.rendered(sampled)
    assert frames[0].y.shape == (121, 161)
    assert frames[0].u.shape == (61, 81)


def test_black_stays_black_under_veils(shot: Shot) -> None:
    """In limited range no veil takes luma below the code of black."""
    black = Planes(
        np.full_like(shot.frames[0].y, 16), *(np.full_like(shot.frames[0].u, 128) for _ in range(2))
    )
    view = Tracker(shot.scene).look(shrunk(shot.frames[0]), 0, 0.0)
    wish = wish_for({"time_of_day": "morning", "lighting": "dim"}, fixed=1.0, seed=3, name="a")
    graded = edited(black, view, chain_for(wish, shot.scene, seed=3, name="a").stages)
    assert graded.y.min() >= 9


def test_edges_that_appear_are_counted() -> None:
    """A thing drawn in fails the check; the same picture in other light passes."""
    rng = np.random.default_rng(1)
    source = np.kron(rng.integers(60, 180, (6, 8)), np.ones((24, 24))).astype(np.uint8)
    blank = np.full_like(source, 120)
    blank[:40, :40] = source[:40, :40]
    check = HallucinationCheck()
    assert edge_agreement(source, (source * 0.6 + 20).astype(np.uint8), check)[0] == 1.0
    assert edge_agreement(blank, source, check)[0] < check.threshold


@pytest.mark.parametrize("weather", VALUES["weather"])
def test_every_weather_goes_with_every_hour_and_ground(
    weather: str, make_street: Callable[..., Path]
) -> None:
    """All combinations render: the picture changes, and neither turns black nor burns out."""
    shot = Shot(make_street(size=(96, 72), frames=2))
    for hour, surface in product(VALUES["time_of_day"], VALUES["surface"]):
        frames, _ = shot.rendered({"weather": weather, "time_of_day": hour, "surface": surface})
        assert difference(frames[0], shot.frames[0]) > 2, (hour, surface)
        assert 25 < np.median(frames[0].y) < 232, (hour, surface)


@pytest.mark.parametrize("lighting", VALUES["lighting"])
def test_every_lighting_goes_with_every_ground(lighting: str, make_street: Callable[..., Path]) -> None:
    """A room's lamps and its floor render together."""
    shot = Shot(make_street(size=(96, 72), frames=2))
    for surface in VALUES["surface"]:
        frames, _ = shot.rendered({"lighting": lighting, "surface": surface})
        assert difference(frames[0], shot.frames[0]) > 2, surface
        assert 25 < np.median(frames[0].y) < 232, surface
