"""A preview shows what the variant will show, at any moment, quickly and in several arrangements."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skill_tools.errors import InputError
from skill_tools.media.compare import as_picture
from skill_tools.media.probe import probe
from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation import preview as module
from skill_tools.workers.augmentation.cli import main as make_variant
from skill_tools.workers.augmentation.preview import Request, preview
from skill_tools.workers.augmentation.stretch import Stretch
from skill_tools.workers.augmentation.vocabulary import VALUES
from tests.media.restamped import restamped

from .conftest import told_by


def shown(clip: Path, target: Path, **wanted: Any) -> dict[str, Any]:
    """Preview a clip and return the answer."""
    return preview(Request(clip=clip, output=target, **wanted))


def pixels(path: Path) -> np.ndarray:
    """Return a picture's pixels, red first."""
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("at_s", [0.0, 0.4])
def test_a_still_is_the_variant_s_own_frame(
    make_street: Callable[..., Path], tmp_path: Path, at_s: float
) -> None:
    """Pixel by pixel, particles and reflections included, it is the frame of a run with the same seed."""
    clip = make_street(frames=16)
    wanted = {"weather": "rain", "time_of_day": "evening"}
    config = tmp_path / "c.yaml"
    config.write_text(
        json.dumps(
            {
                "data": {"input_video": str(clip), "output_dir": str(tmp_path / "out")},
                "augmentation": {"seed": 7, "sampled_vars": wanted},
                "output": {"crf": 0, "preset": "ultrafast"},
                "pipeline": {"retry": 0},
            }
        )
    )
    assert make_variant(["--config", str(config)]) == 0
    variant = probe(tmp_path / "out/augmented_video.mp4")
    frame = list(read_frames(variant.path))[round(at_s * 25)]
    whole = as_picture(frame, variant, variant.width, variant.height)[..., ::-1]
    answer = shown(clip, tmp_path / "p.png", variables=wanted, seed=7, alone=True, at_s=at_s)
    assert answer["at_s"] == at_s
    assert np.array_equal(pixels(tmp_path / "p.png"), whole)


def test_a_still_stands_beside_the_original(make_street: Callable[..., Path], tmp_path: Path) -> None:
    """By default the original is on the left, the variant on the right, both of one size."""
    answer = shown(make_street(), tmp_path / "p.jpg", variables={"time_of_day": "night"})
    picture = pixels(tmp_path / "p.jpg")
    assert picture.shape == (144, 384, 3)
    assert picture[60:, :192].mean() > 2 * picture[60:, 192:].mean()
    assert [cell["values"] for cell in answer["cells"]] == [{"time_of_day": "night"}]
    assert answer["frames"] == 1


def test_a_moment_deep_in_a_clip_is_entered_there(
    make_street: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far from the start the clip is not read up to it; time, number and picture are the right ones."""
    monkeypatch.setattr("skill_tools.workers.augmentation.stretch._REACH_PIXELS", 0)
    clip = make_street(frames=60)
    info = probe(clip)
    stretch = Stretch(info, at_s=2.0, length_s=0.0, size=(info.width, info.height))
    (((planes, view, _),),) = (list(shot.frames) for shot in stretch.shots())
    assert (stretch.exact, view.index, view.time_s) == (False, 50, 2.0)
    assert np.array_equal(planes.y, list(read_frames(clip))[50].to_ndarray()[: info.height])


@pytest.mark.parametrize("at_s", [None, 0.2, 5.0, 1e9])
def test_a_clip_of_one_frame_has_one_moment(
    make_street: Callable[..., Path], tmp_path: Path, at_s: float | None
) -> None:
    """Whatever moment is asked for, the last frame there is stands for it."""
    answer = shown(make_street(frames=1), tmp_path / "p.png", at_s=at_s, variables={"weather": "fog"})
    assert answer["at_s"] == 0


def test_a_moment_behind_a_cut_is_understood_behind_it(
    make_street: Callable[..., Path], tmp_path: Path
) -> None:
    """Nothing of the shot before the cut is taken for the scene."""
    clip = make_street(frames=40, cut_every=20)
    info = probe(clip)
    before, after = (
        next(Stretch(info, at_s=at_s, length_s=0.0, size=(192, 144)).shots()).scene for at_s in (0.4, 1.2)
    )
    assert before.geometry.sky.any()
    assert np.abs(before.background.y.astype(int) - after.background.y).mean() > 40


@pytest.mark.parametrize(("rate", "step"), [(Fraction(15), 1), (Fraction(30000, 1001), 2), (Fraction(60), 3)])
def test_a_video_is_two_seconds_of_both(
    make_street: Callable[..., Path], tmp_path: Path, rate: Fraction, step: int
) -> None:
    """Each frame keeps its time, of a fast clip every second or third; a cut within them is no obstacle."""
    clip = make_street(frames=round(3 * rate), cut_every=round(2.3 * rate), rate=rate)
    answer = shown(
        clip, tmp_path / "p.mp4", kind="video", at_s=1.0, variables={"weather": "snow"}, seed=3, name="x"
    )
    info = probe(tmp_path / "p.mp4")
    assert (info.width, info.height, info.fps) == (384, 144, rate / step)
    assert info.frames == answer["frames"]
    assert abs(answer["frames"] - 2 * rate / step) < 2
    times_s = [frame.pts * frame.time_base for frame in read_frames(tmp_path / "p.mp4")]
    assert times_s == pytest.approx([index * step / rate for index in range(len(times_s))], abs=1e-3)


def test_a_film_of_a_large_clip_shows_what_is_soon_decoded(
    make_street: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Frames that no other depends on aren't waited for; those shown keep their times, and it is said."""
    monkeypatch.setattr("skill_tools.workers.augmentation.preview._THINNED_FROM_A_S", 0)
    clip = make_street(frames=75, rate=Fraction(30))
    whole = {frame.pts * frame.time_base for frame in read_frames(clip)}
    answer = shown(clip, tmp_path / "p.mp4", kind="video", variables={"weather": "rain"})
    times_s = [frame.pts * frame.time_base for frame in read_frames(tmp_path / "p.mp4")]
    assert 10 <= answer["frames"] == len(times_s) <= 30
    assert set(times_s) <= whole
    assert times_s[0] == 0
    assert 1.8 < times_s[-1] <= 2.0
    assert any("some of the frames" in note for note in answer["notes"])


def test_whoever_stops_looking_leaves_no_thread(make_street: Callable[..., Path]) -> None:
    """A film that breaks off after its first frame ends what decodes and scales ahead, at once."""
    clip = make_street(frames=60)
    stretch = Stretch(probe(clip), at_s=None, length_s=2.0, size=(96, 72))
    with closing(stretch.shots()) as shots:
        shot = next(shots)
        next(shot.frames)
    assert {"decode", "scale"}.isdisjoint(thread.name for thread in threading.enumerate())


def test_what_decodes_is_loaded_without_what_draws() -> None:
    """A clip is opened while OpenCV and the effects are still being loaded, so its module needs neither."""
    code = (
        "import sys, skill_tools.workers.augmentation.preview;"
        "print({'cv2', 'pydantic', 'PIL', 'skill_tools.workers.augmentation.studio'} & set(sys.modules))"
    )
    assert told_by(code) == "set()"


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.mp4"])
def test_a_preview_that_is_made_complains_of_nothing(
    make_street: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """No library says anything on standard error, which a person would see."""
    clip = make_street()
    capfd.readouterr()
    shown(clip, tmp_path / name, kind="video" if name == "p.mp4" else "still", variables={"weather": "rain"})
    assert capfd.readouterr().err == ""


def test_a_clip_that_can_t_be_shown_is_decoded_no_further(make_street: Callable[..., Path]) -> None:
    """When the preview fails, be it for a word, no thread goes on decoding."""
    with pytest.raises(InputError):
        shown(make_street(frames=60), Path("p.png"), variables={"weather": "rainy"})
    assert "read" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_a_clip_that_begins_late_is_shown_from_its_first_frame(
    make_street: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    """Cut out of a longer one with its stamps kept, a clip has a film of two seconds and a usual still."""
    clip = restamped(make_street(frames=75), tmp_path / name, by_s=Fraction(5))
    assert shown(clip, tmp_path / "p.mp4", kind="video")["frames"] == 50 / 2
    moments = {at_s: shown(clip, tmp_path / "p.png", at_s=at_s)["at_s"] for at_s in (None, 1.0, 6.0, 1e9)}
    assert moments == pytest.approx({None: 6.48, 1.0: 5.0, 6.0: 6.0, 1e9: 7.92}, abs=1e-3)


@pytest.mark.parametrize("size", [(768, 576), (854, 480), (1000, 562), (482, 1070)])
def test_a_film_of_any_size_shows_what_lies_on_the_ground(
    make_street: Callable[..., Path], tmp_path: Path, size: tuple[int, int]
) -> None:
    """However its sides are rounded, what is known of the scene fits the frames that are looked at."""
    clip = make_street(frames=8, size=size)
    answer = shown(clip, tmp_path / "p.mp4", kind="video", variables={"weather": "rain"})
    assert answer["frames"] == probe(tmp_path / "p.mp4").frames > 0


@pytest.mark.parametrize(("grid", "cells"), [(("weather",), 6), (("lighting", "road"), 28)])
def test_a_grid_shows_every_value(
    make_street: Callable[..., Path], tmp_path: Path, grid: tuple[str, ...], cells: int
) -> None:
    """A cell for each value, or each pair of values, and one for none; what is set besides holds in all."""
    answer = shown(make_street(), tmp_path / "g.jpg", grid=grid, variables={"time_of_day": "evening"})
    assert len(answer["cells"]) == cells
    assert {cell["values"]["time_of_day"] for cell in answer["cells"]} == {"evening"}
    first = grid[0]
    assert {cell["values"].get(first) for cell in answer["cells"]} == {None, *VALUES[first]}


def test_strengths_can_be_given(make_street: Callable[..., Path], tmp_path: Path) -> None:
    """One for all, and of single variables, by any of their names."""
    answer = shown(
        make_street(),
        tmp_path / "p.png",
        variables={"weather": "rain", "road": "puddles", "time_of_day": "evening"},
        strength=0.4,
        strengths={"road": 0.9},
    )
    assert answer["cells"][0]["strengths"] == {"weather": 0.4, "time_of_day": 0.4, "surface": 0.9}


def asked(request: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """Hand a request to the command as a process would; return exit code and answer."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(request).encode())))
    monkeypatch.setattr(sys, "stdout", out)
    return module.main(), json.loads(out.getvalue())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"clip": "none.mp4"}, "input.clip"),
        ({"variables": {"weather": "rainy"}}, "input.unknown_value"),
        ({"grid": ["wether"]}, "input.unknown_variable"),
        ({"grid": ["road", "surface"]}, "input.grid"),
    ],
)
def test_what_is_wrong_is_an_answer(
    make_street: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    code: str,
) -> None:
    """A wrong clip, word or grid comes back as a problem, with nothing written."""
    request = {"clip": str(make_street()), "output": str(tmp_path / "p.png"), **change}
    exit_code, answer = asked(request, monkeypatch)
    assert (exit_code, answer["problem"]["code"].startswith(code)) == (2, True)
    assert not (tmp_path / "p.png").exists()
