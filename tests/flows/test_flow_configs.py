"""Manifests and plans."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from skill_tools.errors import ArtifactError, InputError
from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.configs import plan_batches, read_manifest

ENTRY = {
    "video": "a.mp4",
    "video_name": "a",
    "aug_idx": 1,
    "config": "a_aug1.yaml",
    "sampled_vars": {"weather": "rain"},
}


def test_a_manifest_is_read_into_entries(tmp_path: Path) -> None:
    """Entries know their folder and are found by clip and index."""
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"configs": [ENTRY], "total": 1}))
    manifest = read_manifest(path)
    assert manifest.configs[0].name == "a_aug1"
    assert manifest.entry("a", 1) == manifest.configs[0]
    assert manifest.entry("a", 0) is None
    assert manifest.of_clip("b") == ()


@pytest.mark.parametrize(
    "text", ["", "configs: [", "configs: []", yaml.safe_dump({"configs": [ENTRY], "total": 2}), "[1]"]
)
def test_a_broken_manifest_is_an_artifact_error(tmp_path: Path, text: str) -> None:
    """Half a file, another shape or a wrong total can't be trusted."""
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    with pytest.raises(ArtifactError) as caught:
        read_manifest(path)
    assert caught.value.code == "artifact.manifest"
    with pytest.raises(ArtifactError):
        read_manifest(tmp_path / "none.yaml")


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    ("clips", "n", "workers"), [(1, 1, None), (19, 1, None), (20, 1, None), (100, 4, None), (100, 4, 3)]
)
def test_a_plan_holds_every_clip_once_in_order_and_evenly(
    flow: str, clips: int, n: int, workers: int | None
) -> None:
    """Batches are numbered from 0, differ by one clip at most and stay within 20 tasks."""
    videos = [f"clip{i}" for i in range(clips)]
    batches = plan_batches(videos, n, FLOWS[flow], workers=workers)
    assert [video for batch in batches for video in batch.videos] == videos
    assert [batch.index for batch in batches] == list(range(len(batches)))
    sizes = {len(batch.videos) for batch in batches}
    assert max(sizes) - min(sizes) <= 1
    assert all(batch.tasks <= 20 for batch in batches)


def test_plans_use_no_more_workflows_than_needed() -> None:
    """Nineteen clips are labelled in one workflow; twenty need two; with workers any number fits one."""
    assert len(plan_batches([f"c{i}" for i in range(19)], 1, FLOWS["auto_labeling"])) == 1
    assert [len(b.videos) for b in plan_batches([f"c{i}" for i in range(20)], 1, FLOWS["auto_labeling"])] == [
        10,
        10,
    ]
    assert len(plan_batches([f"c{i}" for i in range(500)], 2, FLOWS["e2e"], workers=2)) == 1


def test_one_clip_with_too_many_variants_shares_workers() -> None:
    """A clip's variants stay in one workflow, whose workers then take several."""
    (batch,) = plan_batches(["a"], 64, FLOWS["e2e"])
    assert batch.workers == 9
    assert batch.tasks == 20


@pytest.mark.parametrize(
    ("videos", "n", "workers"), [([], 1, None), (["a", "a"], 1, None), (["a"], 0, None), (["a"], 1, 0)]
)
def test_a_plan_without_sense_is_refused(videos: list[str], n: int, workers: int | None) -> None:
    """No clips, a clip twice, no variants, no workers."""
    with pytest.raises(InputError) as caught:
        plan_batches(videos, n, FLOWS["e2e"], workers=workers)
    assert caught.value.code == "input.plan"
