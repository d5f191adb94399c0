"""The cookbooks of the skill pass their own check to the last warning, and say what their scenes need."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

from skill_tools.cookbooks.check import check
from skill_tools.cookbooks.document import read_document
from skill_tools.cookbooks.files import (
    AUGMENTATION,
    CAPTION_PROMPT,
    EVENT_PROMPT,
    LABELING,
    POLISHING_PROMPT,
    QUESTION_BANK,
    TEMPLATE_PROMPT,
)
from skill_tools.cookbooks.vocabulary import VOCABULARY
from skill_tools.workers.labeling.config import load_config
from skill_tools.workers.labeling.questions import load_bank, option_for_count
from tests.cookbooks.cookbook_bench import COOKBOOKS, SCHEMAS, shelf

SCENES = shelf(COOKBOOKS / "none").names()
"""Every folder here, somebody's own among them."""
DELIVERED = {
    "city_traffic": (60, 6),
    "piazza": (30, 3),
    "robot_assembly": (30, 6),
    "trailer_dashcam": (45, 6),
    "warehouse": (45, 3),
}
"""The cookbooks of the skill, with how many frames a track is remembered and the rate of questions."""


@pytest.fixture(params=SCENES)
def cookbook(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each cookbook in turn."""
    return COOKBOOKS / str(request.param)


def test_every_folder_is_offered() -> None:
    """Each folder is a cookbook that can be chosen, and the five of the skill are among them."""
    assert sorted(folder.name for folder in COOKBOOKS.iterdir() if folder.is_dir()) == list(SCENES)
    assert set(DELIVERED) <= set(SCENES)


def test_a_cookbook_passes_its_check(cookbook: Path) -> None:
    """What `vda cookbook check --strict` looks for is found in none of them."""
    assert [problem.told(cookbook) for problem in check(cookbook, SCHEMAS)] == []


@pytest.mark.parametrize("scene", DELIVERED)
def test_the_evaluators_have_their_calibrated_parameters(scene: str) -> None:
    """The hallucination check keeps its calibrated figures and both evaluators are on."""
    evaluators = yaml.safe_load((COOKBOOKS / scene / AUGMENTATION).read_text("utf-8"))["evaluators"]
    assert evaluators == {
        "hallucination_check": {
            "enabled": True,
            "threshold": 0.682,
            "grad_thresh": 10,
            "blur_ksize": 7,
            "morph_k": 3,
            "dist_tol_px": 7,
        },
        "attribute_verification": {"enabled": True},
    }


def test_the_workers_take_what_passes_the_check(cookbook: Path) -> None:
    """The labeling worker reads config and bank without a change, and states every key that there is."""
    file = cookbook / LABELING
    config = load_config(file, ["data.input_video=clip.mp4", "data.output_dir=out"])
    if cookbook.name in DELIVERED:
        assert (config.tracking.max_age, config.events.fps) == DELIVERED[cookbook.name]
        assert config.mcq.fps == config.events.fps
    assert config.model_dump(mode="json").keys() == yaml.safe_load(file.read_text("utf-8")).keys()
    for question in load_bank(str(cookbook / QUESTION_BANK)).questions:
        if question.source.startswith("count:"):
            chosen = [option_for_count(number, question.options) for number in range(100)]
            assert tuple(dict.fromkeys(chosen)) == question.options


def test_a_bank_chains_and_measures(cookbook: Path) -> None:
    """A bank has chains, measures all that varies in its scene, counts, and aggregates in both ways."""
    questions = load_bank(str(cookbook / QUESTION_BANK)).questions
    config, _ = read_document(cookbook, "workflow_config.yaml")
    assert config
    sources = {question.source for question in questions}
    assert sum(question.include_if is not None for question in questions) >= 3
    assert {question.aggregate for question in questions} == {"any", "majority"}
    assert set(config.at("augmentation", "variables")) <= sources
    assert any(source.startswith("count:") for source in sources)


@pytest.mark.parametrize("name", [CAPTION_PROMPT, TEMPLATE_PROMPT, POLISHING_PROMPT, EVENT_PROMPT])
def test_each_scene_has_prompts_of_its_own(name: str) -> None:
    """Two scenes' prompts of one kind share at most a tenth of their five-word phrases."""
    for one, other in itertools.combinations(DELIVERED, 2):
        first, second = (_phrases(COOKBOOKS / scene / name) for scene in (one, other))
        assert len(first & second) <= min(len(first), len(second)) / 10, (one, other)


def _phrases(file: Path) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z_]+", file.read_text(encoding="utf-8").lower())
    return set(zip(*(words[start:] for start in range(5)), strict=False))


@pytest.mark.parametrize("scene", DELIVERED)
def test_the_caption_prompt_asks_for_the_clip_as_it_is(scene: str) -> None:
    """A caption tells the source's own conditions, so that nothing in its prompt is a slot."""
    text = (COOKBOOKS / scene / CAPTION_PROMPT).read_text(encoding="utf-8")
    assert not re.findall(r"\[\w+\]", text)
    assert re.search(r"\b\d+ to 1?\d0 words|\b\d+ and \d+ words", text)


@pytest.mark.parametrize("scene", DELIVERED)
def test_a_guide_tells_the_risk_of_every_value_it_names(scene: str) -> None:
    """The table of risks speaks of settings, values and classes that the cookbook's files can have."""
    text = (COOKBOOKS / scene / "README.md").read_text(encoding="utf-8")
    table = text.split("## Risk if wrong")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 5
    document, _ = read_document(COOKBOOKS / scene, LABELING)
    assert document
    known = {place[-1] for place in document.lines} | set(VOCABULARY)
    known |= {value for values in VOCABULARY.values() for value in values}
    augmentation, _ = read_document(COOKBOOKS / scene, AUGMENTATION)
    assert augmentation
    known |= {place[-1] for place in augmentation.lines}
    schema = (SCHEMAS / "cookbooks" / "auto_labeling_config.schema.json").read_text(encoding="utf-8")
    for word in re.findall(r"`([a-z_.]+)`", " ".join(rows)):
        assert word.rpartition(".")[2] in known or f'"{word}"' in schema, word
