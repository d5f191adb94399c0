"""What a run shows at its end: whole, rendered as well as can be, true to its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skill_tools.storage.mirror import RunMirror
from skill_tools.tool import Outcome
from skill_tools.tools.report import ReportOutput
from skill_tools.tools.report import witness as labels_seen
from skill_tools.tools.stage_artifacts import StageArtifactsOutput
from skill_tools.tools.stage_artifacts import witness as frames_seen
from tests.policy.rule_bench import DEMO_RUN, LOCAL_RUN, facts, outcomes
from tests.tools.workspace_bench import make_clip

SAYS = "The clips are from the demo data set nvidia/video-data-augmentation-demo; none were given."
MANIFEST = {"car_aug0": {"weather": "rain"}}


@pytest.mark.breaks("INPUT-DISCLOSE")
@pytest.mark.keeps("INPUT-DISCLOSE")
def test_a_demo_run_says_where_its_clips_are_from() -> None:
    """The disclosure is among the bubbles, or the result is refused; other runs have nothing to disclose."""
    told = {"data": {"disclosure": SAYS}, "messages": ["LOCAL_RUN_DIR=/clips/x", SAYS]}
    silent = {"data": {"disclosure": SAYS}, "messages": ["LOCAL_RUN_DIR=/clips/x"]}
    empty = {"data": {"disclosure": ""}, "messages": []}
    for after, expected in ((told, ["fix"]), (silent, ["deny"]), (empty, ["deny"])):
        given = facts("report", run=DEMO_RUN, after=after)
        assert [one.outcome for one in outcomes("INPUT-DISCLOSE", given).decisions] == expected
    assert not outcomes("INPUT-DISCLOSE", facts("report", run=LOCAL_RUN, after=empty)).decisions


def staged(*videos: str, variants: int = 1) -> dict[str, Any]:
    """Return what came of staging these clips."""
    return {"data": {"clips": [{"video": video, "variants": [{}] * variants} for video in videos]}}


PREPARED = {"prepare_dataset": {"clips": [{"video": "car"}, {"video": "bus"}]}}


@pytest.mark.breaks("STAGE-FULL")
@pytest.mark.parametrize("after", [staged("car"), staged("car", "bus", variants=0), staged()])
def test_a_run_that_was_staged_in_part_is_refused(after: dict[str, Any]) -> None:
    """A clip or its variants that did not come along are named."""
    (decision,) = outcomes("STAGE-FULL", facts("stage_artifacts", passed=PREPARED, after=after)).decisions
    assert decision.outcome == "deny"
    assert decision.corrected
    assert decision.corrected.tool == "stage_artifacts"


@pytest.mark.breaks("STAGE-FULL")
@pytest.mark.keeps("STAGE-FULL")
def test_one_clip_asked_for_is_the_whole_run_staged() -> None:
    """Whoever asks for one clip gets all, and is told; a call for all needs no word."""
    one = facts("stage_artifacts", passed=PREPARED, after=staged("car", "bus"), video="car")
    assert [each.outcome for each in outcomes("STAGE-FULL", one).decisions] == ["fix"]
    everything = facts("stage_artifacts", passed=PREPARED, after=staged("car", "bus"))
    assert not outcomes("STAGE-FULL", everything).decisions


def rendered(kind: str, *failures: str, no_encoder: bool = False, media: int = 1) -> dict[str, Any]:
    """Return what came of rendering one side by side."""
    comparison = {"name": "car_aug0", "kind": kind, "failures": list(failures), "no_encoder": no_encoder}
    return {"data": {"comparisons": [comparison]}, "messages": ["MEDIA:/clips/x.mp4"] * media}


@pytest.mark.breaks("RENDER-RETRY")
@pytest.mark.keeps("RENDER-RETRY")
def test_a_render_that_failed_is_told_with_what_came_of_it() -> None:
    """The second try and the picture instead are both said; a first try that worked is not."""
    second = outcomes("RENDER-RETRY", facts("render_compare", after=rendered("video", "disk full"))).decisions
    assert [(one.outcome, "second try" in one.reason) for one in second] == [("fix", True)]
    still = outcomes("RENDER-RETRY", facts("render_compare", after=rendered("picture", "a", "b"))).decisions
    assert "a picture instead" in still[0].reason
    assert not outcomes("RENDER-RETRY", facts("render_compare", after=rendered("video"))).decisions


@pytest.mark.breaks("RENDER-FALLBACK")
@pytest.mark.keeps("RENDER-FALLBACK")
def test_without_an_encoder_the_files_themselves_are_shown() -> None:
    """Two media lines stand for the side by side; a fallback that shows nothing is refused."""
    for after, expected in (
        (rendered("pair", "no encoder", no_encoder=True, media=2), ["fix"]),
        (rendered("pair", "no encoder", no_encoder=True, media=0), ["deny"]),
        (rendered("video"), []),
    ):
        given = facts("render_compare", after=after)
        assert [one.outcome for one in outcomes("RENDER-FALLBACK", given).decisions] == expected


def reported(
    told: str = "  car_aug0: weather: rain\n    labels of the variant: 2 car, 1 truck",
    *,
    weather: str = "rain",
    labels: dict[str, dict[str, int]] | None = None,
    unreadable: tuple[str, ...] = (),
    manifest: dict[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Return what came of a report: what it tells, and what lies in the files."""
    variant = {
        "video": "/clips/outputs/augmented/car_aug0/augmented_video.mp4",
        "sampled_vars": {"weather": weather},
    }
    return {
        "data": {"clips": [{"video": "car", "variants": [variant]}]},
        "messages": [f"car\n{told}", "Report: /clips/report.html"],
        "witness": {
            "manifest": MANIFEST if manifest is None else manifest,
            "labels": {"car_aug0": {"car": 2, "truck": 1}} if labels is None else labels,
            "unreadable": list(unreadable),
        },
    }


@pytest.mark.breaks("SUMMARY-TRUTH")
@pytest.mark.parametrize(
    "after",
    [
        reported(weather="fog"),
        reported(manifest={}),
        reported(manifest=MANIFEST | {"car_aug1": {"weather": "fog"}}),
        reported("  car_aug0: weather: rain\n    labels of the variant: 3 car, 1 truck"),
        reported("  car_aug0: weather: rain\n    labels of the variant: nothing tracked"),
        reported("  car_aug0: weather: rain"),
        reported(labels={}),
        reported(unreadable=("/clips/outputs/x/mcq.json",)),
    ],
    ids=[
        "value",
        "not in manifest",
        "left out",
        "count",
        "nothing",
        "no labels told",
        "no labels",
        "no JSON",
    ],
)
def test_a_summary_that_its_files_deny_is_refused(after: dict[str, Any]) -> None:
    """Values, counts, missing and unreadable files: each is named, and staging comes again."""
    (decision,) = outcomes("SUMMARY-TRUTH", facts("report", after=after)).decisions
    assert decision.outcome == "deny"
    assert decision.corrected
    assert decision.corrected.tool == "stage_artifacts"


@pytest.mark.keeps("SUMMARY-TRUTH")
def test_a_summary_of_what_the_files_hold_passes() -> None:
    """Also one in which nothing was tracked, and a report that failed for another reason."""
    assert not outcomes("SUMMARY-TRUTH", facts("report", after=reported())).decisions
    nothing = reported(
        "  car_aug0: weather: rain\n    labels of the variant: nothing tracked", labels={"car_aug0": {}}
    )
    assert not outcomes("SUMMARY-TRUTH", facts("report", after=nothing)).decisions
    assert not outcomes("SUMMARY-TRUTH", facts("report", after={"problem": "artifact.missing"})).decisions


@pytest.mark.breaks("SUMMARY-TRUTH")
@pytest.mark.keeps("SUMMARY-TRUTH")
def test_e2e_shows_the_labels_of_both_sides() -> None:
    """A run that labels originals too has to tell of them."""
    run = LOCAL_RUN.model_copy(update={"flow": "e2e"})
    labels = {"car_aug0": {"car": 2, "truck": 1}, "car": {"car": 2}}
    counts = "    labels of the original: 2 car\n    labels of the variant: 2 car, 1 truck"
    told = f"  car_aug0: weather: rain\n{counts}"
    assert not outcomes(
        "SUMMARY-TRUTH", facts("report", run=run, after=reported(told, labels=labels))
    ).decisions
    (decision,) = outcomes("SUMMARY-TRUTH", facts("report", run=run, after=reported(labels=labels))).decisions
    assert "labels of car" in decision.reason


COCO = {"images": [{"id": 1}], "categories": [{"id": 3}], "annotations": []}
SOUND = {
    "annotations_coco.json": {**COCO, "annotations": [{"image_id": 1, "category_id": 3}]},
    "summary.json": {"tracks": {"car": 2, "bus": 0}},
    "mcq.json": {"questions": []},
    "events.json": {"events": []},
    "more.json": {},
}
UNSOUND = [
    ("mcq.json", "no JSON"),
    ("more.json", []),
    ("events.json", {"events": None}),
    ("summary.json", {}),
    ("summary.json", {"tracks": {"car": "two"}}),
    ("annotations_coco.json", {"images": [], "annotations": []}),
    ("annotations_coco.json", {**COCO, "annotations": [{"image_id": 2, "category_id": 3}]}),
    ("annotations_coco.json", {**COCO, "annotations": [{"image_id": 1, "category_id": 4}]}),
    ("annotations_coco.json", {**COCO, "annotations": [{"image_id": 1}]}),
]


@pytest.mark.breaks("SUMMARY-TRUTH")
@pytest.mark.parametrize(("name", "document"), UNSOUND)
def test_a_label_file_that_is_none_is_named(tmp_path: Path, name: str, document: Any) -> None:
    """Cut short, of another kind, without its own fields, or leading nowhere: the files are read again."""
    folder = labelled(tmp_path)
    assert labels_in(tmp_path) == {
        "manifest": {},
        "labels": {"car_aug0": {"car": 2}},
        "unreadable": [],
    }
    folder.joinpath(name).write_text(document if isinstance(document, str) else json.dumps(document))
    assert labels_in(tmp_path)["unreadable"] == [str(folder / name)]


def labelled(root: Path) -> Path:
    """Write sound labels of one variant and return their folder."""
    folder = RunMirror(root).variant_labels("car", 0)
    folder.mkdir(parents=True)
    for name, document in SOUND.items():
        folder.joinpath(name).write_text(json.dumps(document))
    return folder


def labels_in(root: Path) -> Any:
    """Return what a report's witness reads in a staged run."""
    return labels_seen(Outcome(ReportOutput.model_construct(run_local_dir=str(root))))


@pytest.mark.breaks("STAGE-FULL")
@pytest.mark.keeps("STAGE-FULL")
def test_the_frames_of_each_staged_video_are_counted(tmp_path: Path) -> None:
    """A variant of its source's length passes; one that lacks frames, or doesn't decode, is refused."""
    clip, variant = make_clip(tmp_path / "car.mp4"), tmp_path / "car_aug0.mp4"
    for write, expected in (
        (lambda: make_clip(variant), []),
        (lambda: make_clip(variant, frames=9), ["deny"]),
        (lambda: variant.write_bytes(b"no video"), ["deny"]),
    ):
        write()
        one = {"name": "car_aug0", "aug_idx": 0, "labels_dir": None, "sampled_vars": {}}
        clips = [
            {
                "video": "car",
                "input": str(clip),
                "labels_dir": None,
                "variants": [one | {"video": str(variant)}],
            }
        ]
        output = StageArtifactsOutput(
            run_local_dir=str(tmp_path),
            dataset="car",
            clips=clips,
            variants=[],
            manifests=[],
            files=1,
            seconds=0,
        )
        after = {"data": output.model_dump(mode="json"), "witness": frames_seen(Outcome(output))}
        given = facts(
            "stage_artifacts", passed={"prepare_dataset": {"clips": [{"video": "car"}]}}, after=after
        )
        assert [one.outcome for one in outcomes("STAGE-FULL", given).decisions] == expected
