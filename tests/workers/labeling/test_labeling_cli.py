"""The command line as a process: the files it leaves, what it refuses, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skill_tools.media.probe import probe

FILES = {
    "annotations_coco.json", "tracks_mot.txt", "overlay.mp4", "mcq.json", "events.json", "summary.json"
}  # fmt: skip
BANK = {
    "version": "1.0",
    "scene": "test",
    "questions": [
        {"id": "people", "question": "How many?", "options": ["0", "1-2", "3+"], "source": "count:person"},
        {"id": "light", "question": "Light?", "options": ["bright", "dim"], "source": "lighting"},
        {"id": "wave", "question": "Does anybody wave?", "options": ["yes", "no"], "type": "boolean"},
    ],
}
KEY = "sk-very-secret"


def command(*arguments: str) -> list[str]:
    """Give the worker's command line."""
    return [sys.executable, "-m", "skill_tools.workers.labeling", *arguments]


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the worker to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env=os.environ | environ
    )


def load(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a question bank with a question of each source."""
    path = tmp_path_factory.mktemp("bank") / "question_bank.json"
    path.write_text(json.dumps(BANK))
    return path


@pytest.fixture(scope="module")
def labelled(short_clip: Path, bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label the short clip, without an endpoint, with settings from a file and overrides."""
    folder = tmp_path_factory.mktemp("labelled")
    config = folder / "config.yaml"
    config.write_text("tracking:\n  min_track_frames: 4\nevents:\n  enabled: true\nendpoints:\n  vlm:\n")
    out = folder / "labels" / "007"
    done = run(
        "--config",
        str(config),
        f"data.input_video={short_clip}",
        f"data.output_dir={out}",
        "data.video_name=007",
        f"data.question_bank={bank}",
        "detection.classes=[person,car]",
        VDA_PROGRESS_FILE=str(folder / "progress.json"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "007: 16 frames" in done.stdout
    return out


def test_all_files_are_there_and_nothing_else(labelled: Path) -> None:
    """A job leaves its six files and no temporary one."""
    assert {path.name for path in labelled.iterdir()} == FILES


def test_overlay_has_the_clips_frames(labelled: Path, short_clip: Path) -> None:
    """The overlay is as large, as long and as fast as the clip."""
    overlay, clip = probe(labelled / "overlay.mp4"), probe(short_clip)
    assert (overlay.width, overlay.height, overlay.fps, overlay.frames) == (
        clip.width, clip.height, clip.fps, clip.frames
    )  # fmt: skip


def test_summary_agrees_with_the_labels(labelled: Path) -> None:
    """The summary counts what the COCO file holds, for every configured class."""
    summary, coco = load(labelled / "summary.json"), load(labelled / "annotations_coco.json")
    people = [note for note in coco["annotations"] if note["category_id"] == 1]
    assert summary["video"] == "007"
    assert summary["detections"] == {"person": len(people), "car": len(coco["annotations"]) - len(people)}
    assert summary["tracks"]["person"] == len({note["track_id"] for note in people}) >= 3
    assert (summary["frames"], summary["fps"], summary["duration_s"]) == (16, 10, 1.6)
    assert (summary["width"], summary["height"]) == (384, 288)
    assert summary["mcq"] == {"answered": 2, "not_answered": 1}
    assert summary["events"] is None
    assert set(summary["timings_s"]) >= {"pass", "detect", "draw_and_encode"}


def test_mot_and_coco_hold_the_same_boxes(labelled: Path) -> None:
    """Both label files have a line for every box."""
    lines = (labelled / "tracks_mot.txt").read_text().splitlines()
    assert len(lines) == len(load(labelled / "annotations_coco.json")["annotations"])


def test_answers_say_what_they_rest_on(labelled: Path) -> None:
    """Counts come from labels, light from measurement, and the rest is open with the reason."""
    people, light, wave = load(labelled / "mcq.json")["questions"]
    assert (people["answer"], people["source"]) == ("3+", "labels")
    assert (light["answer"], light["source"]) == ("bright", "measured")
    assert (wave["status"], wave["reason"]) == ("not_answered", "no VLM endpoint is configured")
    events = load(labelled / "events.json")
    assert (events["status"], events["reason"]) == ("not_answered", "no VLM endpoint is configured")


def test_progress_is_filed(labelled: Path) -> None:
    """The progress file ends at the last frame."""
    progress = load(labelled.parents[1] / "progress.json")
    assert (progress["done"], progress["unit"]) == (16, "frames")


def test_model_answers_questions_and_events(serve: Any, short_clip: Path, bank: Path, tmp_path: Path) -> None:
    """With an endpoint, its answers and events are in the files, and its key is nowhere."""
    event = {"start_time": 0.2, "end_time": 1.0, "category": "normal", "event_caption": "People walk."}

    def speak(request: dict[str, Any]) -> str:
        if "multiple-choice" in request["messages"][0]["content"]:
            return '{"wave": "no"}'
        return f'{{"scene": "campus"}} {json.dumps({"events": [event]})}'

    with serve(speak) as server:
        done = run(
            f"data.input_video={short_clip}",
            f"data.output_dir={tmp_path}",
            f"data.question_bank={bank}",
            f"endpoints.vlm.url={server.url}",
            VLM_API_KEY=KEY,
        )
    assert done.returncode == 0, done.stderr
    assert server.authorizations == [f"Bearer {KEY}"] * 2
    wave = load(tmp_path / "mcq.json")["questions"][2]
    assert (wave["answer"], wave["source"]) == ("no", "vlm")
    assert load(tmp_path / "events.json")["events"][0]["event_caption"] == "People walk."
    assert load(tmp_path / "summary.json")["events"] == {"normal": 1}
    written = done.stdout + "".join(path.read_text(errors="replace") for path in tmp_path.iterdir())
    assert KEY not in written


def test_super_resolution_without_an_engine_is_said(short_clip: Path, tmp_path: Path) -> None:
    """Enlarged detection keeps the clip's size and coordinates and notes the method."""
    done = run(
        f"data.input_video={short_clip}", f"data.output_dir={tmp_path}", "super_resolution.enabled=true"
    )
    assert done.returncode == 0, done.stderr
    summary = load(tmp_path / "summary.json")
    assert "Lanczos" in summary["notes"][0]
    assert (summary["width"], summary["height"]) == (384, 288)
    right = [
        note["bbox"][0] + note["bbox"][2] for note in load(tmp_path / "annotations_coco.json")["annotations"]
    ]
    assert 300 < max(right) <= 384.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--confg", "x"], "--confg"),
        (["--config", "{tmp}/nothing.yaml"], "does not exist"),
        (["data.output_dir={tmp}/out"], "data.input_video is missing"),
        (["data.input_video={clip}"], "data.output_dir is missing"),
        (["data.input_video={tmp}/gone.mp4", "data.output_dir={tmp}/out"], "gone.mp4"),
        (["data.input_video={bank}", "data.output_dir={tmp}/out"], "question_bank.json"),
        (["data.input_video={clip}", "data.output_dir={tmp}/out", "trackin.iou=0.3"], "'trackin'"),
        (["data.input_video={clip}", "data.output_dir={tmp}/out", "tracking.iou=3"], "tracking.iou"),
        (["data.input_video={clip}", "data.output_dir={tmp}/out", "detection.classes=[cra]"], "'car'"),
        (["data.input_video={clip}", "data.output_dir={tmp}/out", "data.video_name=a b"], "'a b'"),
        (["data.input_video={clip}", "data.output_dir={tmp}/out", "data.question_bank={clip}"], "short.mp4"),
        (["data.input_video={clip}", "data.output_dir={bank}/out"], "output folder"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    arguments: list[str], words: str, short_clip: Path, bank: Path, tmp_path: Path
) -> None:
    """Bad input ends with exit code 2 and one line that names it; nothing is created."""
    done = run(*(part.format(tmp=tmp_path, clip=short_clip, bank=bank) for part in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_termination_leaves_no_half_file(sample_clip: Path, tmp_path: Path) -> None:
    """Stopped while it works, the worker leaves neither a half overlay nor a temporary file."""
    out, progress = tmp_path / "out", tmp_path / "progress.json"
    process = subprocess.Popen(
        command(f"data.input_video={sample_clip}", f"data.output_dir={out}"),
        stdout=subprocess.DEVNULL,
        env=os.environ | {"VDA_PROGRESS_FILE": str(progress)},
    )
    while not progress.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert list(out.iterdir()) == []


def test_help_shows_an_example() -> None:
    """The help has a whole command line to copy."""
    done = run("--help")
    assert done.returncode == 0
    assert "data.input_video=clip.mp4" in done.stdout
