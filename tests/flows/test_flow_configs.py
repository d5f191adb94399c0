"""Cookbooks, manifests and plans."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from skill_tools.errors import ArtifactError, InputError
from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.configs import (
    VOCABULARY,
    cookbook_named,
    list_cookbooks,
    plan_batches,
    read_cookbook,
    read_manifest,
)
from skill_tools.workers.augmentation.vocabulary import SYNONYMS, VALUES
from tests.flows.submit_values import SKILL_DIR

COOKBOOKS = SKILL_DIR / "assets" / "cookbooks"


def cookbook_file(folder: Path, augmentation: object) -> Path:
    """Write a cookbook's workflow_config.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "workflow_config.yaml").write_text(yaml.safe_dump({"augmentation": augmentation}))
    return folder


@pytest.mark.parametrize("scene", list_cookbooks(COOKBOOKS))
def test_the_skills_cookbooks_are_read(scene: str) -> None:
    """Each has variables of the vocabulary whose weights sum to one."""
    cookbook = cookbook_named(scene, COOKBOOKS)
    assert cookbook.name == scene
    assert cookbook.n_augmentations >= 1
    assert cookbook.variables
    for name, weights in cookbook.variables.items():
        assert set(weights) <= set(VOCABULARY[name])
        assert sum(weights.values()) == pytest.approx(1)


def test_an_unknown_cookbook_is_refused_with_the_nearest() -> None:
    """A slip of the pen gets the scene that was probably meant."""
    with pytest.raises(InputError, match="did you mean warehouse") as caught:
        cookbook_named("warehose", COOKBOOKS)
    assert caught.value.code == "input.unknown_cookbook"


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        ({"variables": {"weather": {"rain": 0.5}}}, "weights of weather sum to 0.5"),
        ({"variables": {"weather": {"rain": 1.5, "fog": -0.5}}}, "weight of weather: fog is -0.5"),
        ({"variables": {"weather": {"rian": 1}}}, "did you mean rain"),
        ({"variables": {"wether": {"rain": 1}}}, "did you mean weather"),
        ({"variables": {"weather": {"rain": 1}}, "n_augmentations": 0}, "n_augmentations"),
        ({"variables": {"weather": {"rain": 1}}, "extra": 0}, "extra"),
        ({}, "variables"),
    ],
)
def test_a_broken_cookbook_is_refused_with_what_is_wrong(
    tmp_path: Path, augmentation: object, words: str
) -> None:
    """The message names the file and the mistake."""
    folder = cookbook_file(tmp_path / "scene", augmentation)
    with pytest.raises(InputError, match=r"workflow_config\.yaml") as caught:
        read_cookbook(folder)
    assert words in caught.value.message
    assert caught.value.code == "input.cookbook"


def test_fixed_variables_are_checked_against_all_that_can_be_rendered() -> None:
    """A value outside the cookbook's weights passes when it can be rendered; a slip gets the nearest."""
    cookbook = cookbook_named("city_traffic", COOKBOOKS)
    cookbook.check_variables({"weather": "snow", "surface_condition": "puddles"})
    with pytest.raises(InputError, match="did you mean golden_hour") as caught:
        cookbook.check_variables({"time_of_day": "golden hour"})
    assert caught.value.code == "input.unknown_value"
    with pytest.raises(InputError, match="did you mean weather") as caught:
        cookbook.check_variables({"wether": "rain"})
    assert caught.value.code == "input.unknown_variable"


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


def test_every_value_of_the_vocabulary_can_be_rendered_by_the_embedded_worker() -> None:
    """No cookbook and no fixed variable asks for what the augmentation worker does not know."""
    for name, values in VOCABULARY.items():
        assert set(values) <= set(VALUES[SYNONYMS.get(name, name)])
