"""Rain and snow fall as the wind drives them, in the light there is; rain splashes on the ground alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.effects.particles import Falling, Lamplight, Layer, Sheet
from skill_tools.workers.augmentation.effects.rain import DISTANCES_M, rain_layers
from skill_tools.workers.augmentation.effects.splashes import Splashes
from skill_tools.workers.augmentation.planes import Levels, Planes, in_planes
from skill_tools.workers.augmentation.scene import Scene, View, shrunk, understand
from skill_tools.workers.augmentation.tracking import Tracker

LEVELS = Levels()


class Watched:
    """A clip's scene, and each of its frames as effects see it, at any time."""

    def __init__(self, path: Path) -> None:
        self.frames = [Planes.of(in_planes(frame, LEVELS)) for frame in read_frames(path)]
        self.smalls = [shrunk(frame) for frame in self.frames]
        self.scene: Scene = understand(self.smalls[::2], self.frames[0].size, LEVELS)

    def splashes(self, *, strength: float = 1.0, surface: str = "wet", seed: int = 3) -> Splashes:
        """Return splashes in the scene."""
        return Splashes(self.scene, strength, np.random.default_rng(seed), surface=surface)

    def view(self, time_s: float, index: int = 5) -> View:
        """Return a frame as it is seen when it is shown at a time."""
        return Tracker(self.scene).look(self.smalls[index], index, time_s)

    def drawn(self, splashes: Splashes, view: View) -> np.ndarray:
        """Return the opacity of splashes as a picture."""
        picture = np.zeros_like(self.frames[0].y)
        specks = splashes.shown(view)
        picture.ravel()[specks.places] = specks.opacity
        return picture

    def moments(self, splashes: Splashes, rate: int, *, length_s: float = 1.0) -> Iterator[np.ndarray]:
        """Yield where splashes are in each frame of a second, the scene standing still."""
        for index in range(round(length_s * rate)):
            yield self.drawn(splashes, self.view(index / rate)) > 0


@pytest.fixture(scope="module")
def street(street_clip: Path) -> Watched:
    """Return a standing camera's view of a street on which a figure walks."""
    return Watched(street_clip)


def test_splashes_lie_on_the_ground_alone_and_never_before_a_person(street: Watched) -> None:
    """Over all frames no pixel of a splash is off the ground, or where something stands before it."""
    splashes, seen, free = street.splashes(), 0, np.ones(street.frames[0].y.shape, bool)
    for index in range(12):
        for time_s in np.arange(0, 2, 0.037):
            view = street.view(float(time_s), index)
            shown = street.drawn(splashes, view) > 0
            assert not shown[view.geometry.ground < 0.5].any()
            assert not shown[view.foreground > 0.5].any()
            free &= ~shown
            seen += np.count_nonzero(shown)
    assert seen > 0
    figure = street.view(0.0).foreground > 0.5
    assert figure.any()
    assert not free[figure].all(), "drops hit the ground there while nobody stands on it"


@pytest.mark.parametrize("rate", [10, 50])
def test_splashes_live_by_time_not_by_frames(street: Watched, rate: int) -> None:
    """What is seen at a time is the same at any rate; most of it is left 20 ms later, nothing after 150."""
    splashes = street.splashes()
    fine = list(street.moments(splashes, 50))
    for index, shown in enumerate(street.moments(splashes, rate)):
        assert np.array_equal(shown, fine[index * 50 // rate])

    def left(gap: int) -> float:
        both = sum(np.count_nonzero(now & after) for now, after in zip(fine, fine[gap:], strict=False))
        return both / sum(np.count_nonzero(now) for now in fine[:-gap])

    assert left(1) > 0.4
    assert left(8) < 0.1


def test_each_splash_is_at_a_place_of_its_own(street: Watched) -> None:
    """Within two seconds splashes have been in many places, evenly to the left and to the right."""
    total = sum(shown.astype(int) for shown in street.moments(street.splashes(), 20, length_s=2.0))
    covered = np.count_nonzero(total) / np.count_nonzero(street.scene.geometry.ground > 0.5)
    left, right = (np.count_nonzero(part) for part in np.hsplit(total, 2))
    assert covered > 0.05
    assert 0.5 < left / right < 2


def test_the_same_seed_gives_the_same_splashes(street: Watched) -> None:
    """A seed decides over places and times, whatever was asked before; another one has others."""
    first, again, other = street.splashes(), street.splashes(), street.splashes(seed=4)
    for time_s in (0.2, 1.4):
        first.shown(street.view(time_s))
    views = [street.view(3.1) for _ in range(3)]
    same, repeated, changed = (
        street.drawn(each, view) for each, view in zip((first, again, other), views, strict=True)
    )
    assert np.array_equal(same, repeated)
    assert not np.array_equal(same, changed)


def test_no_rain_no_splash(street: Watched) -> None:
    """Without strength there are none, on snow and sand drops vanish, and more rain splashes more."""

    def seen(**how: object) -> int:
        splashes = street.splashes(**how)  # type: ignore[arg-type]  # passed on as given
        return sum(np.count_nonzero(shown) for shown in street.moments(splashes, 10))

    assert seen(strength=0.0) == seen(surface="snow") == seen(surface="sand") == 0
    assert 0 < seen(strength=0.5) < seen(strength=1.0) < seen(surface="flooding")


def test_grass_swallows_most_drops(street: Watched) -> None:
    """On green ground few splash, under a flood as many as elsewhere."""
    green = Planes(
        street.scene.background.y,
        *(plane - np.uint8(20) for plane in (street.scene.background.u, street.scene.background.v)),
    )
    meadow = replace(street.scene, background=green)

    def count(scene: Scene, surface: str) -> int:
        splashes = Splashes(scene, 1.0, np.random.default_rng(3), surface=surface)
        return sum(splashes.shown(street.view(at / 10)).places.size for at in range(20))

    assert count(meadow, "wet") < 0.4 * count(street.scene, "wet")
    assert count(meadow, "flooding") > 0.8 * count(street.scene, "flooding")


def test_near_splashes_are_larger_and_far_ones_more(make_street: Callable[..., Path]) -> None:
    """By perspective: before an eye's height a splash below in the picture has more pixels than one above."""
    street = Watched(make_street(size=(640, 480)))
    splashes = street.splashes(surface="flooding")
    sizes: dict[bool, list[int]] = {False: [], True: []}
    for at in range(25):
        picture = (street.drawn(splashes, street.view(at / 5)) > 0).astype(np.uint8)
        _, _, stats, middles = cv2.connectedComponentsWithStats(picture, connectivity=8)
        for area, (_, row) in zip(stats[1:, cv2.CC_STAT_AREA], middles[1:], strict=True):
            sizes[bool(row > 370)].append(int(area))
    assert np.percentile(sizes[True], 80) > 1.3 * np.percentile(sizes[False], 80)
    assert len(sizes[False]) > len(sizes[True]) > 0


def test_a_moving_camera_splashes_on_what_is_ground_then(make_street: Callable[..., Path]) -> None:
    """Where nothing is known of what stands before it, splashes still keep to the ground of each frame."""
    street = Watched(make_street(pan=8))
    splashes, tracker, seen = street.splashes(), Tracker(street.scene), 0
    assert not street.scene.still
    for index, small in enumerate(street.smalls):
        view = tracker.look(small, index, index / 25)
        shown = street.drawn(splashes, view) > 0
        assert not shown[view.geometry.ground < 0.5].any()
        seen += np.count_nonzero(shown)
    assert seen > 0


def test_a_moment_without_a_splash_is_one(make_street: Callable[..., Path]) -> None:
    """In a light rain there are frames in which no drop hits the ground, also under a moving camera."""
    street = Watched(make_street(pan=8))
    splashes = street.splashes(strength=0.08)
    counts = [splashes.shown(street.view(time_s)).places.size for time_s in np.arange(0, 20, 0.037)]
    assert min(counts) == 0 < max(counts)


@pytest.mark.parametrize("wind", [-0.3, 0.3])
def test_streaks_fall_in_the_winds_direction(wind: float) -> None:
    """Each layer moves down and aside as the wind has it, and its streaks lie along that way."""
    size = 640, 480
    layers = rain_layers(size, 0.8, wind, np.random.default_rng(1))
    for serial, (layer, distance) in enumerate(zip(layers, DISTANCES_M, strict=True)):
        first, then = (shown(layer, size, time_s, serial) for time_s in (0.0, 0.01))
        down, aside = round(0.01 * layer.fall_px_s), round(0.01 * layer.drift_px_s)
        assert down > 0
        assert np.sign(aside) == np.sign(wind)
        moved = np.roll(first, (down, aside), axis=(0, 1))[down + 2 : -2, 20:-20]
        assert np.mean(moved != then[down + 2 : -2, 20:-20]) < 0.002
        if distance < 6:  # farther ones are too short to tell
            assert slant(first) == pytest.approx(wind, abs=0.12)


def shown(layer: Layer, size: tuple[int, int], time_s: float, serial: int) -> np.ndarray:
    """Return the opacity of a layer as a picture of (width, height)."""
    picture = np.zeros(size[::-1], np.uint8)
    for specks in layer.shown(size[1], time_s, serial):
        picture.ravel()[specks.places + specks.shift] = specks.opacity
    return picture


def slant(picture: np.ndarray) -> float:
    """Return how far structures lie aside for each row down: the structure tensor's main direction."""
    soft = cv2.GaussianBlur(picture.astype(np.float64), (0, 0), 1.0)
    across, down = (cv2.Sobel(soft, cv2.CV_64F, *axis) for axis in ((1, 0), (0, 1)))
    angle = 0.5 * np.arctan2(2 * (across * down).sum(), (across**2 - down**2).sum())
    return float(-np.tan(angle))


def test_what_falls_depends_on_no_padding(street: Watched) -> None:
    """Planes whose rows stand apart in memory come out as those whose rows follow each other."""
    layers = rain_layers(street.scene.size, 1.0, 0.1, np.random.default_rng(2))
    falling = Falling(layers, 0.7, LEVELS, [street.splashes()])
    plain = street.frames[5].copy()
    padded = Planes(*(np.pad(plane, ((0, 0), (0, 7)))[:, :-7] for plane in (plain.y, plain.u, plain.v)))
    for planes in (plain, padded):
        falling.apply(planes, street.view(0.4))
    assert not np.array_equal(plain.y, street.frames[5].y)
    assert np.array_equal(plain.y, padded.y)


def test_flakes_hide_colour(street: Watched) -> None:
    """Where a large flake is, chroma turns grey; elsewhere it stays."""
    drawn = np.zeros((200, 192), np.uint8)
    drawn[40:60, 80:100] = 255
    half = cv2.resize(drawn, (96, 100), interpolation=cv2.INTER_AREA)
    planes = Planes(street.frames[0].y.copy(), *(np.full((72, 96), code, np.uint8) for code in (90, 160)))
    Falling([Layer(Sheet.of(drawn), 0.0, 0.0, colour=Sheet.of(half))], 0.9, LEVELS).apply(
        planes, street.view(0.0)
    )
    assert planes.y.max() == round(LEVELS.luma(0.9))
    for plane, code in ((planes.u, 90), (planes.v, 160)):
        assert np.count_nonzero(plane == 128) == 100
        assert np.count_nonzero(plane == code) == plane.size - 100


def test_at_night_drops_shine_near_lamps() -> None:
    """The light of what falls is strong around a lamp, fades away from it, and elsewhere is the sky's."""
    night = np.full((360, 640), 30, np.uint8)
    night[100:110, 300:312] = 230
    light = Lamplight(0.2, LEVELS).light(night, np.arange(night.size)).reshape(night.shape)
    at_lamp, near, far = light[105, 306], light[105, 350], light[300, 60]
    assert at_lamp > near + 20
    assert near > far + 5
    assert far == round(LEVELS.luma(0.2))
