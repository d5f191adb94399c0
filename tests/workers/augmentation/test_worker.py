"""The worker as a process: files out, metadata, errors on one line, nothing half done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from skill_tools.media.probe import probe
from skill_tools.media.video import read_frames
from skill_tools.workers.augmentation.cli import main

SAMPLE = Path(__file__).parents[3] / "assets/samples/campus_walkway.mp4"
COOKBOOKS = Path(__file__).parents[3] / "assets/cookbooks"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration that asks for rain in the evening."""
    path = tmp_path / "clip_aug0.yaml"
    path.write_text(
        "data: {input_video: '', output_dir: '', video_name: ''}\n"
        "augmentation: {seed: 42, aug_idx: 0, sampled_vars: {weather: rain, time_of_day: evening}}\n"
        "output: {codec: h264, crf: 24, preset: ultrafast}\n"
    )
    return path


def command(config: Path, clip: Path, out: Path, *overrides: str) -> list[str]:
    """Return the worker's arguments."""
    return ["--config", str(config), f"data.input_video={clip}", f"data.output_dir={out}", *overrides]


def worker(arguments: list[str], **environ: str) -> subprocess.Popen[str]:
    """Start the worker as tasks do."""
    return subprocess.Popen(
        [sys.executable, "-m", "skill_tools.workers.augmentation", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def metadata(out: Path) -> dict[str, Any]:
    """Return the metadata of a finished variant."""
    return json.loads((out / "metadata.json").read_text())


def times_of(path: Path) -> list[Fraction]:
    """Return the exact time of every frame."""
    return [frame.pts * frame.time_base for frame in read_frames(path)]


def test_numpy_loads_no_masked_arrays_while_a_variant_is_made(config: Path, tmp_path: Path) -> None:
    """Which its `percentile`, `median` and `unique` do, and hold all threads up for a tenth of a second."""
    run = worker(
        command(config, SAMPLE, tmp_path / "out", "augmentation.sampled_vars.time_of_day=night"),
        PYTHONPROFILEIMPORTTIME="1",
    )
    _, imported = run.communicate(timeout=120)
    assert run.returncode == 0
    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "skill_tools.workers.augmentation.pipeline" in names
    assert "numpy.ma" not in names


def test_a_variant_is_a_clip_and_its_metadata(
    make_street: Callable[..., Path], config: Path, tmp_path: Path
) -> None:
    """The two files appear, frame times unchanged, and the metadata says what was done and measured."""
    clip = make_street(rate=Fraction(30000, 1001))
    out = tmp_path / "out"
    run = worker(command(config, clip, out), VDA_PROGRESS_FILE=str(tmp_path / "progress.json"))
    stdout, stderr = run.communicate(timeout=120)
    assert (run.returncode, stderr) == (0, "")
    assert sorted(entry.name for entry in out.iterdir()) == ["augmented_video.mp4", "metadata.json"]
    assert "12/12 frames" in stdout
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == 12
    assert times_of(out / "augmented_video.mp4") == times_of(clip)
    told = metadata(out)
    assert told["rendered_vars"] == {"weather": "rain", "time_of_day": "evening", "surface": "wet"}
    assert told["source"]["fps"] == told["output"]["fps"] == "30000/1001"
    assert told["evaluators"]["hallucination_check"]["passed"]
    assert told["evaluators"]["attribute_verification"]["passed"]
    assert told["attempts"] == 1
    assert {"decode", "effects", "encode", "total"} <= told["timings_s"].keys()
    assert told["peak_memory_mb"] > 0
    assert set(told["strengths"]) == set(told["parameters"]) == set(told["rendered_vars"])


@pytest.mark.parametrize(
    "scene", ["city_traffic", "piazza", "trailer_dashcam", "warehouse", "robot_assembly"]
)
def test_the_cookbooks_configurations_are_understood(
    scene: str, make_street: Callable[..., Path], tmp_path: Path
) -> None:
    """Each cookbook's file is a whole configuration once the clip is named."""
    config = COOKBOOKS / scene / "augmentation/augmentation.yaml"
    assert main(command(config, make_street(frames=3), tmp_path / "out")) == 0


def test_a_real_clip_is_augmented_whole(config: Path, tmp_path: Path) -> None:
    """The sample keeps its size, rate and length, and passes both evaluators at the first attempt."""
    assert main(command(config, SAMPLE, tmp_path / "out")) == 0
    info, told = probe(tmp_path / "out/augmented_video.mp4"), metadata(tmp_path / "out")
    assert (info.width, info.height, info.fps, info.frames) == (768, 576, Fraction(10), 120)
    assert (told["attempts"], told["scenes"][0]["still"]) == (1, True)


def test_equal_configurations_give_equal_files(
    make_street: Callable[..., Path], config: Path, tmp_path: Path
) -> None:
    """A variant can be made again bit for bit."""
    clip = make_street()
    for name in ("a", "b"):
        assert main(command(config, clip, tmp_path / name)) == 0
    first, second = ([bytes(packet) for packet in packets(tmp_path / name)] for name in ("a", "b"))
    assert first == second


def packets(folder: Path) -> list[av.Packet]:
    """Return the coded packets of a variant."""
    with av.open(str(folder / "augmented_video.mp4")) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_variants_of_a_clip_are_made_in_one_pass(
    make_street: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each lands in a folder named like its configuration, bit for bit as if it were made alone."""
    clip, configs = make_street(cut_every=7), []
    for index, values in enumerate(("{weather: snow}", "{time_of_day: night}", "{}", "{surface: puddles}")):
        path = tmp_path / f"street_aug{index}.yaml"
        path.write_text(
            "data: {input_video: '', output_dir: ''}\n"
            f"augmentation: {{aug_idx: {index}, sampled_vars: {values}}}\n"
        )
        configs.append(path)
        assert main(command(path, clip, tmp_path / "alone" / path.stem)) == 0
    words = [word for path in configs for word in ("--config", str(path))]
    capsys.readouterr()
    assert main([*words, f"data.input_video={clip}", f"data.output_dir={tmp_path / 'out'}"]) == 0
    made = [Path(line) for line in capsys.readouterr().out.splitlines() if line.endswith(".mp4")]
    assert made == [tmp_path / "out" / path.stem / "augmented_video.mp4" for path in configs]
    for path in configs:
        together, alone = (
            [bytes(packet) for packet in packets(tmp_path / kind / path.stem)] for kind in ("out", "alone")
        )
        assert together == alone
        assert metadata(tmp_path / "out" / path.stem)["aug_idx"] == configs.index(path)


def test_one_pass_is_of_one_clip(
    make_street: Callable[..., Path], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Configurations that name different clips are refused before anything is written."""
    other = tmp_path / "other.yaml"
    named = f"data: {{input_video: '{make_street('b.mp4')}', output_dir: ''}}"
    other.write_text(named)
    config.write_text(named.replace("b.mp4", "a.mp4"))
    words = ["--config", str(config), "--config", str(other), f"data.output_dir={tmp_path / 'out'}"]
    assert main(words) == 2
    assert "2 clips" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "value", [{"weather": "fog"}, {"weather": "overcast"}, {"surface": "dry"}, {"surface": "snow"}]
)
def test_under_a_moving_camera_a_variant_is_the_same_whatever_is_made_with_it(
    config: Path, make_street: Callable[..., Path], tmp_path: Path, value: dict[str, str]
) -> None:
    """What another variant has followed in the clip that they share changes nothing, bit for bit."""
    text, clip = config.read_text(), make_street("pan.mp4", pan=8)
    for index, wish in enumerate(({"surface": "sand"}, value)):
        asked = text.replace("{weather: rain, time_of_day: evening}", json.dumps(wish))
        (tmp_path / f"clip_aug{index}.yaml").write_text(asked)
    both = [word for index in (0, 1) for word in ("--config", str(tmp_path / f"clip_aug{index}.yaml"))]
    shared = [f"data.input_video={clip}", f"data.output_dir={tmp_path / 'both'}"]
    assert main([*both, *shared]) == 0
    assert main(command(tmp_path / "clip_aug1.yaml", clip, tmp_path / "alone")) == 0
    made = (tmp_path / "both/clip_aug1/augmented_video.mp4").read_bytes()
    assert made == (tmp_path / "alone/augmented_video.mp4").read_bytes()


def test_scenes_are_understood_one_by_one(
    make_street: Callable[..., Path], config: Path, tmp_path: Path
) -> None:
    """A cut starts a scene of its own, and no frame is lost at it."""
    clip = make_street(cut_every=7)
    assert main(command(config, clip, tmp_path / "out")) == 0
    told = metadata(tmp_path / "out")
    assert len(told["scenes"]) == 2
    assert told["output"]["frames"] == 12


def test_av1_is_written_on_request(make_street: Callable[..., Path], config: Path, tmp_path: Path) -> None:
    """`output.codec=av1` gives AV1."""
    assert (
        main(command(config, make_street(), tmp_path / "out", "output.codec=av1", "output.preset=veryfast"))
        == 0
    )
    assert probe(tmp_path / "out/augmented_video.mp4").codec == "av1"


def test_a_variant_that_keeps_failing_is_delivered_marked(
    make_street: Callable[..., Path], config: Path, tmp_path: Path
) -> None:
    """When the check can't be met, the variant is made weaker once, delivered, and says so."""
    overrides = (
        "evaluators.hallucination_check.threshold=1.0",
        "evaluators.hallucination_check.dist_tol_px=0",
    )
    assert main(command(config, make_street(), tmp_path / "out", *overrides)) == 0
    told = metadata(tmp_path / "out")
    assert told["attempts"] == 2
    assert not told["evaluators"]["hallucination_check"]["passed"]
    assert any("hallucination check failed" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        (["augmentation.sampled_vars.weather=rainy"], "rain"),
        (["augmentation.sampled_vars.wheather=rain"], "weather"),
        (["augmentation.seeds=3"], "seed"),
        (["output.codec=h265"], "h264"),
        (["augmentation.strength=3"], "augmentation.strength"),
        (["data.input_video=none.mp4"], "none.mp4"),
        (["data.output_dir="], "data.output_dir"),
    ],
)
def test_bad_input_is_one_line_and_creates_nothing(
    overrides: list[str],
    hint: str,
    make_street: Callable[..., Path],
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unknown key or value, or a missing clip, exits with 2, one line, and the nearest valid choice."""
    assert main(command(config, make_street(), tmp_path / "out", *overrides)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert hint in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["data: [", "- 1\n- 2\n", "data: ${nowhere}\n", ""])
def test_a_broken_configuration_is_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that isn't a configuration is refused by name."""
    (tmp_path / "c.yaml").write_text(content)
    assert main(["--config", str(tmp_path / "c.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_half_file(number: int, config: Path, tmp_path: Path) -> None:
    """Ended in the middle, the worker removes what it had begun and leaves with the signal's code."""
    out = tmp_path / "out"
    run = worker(command(config, SAMPLE, out, "output.preset=veryslow"))
    while run.poll() is None and not list(out.glob(".*")):
        pass
    run.send_signal(number)
    run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert list(out.iterdir()) == []


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names the files that come out and shows a whole command."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "data.output_dir=out" in capsys.readouterr().out
