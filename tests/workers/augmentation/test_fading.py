"""What is added fades with the picture, and a scene that fades in is understood as it is once it is lit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from skill_tools.media.video import ClipWriter, read_frames
from skill_tools.workers.augmentation.decoded import Decoded
from skill_tools.workers.augmentation.fading import Fade, UsualLight, lights_of
from skill_tools.workers.augmentation.planes import Levels, Planes
from skill_tools.workers.augmentation.preview import Request, preview
from skill_tools.workers.augmentation.scene import glance
from skill_tools.workers.augmentation.variant import METADATA_NAME

from .conftest import HEIGHT, WIDTH, planes, street, variant_of

IN, LIT, OUT = 15, 45, 15
FRAMES = IN + LIT + OUT
SHARES = [min(1.0, index / IN, (FRAMES - 1 - index) / OUT) for index in range(FRAMES)]


def write_faded(path: Path, shares: list[float], picture: Callable[[int], np.ndarray] = street) -> Path:
    """Write a clip whose frames show so much of their light."""
    with ClipWriter(path, width=WIDTH, height=HEIGHT, rate=25, crf=8) as writer:
        for index, share in enumerate(shares):
            writer.write_bgr(np.rint(picture(index) * share).astype(np.uint8), index)
    return path


@pytest.fixture(scope="module")
def faded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip that comes from black and goes to black."""
    return write_faded(tmp_path_factory.mktemp("faded") / "street.mp4", SHARES)


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same without fades."""
    return write_faded(tmp_path_factory.mktemp("lit") / "street.mp4", [1.0] * FRAMES)


def lumas(path: Path) -> list[np.ndarray]:
    """Return how far luma lies above black, for each frame."""
    return [Planes.of(frame).y.astype(float) - 16 for frame in read_frames(path)]


def told_of(clip: Path, folder: Path, wanted: str) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Make a variant of a clip in a folder; return its frames' luma above black and its metadata."""
    video = variant_of(clip, folder, wanted)
    return lumas(video), json.loads(video.with_name(METADATA_NAME).read_text())


@pytest.mark.parametrize("wanted", ["weather=fog", "weather=snow", "surface=puddles", "time_of_day=night"])
def test_what_is_added_fades_with_the_picture(faded: Path, lit: Path, tmp_path: Path, wanted: str) -> None:
    """Black stays black, half a fade shows half of the variant, and what is lit is as without a fade."""
    with_fades, told = told_of(faded, tmp_path / "faded", wanted)
    without, _ = told_of(lit, tmp_path / "lit", wanted)
    for index, share in enumerate(SHARES):
        shown, whole = with_fades[index], without[index]
        if share == 0:
            assert np.abs(shown).max() <= 4
        elif share < 0.5 or share == 1:
            assert shown.mean() == pytest.approx(share * whole.mean(), rel=0.15, abs=2.5)
            assert np.abs(shown - share * whole).mean() < 6
        else:
            assert 0.9 * share * whole.mean() - 2 < shown.mean() < whole.mean() + 2
    assert any("fades with it" in note for note in told["notes"])


def test_a_scene_that_fades_in_is_understood_as_once_it_is_lit(
    faded: Path, lit: Path, tmp_path: Path
) -> None:
    """The camera stands, light and ground are those of the same clip without a fade, and it is one scene."""
    (scene,) = told_of(faded, tmp_path / "faded", "weather=fog")[1]["scenes"]
    (same,) = told_of(lit, tmp_path / "lit", "weather=fog")[1]["scenes"]
    assert (scene["still"], scene["ground_trust"]) == (same["still"], same["ground_trust"]) == (True, 1.0)
    assert scene["horizon"] == pytest.approx(same["horizon"], abs=0.03)
    assert scene["light"] == pytest.approx(same["light"], abs=0.03)


def test_what_comes_after_black_is_another_scene(tmp_path: Path) -> None:
    """Between two shots that fade out and in no cut is to be found."""

    def shots(index: int) -> np.ndarray:
        return street(index) if index < FRAMES else cv2.flip(255 - street(index - FRAMES, room=True), 0)

    clip = write_faded(tmp_path / "two.mp4", SHARES * 2, shots)
    _, told = told_of(clip, tmp_path / "out", "weather=fog")
    assert len(told["scenes"]) == 2
    assert abs(told["scenes"][0]["light"]["median"] - told["scenes"][1]["light"]["median"]) > 0.1


def test_a_leader_of_black_stays_black(tmp_path: Path) -> None:
    """However long nothing is to be seen, no fog lies over it; what then fades in is understood by itself."""
    clip = write_faded(tmp_path / "late.mp4", [0.0] * 50 + SHARES[: IN + LIT])
    shown, told = told_of(clip, tmp_path / "out", "weather=fog")
    assert max(np.abs(luma).max() for luma in shown[:50]) <= 4
    assert shown[-1].mean() > 60
    assert [scene["ground_trust"] for scene in told["scenes"]][1:] == [1.0]


@pytest.mark.parametrize("kind", ["still", "video"])
def test_a_preview_fades_as_a_run_does(faded: Path, tmp_path: Path, kind: Literal["still", "video"]) -> None:
    """The first frame, black in the clip, is black in the preview of a fog."""
    output = tmp_path / ("p.png" if kind == "still" else "p.mp4")
    preview(Request(faded, output, kind, at_s=0.0, variables={"weather": "fog"}, alone=True))
    first = cv2.imread(str(output)) if kind == "still" else lumas(output)[0]
    assert np.abs(first).max() <= 4


def covered() -> np.ndarray:
    """Return the street behind something dark that takes up most of the picture."""
    picture = street(0)
    picture[:, : 3 * WIDTH // 4] = 12
    return picture


def lamp_lit() -> np.ndarray:
    """Return the street in the dark, but for a lamp."""
    picture = street(0) // 8
    cv2.circle(picture, (60, 40), 10, (235, 245, 250), -1)
    return picture


@pytest.mark.parametrize("picture", [street(3), street(3) * 0.9, covered(), lamp_lit()])
def test_what_loses_light_in_part_isn_t_faded(picture: np.ndarray) -> None:
    """Something dark goes by, a light goes out while another shines on, exposure changes a little."""
    usual = UsualLight([lights_of(glance(planes(street(0))))], Levels())
    frame = planes(picture.astype(np.uint8))
    assert usual.fade_of(lights_of(glance(frame)), frame) is None


@pytest.mark.parametrize("share", [0.15, 0.3, 0.6])
def test_a_frame_that_nothing_is_done_to_fades_back_to_what_it_was(share: float) -> None:
    """What is lifted and darkened again is off by a code at most."""
    frame = planes((street(0) * share).astype(np.uint8))
    fade = Fade(share, Levels())
    for now, before in zip(fade.faded(fade.lifted(frame), frame).all, frame.all, strict=True):
        assert cv2.absdiff(now, before).max() <= 1


def test_a_black_frame_is_handed_on_as_a_copy() -> None:
    """Several encoders may stamp what they are given, each for itself; none gets the decoder's own frame."""
    black, lit = (planes(street(0) * share).framed() for share in (0, 1))
    usual = UsualLight([Decoded(lit, 0, None).lights], Levels())
    item = Decoded(black, 0, None).in_light(usual)
    assert item.fade == Fade(0.0, Levels())
    shown = item.framed(item.planes)
    assert shown is not black
    assert np.array_equal(shown.to_ndarray(), black.to_ndarray())
