"""`vda run` on the sample: from a clip to the side by side, the labels and the report, by one command."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from skill_tools.flows.configs import read_manifest
from skill_tools.media.probe import probe
from skill_tools.media.video import read_frames
from skill_tools.storage.mirror import LABEL_FILES
from skill_tools.storage.url import file_url
from skill_tools.tool import ToolResult
from tests.e2e.conftest import FRAMES, SAMPLE, Finished, half_done
from tests.tools.workspace_bench import rules_in

STEPS = [
    "select_flow",
    "estimate_time",
    "preflight",
    "derive_storage_url",
    "prepare_dataset",
    "check_submission",
    "submit",
    "poll",
    "stage_artifacts",
    "render_compare",
    "report",
]


def variant_of(finished: Finished) -> dict[str, Any]:
    """Return the one variant of the run's one clip, as the result has it."""
    (clip,) = finished.result["data"]["clips"]
    (variant,) = clip["variants"]
    found: dict[str, Any] = variant
    return found


def label_folders(finished: Finished) -> dict[str, Path]:
    """Return the folders with the labels of original and variant."""
    (clip,) = finished.result["data"]["clips"]
    return {"original": Path(clip["labels_dir"]), "variant": Path(variant_of(finished)["labels_dir"])}


def brightness(video: Path) -> Iterator[float]:
    """Yield the mean of each frame's pixels."""
    for frame in read_frames(video):
        yield float(np.mean(frame.to_ndarray(format="gray")))


def test_standard_output_is_one_result(finished: Finished) -> None:
    """With --json the whole of standard output is the final ToolResult, and the exit code is 0."""
    assert finished.exit_code == 0, finished.stderr
    result = ToolResult.model_validate_json(finished.stdout)
    assert (result.ok, result.status, result.tool) == (True, "done", "report")
    assert (result.next, result.problem) == ([], None)


def test_progress_is_plain_lines_on_standard_error(finished: Finished) -> None:
    """Behind a pipe there are lines without control characters, with phases, frames and speed."""
    lines = finished.stderr.splitlines()
    assert not [line for line in lines if any(ord(char) < ord(" ") for char in line)]
    assert any("frames" in line and "fps" in line for line in lines)
    assert any(line.startswith("workflow") for line in lines)


def test_the_result_names_everything_that_was_made(finished: Finished) -> None:
    """Run, flow, engine, the clip with its variant, labels, side by side, report and timings."""
    data = finished.result["data"]
    assert (data["run_id"], data["flow"], data["engine"]) == (finished.run_id, "e2e", "local")
    assert Path(data["run_local_dir"]) == finished.workspace.settings.run_dir(finished.run_id)
    (clip,) = data["clips"]
    variant = variant_of(finished)
    for path in (clip["input"], variant["video"], variant["compare"], data["report"]):
        assert Path(path).is_file()
        assert Path(path).is_relative_to(data["run_local_dir"])
    for folder in (clip["labels_dir"], variant["labels_dir"]):
        assert sorted(file.name for file in Path(folder).iterdir()) == sorted(LABEL_FILES)
    groups = ("auto_labeling_original", "augmentation", "auto_labeling_augmented", "total")
    assert all(data["timings_s"][group] > 0 for group in groups)


def test_the_sampled_values_are_the_manifest_s(finished: Finished) -> None:
    """What is shown as sampled is what the manifest says, and the fixed value is among it."""
    (manifest,) = finished.mirror.manifests()
    (config,) = read_manifest(manifest).configs
    assert variant_of(finished)["sampled_vars"] == dict(config.sampled_vars)
    assert config.sampled_vars["weather"] == "rain"
    metadata = json.loads(finished.mirror.metadata("walkway", 0).read_text())
    assert metadata["sampled_vars"] == dict(config.sampled_vars)
    worker = yaml.safe_load((manifest.parent / Path(config.config).name).read_text())
    assert worker["augmentation"]["sampled_vars"] == dict(config.sampled_vars)


def test_the_variant_is_the_clip_in_another_light(finished: Finished) -> None:
    """Size, rate and every time stamp are the original's; the picture is another one and does not flicker."""
    original, variant = (
        Path(finished.result["data"]["clips"][0]["input"]),
        Path(variant_of(finished)["video"]),
    )
    for video in (original, variant):
        info = probe(video)
        assert (info.width, info.height, info.fps, info.frames) == (768, 576, probe(SAMPLE).fps, FRAMES)
    stamps = [[frame.time for frame in read_frames(video)] for video in (original, variant)]
    assert stamps[0] == stamps[1]
    before, after = list(brightness(original)), list(brightness(variant))
    assert abs(np.mean(before) - np.mean(after)) > 5
    assert max(abs(b - a) for a, b in pairwise(after)) < 10


def test_the_side_by_side_has_every_frame_of_both(finished: Finished) -> None:
    """It decodes to its end, 720 high, both halves beside each other, frame by frame."""
    compare = Path(variant_of(finished)["compare"])
    info = probe(compare)
    assert (info.height, info.frames) == (720, FRAMES)
    assert info.width == pytest.approx(2 * 960, abs=64)
    assert sum(1 for _ in read_frames(compare)) == FRAMES


@pytest.mark.parametrize("side", ["original", "variant"])
def test_the_labels_are_a_coco_data_set(finished: Finished, side: str) -> None:
    """Ids are unique and refer to each other, boxes lie in the picture, tracks go on over frames."""
    coco = json.loads((label_folders(finished)[side] / "annotations_coco.json").read_text())
    images = {image["id"]: image for image in coco["images"]}
    categories = {category["id"] for category in coco["categories"]}
    annotations = coco["annotations"]
    assert len(images) == len(coco["images"]) == FRAMES
    assert len({one["id"] for one in annotations}) == len(annotations) > FRAMES / 2
    for one in annotations:
        image = images[one["image_id"]]
        left, top, width, height = one["bbox"]
        assert one["category_id"] in categories
        assert 0 <= left <= left + width <= image["width"] + 1
        assert 0 <= top <= top + height <= image["height"] + 1
        assert width > 0 < height
        assert one["area"] == pytest.approx(width * height, rel=0.02)
        assert (one["iscrowd"], image["frame"]) == (0, one["frame"])
    assert max(Counter(one["track_id"] for one in annotations).values()) >= 5


@pytest.mark.parametrize("side", ["original", "variant"])
def test_the_tracks_are_the_same_in_both_formats(finished: Finished, side: str) -> None:
    """MOTChallenge lines count frames from 1 and hold as many boxes as the COCO file, with its ids."""
    folder = label_folders(finished)[side]
    coco = json.loads((folder / "annotations_coco.json").read_text())
    lines = [line.split(",") for line in (folder / "tracks_mot.txt").read_text().splitlines()]
    in_mot = Counter((int(line[0]) - 1, int(line[1])) for line in lines)
    assert in_mot == Counter((one["frame"], one["track_id"]) for one in coco["annotations"])
    assert probe(folder / "overlay.mp4").frames == FRAMES


def test_what_needs_a_model_of_language_says_that_nobody_asked_one(finished: Finished) -> None:
    """Without an endpoint a question is measured, counted from labels, or not answered with its reason."""
    for folder in label_folders(finished).values():
        questions = json.loads((folder / "mcq.json").read_text())["questions"]
        assert {one["source"] for one in questions if one["status"] == "answered"} <= {"measured", "labels"}
        assert all(one["reason"] for one in questions if one["status"] == "not_answered")
        assert json.loads((folder / "events.json").read_text())["status"] == "not_answered"


def test_the_media_line_stands_alone_and_the_report_is_one_page(finished: Finished) -> None:
    """A chat assistant gets the side by side in a bubble of its own; the page needs no other file."""
    media = [one["body"] for one in finished.result["messages"] if one["kind"] == "media"]
    assert media == [f"MEDIA:{variant_of(finished)['compare']}"]
    page = Path(finished.result["data"]["report"]).read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "rain" in page
    assert "boxes are found again on the variant" in page
    assert "_aug0: weather=rain implies surface=wet." in page
    assert 'src="http' not in page


def test_every_step_and_decision_is_in_the_journal(finished: Finished) -> None:
    """The calls of the run are on record in their order, all green, with what the policy decided."""
    with finished.workspace.journal() as journal:
        calls = journal.calls(finished.run_id)
        submissions = journal.submissions(finished.run_id)
        decisions = journal.decisions(finished.run_id)
    assert all(call.result.ok for call in calls)
    order = [call.tool for call in calls if call.tool in STEPS]
    assert list(dict.fromkeys(order)) == STEPS
    assert [one.state for one in submissions if one.batch == "0"] == ["sent"]
    assert "CACHE-AUTO" in {one.rule for one in decisions}
    assert not [one for one in decisions if one.outcome in {"deny", "ask"}]


def test_the_user_s_clip_is_untouched_and_its_copies_are_equal(finished: Finished) -> None:
    """What lies in the storage and in the mirror is the clip that was given, byte for byte."""
    given = (finished.workspace.folder / "clips" / "walkway.mp4").read_bytes()
    storage = finished.workspace.settings.local_storage / "datasets" / "walkway" / "walkway.mp4"
    assert storage.read_bytes() == finished.mirror.input("walkway").read_bytes() == given


def test_two_runs_at_once_in_one_workspace_both_complete(both_runs: tuple[Finished, Finished]) -> None:
    """Each has its own run, clips and variants, and nothing of the other's."""
    first, second = both_runs
    assert second.exit_code == 0, second.stderr
    assert first.run_id != second.run_id
    (clip,) = second.result["data"]["clips"]
    assert clip["video"] == "small"
    assert [Path(variant["video"]).parent.name for variant in clip["variants"]] == [
        "small_aug0",
        "small_aug1",
    ]
    files = [file.name for file in second.mirror.root.rglob("*")]
    assert not [name for name in files if "walkway" in name]


def test_nothing_is_left_running_and_nothing_half_done(finished: Finished) -> None:
    """After a run there is no process of it, and no temporary or partial file in the workspace."""
    assert finished.processes == ()
    assert half_done(finished.files) == []


def test_everything_lies_in_the_mirror_and_one_hidden_folder(finished: Finished) -> None:
    """A workspace holds `media` for people and `.vda` for the tools."""
    assert sorted(path.name for path in finished.workspace.root.iterdir()) == [".vda", "media"]


def test_the_run_is_listed_shown_and_audited(finished: Finished) -> None:
    """`vda runs`, `show` and `audit` tell the finished run from the journal alone."""
    workspace = finished.workspace
    listed = {row["run_id"]: row for row in json.loads(workspace.vda("runs", "--json").stdout)}
    assert listed[finished.run_id]["state"] == "complete"
    shown = json.loads(workspace.vda("show", finished.run_id, "--json").stdout)
    assert (shown["state"], shown["next"]) == ("complete", None)
    assert shown["result"] == finished.result["data"]
    assert finished.run_id in workspace.vda("show", finished.run_id).stdout
    audit = json.loads(workspace.vda("audit", finished.run_id, "--json").stdout)
    assert "CACHE-AUTO" in {one["rule"] for one in audit}


def test_the_log_of_a_task_can_be_read_afterwards(finished: Finished) -> None:
    """`vda logs` shows a task's lines; a task that isn't one is answered with the nearest."""
    log = finished.workspace.vda("logs", finished.run_id, "--task", "cosmos_worker_0")
    assert (log.returncode, bool(log.stdout.strip())) == (0, True)
    wrong = finished.workspace.vda("logs", finished.run_id, "--task", "cosmos_worker_O")
    assert wrong.returncode == 2
    assert "cosmos_worker_0" in wrong.stderr


def test_the_documented_lines_stage_and_render_the_run(finished: Finished) -> None:
    """Both print the paths under their names: of the mirror, of the labels, of the side by side."""
    data, workspace = finished.result["data"], finished.workspace
    storage = file_url(workspace.settings.local_storage)
    staged = workspace.vda(
        *("script", "--", "bash", "scripts/stage_run_artifacts.sh"),
        *("--storage-url", storage, "--dataset", data["dataset"], "--run-id", finished.run_id),
        *("--video", "walkway", "--run-local-dir", data["run_local_dir"]),
    )
    assert staged.returncode == 0, staged.stderr
    (clip,), variant = data["clips"], variant_of(finished)
    assert dict(line.split("=", 1) for line in staged.stdout.splitlines()) == {
        "LOCAL_RUN_DIR": data["run_local_dir"],
        "LOCAL_INPUT_VIDEO": clip["input"],
        "LOCAL_AUGMENTED_VIDEO": variant["video"],
        "LOCAL_MANIFEST": str(next(finished.mirror.manifests())),
        "LOCAL_AUG_LABEL_DIR": variant["labels_dir"],
        "LOCAL_ORIG_LABEL_DIR": clip["labels_dir"],
    }
    rendered = workspace.vda(
        *("script", "--", "bash", "scripts/render_side_by_side.sh"),
        *("--run-local-dir", data["run_local_dir"], "--dataset", data["dataset"], "--video", "walkway"),
    )
    assert rendered.returncode == 0, rendered.stderr
    assert rendered.stdout.splitlines() == [
        f"COMPARE_VIDEO={variant['compare']}",
        f"INPUT_VIDEO={clip['input']}",
        f"AUGMENTED_VIDEO={variant['video']}",
        f"MEDIA:{variant['compare']}",
    ]


def test_the_next_estimate_is_made_from_this_machine_s_own_speed(finished: Finished) -> None:
    """A workspace that has completed a run judges the next from it."""
    assert finished.result["data"]["speeds_mpx_s"].keys() == {"augment", "label"}
    run_id = finished.workspace.begin(str(SAMPLE), flow="e2e")
    estimate = finished.workspace.call("estimate_time", run_id=run_id)
    assert estimate.data["cold"] is False
    assert "this machine's own runs" in str(estimate.data["bullets"])
    assert rules_in(estimate) == []
