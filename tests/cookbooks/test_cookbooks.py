"""Every cookbook is whole, renders nothing that it shouldn't, and asks only what can be answered."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from skill_tools.flows.configs import VOCABULARY, list_cookbooks, read_cookbook
from skill_tools.workers.labeling.config import load_config
from skill_tools.workers.labeling.questions import load_bank, option_for_count

ROOT = Path(__file__).resolve().parents[2]
COOKBOOKS = ROOT / "assets" / "cookbooks"
SCENES = list_cookbooks(COOKBOOKS)
"""Every folder here, somebody's own among them."""
DELIVERED = {
    "city_traffic": (60, 6),
    "piazza": (30, 3),
    "robot_assembly": (30, 6),
    "trailer_dashcam": (45, 6),
    "warehouse": (45, 3),
}
"""The cookbooks of the skill, with how many frames a track is remembered and the rate of questions."""
CATEGORIES = ("collision", "near_miss", "anomaly", "normal")

SENT_FILES = (
    "workflow_config.yaml",
    "augmentation/augmentation.yaml",
    "augmentation/prompts/prompt_polishing_system_prompt.md",
    "augmentation/prompts/template_generation_system_prompt.md",
    "auto_labeling/auto_labeling_config.yaml",
    "auto_labeling/prompts/event_analysis.md",
    "auto_labeling/question_bank.json",
)
PROMPTS = tuple(name for name in SENT_FILES if "/prompts/" in name)

QUESTION_BANK_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "scene", "questions"],
    "properties": {
        "version": {"const": "1.0"},
        "scene": {"type": "string"},
        "questions": {"type": "array", "minItems": 10, "items": {"$ref": "#/$defs/question"}},
    },
    "$defs": {
        "options": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 2,
            "uniqueItems": True,
        },
        "question": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id", "question", "options", "type", "source", "aggregate"],
            "properties": {
                "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
                "question": {"type": "string", "pattern": r"\?"},
                "options": {"$ref": "#/$defs/options"},
                "type": {"enum": ["single", "multi", "boolean"]},
                "source": {
                    "anyOf": [
                        {"enum": ["vlm", *VOCABULARY]},
                        {"type": "string", "pattern": "^count:[a-z ]+$"},
                    ]
                },
                "aggregate": {"enum": ["any", "majority"]},
                "include_if": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["question", "in"],
                    "properties": {
                        "question": {"type": "string"},
                        "in": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    },
                },
            },
            "if": {"properties": {"type": {"const": "boolean"}}},
            "then": {"properties": {"options": {"const": ["yes", "no"]}}},
        },
    },
}


@pytest.fixture(params=SCENES)
def cookbook(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each cookbook in turn."""
    return COOKBOOKS / str(request.param)


def _yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _questions(cookbook: Path) -> list[dict[str, Any]]:
    bank = json.loads((cookbook / "auto_labeling" / "question_bank.json").read_text(encoding="utf-8"))
    return list(bank["questions"])


def _events_objects(cookbook: Path) -> list[dict[str, Any]]:
    """Return the JSON objects that the event prompt shows as its answer."""
    text = (cookbook / "auto_labeling/prompts/event_analysis.md").read_text(encoding="utf-8")
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(text, found.start())[0] for found in re.finditer(r"^\{", text, re.MULTILINE)]


def test_every_folder_is_offered() -> None:
    """Each folder is a cookbook that can be chosen, and the five of the skill are among them."""
    assert sorted(folder.name for folder in COOKBOOKS.iterdir() if folder.is_dir()) == list(SCENES)
    assert set(DELIVERED) <= set(SCENES)


def test_a_cookbook_is_whole(cookbook: Path) -> None:
    """A cookbook has its guide and every file that a task needs, and none that nobody knows."""
    files = {str(path.relative_to(cookbook)) for path in cookbook.rglob("*") if path.is_file()}
    assert files == {"README.md", *SENT_FILES}


def test_nothing_that_is_sent_is_a_template(cookbook: Path) -> None:
    """No file that is sent into a task holds an opening marker of Jinja."""
    for name in SENT_FILES:
        assert not re.findall(r"\{[{%#]", (cookbook / name).read_text(encoding="utf-8")), name


def test_weights_are_a_distribution_over_known_values(cookbook: Path) -> None:
    """The cookbook reads without complaint; its weights sum to 1, each value counts and can be rendered."""
    read = read_cookbook(cookbook)
    assert read.n_augmentations == 1
    assert read.variables
    for name, weights in read.variables.items():
        assert set(weights) <= set(VOCABULARY[name])
        assert min(weights.values()) > 0
        assert sum(weights.values()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scene", DELIVERED)
def test_the_evaluators_have_their_calibrated_parameters(scene: str) -> None:
    """The hallucination check keeps its calibrated figures and both evaluators are on."""
    evaluators = _yaml(COOKBOOKS / scene / "augmentation/augmentation.yaml")["evaluators"]
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


def test_the_augmentation_config_names_prompts_that_are_there(cookbook: Path) -> None:
    """The paths of the two prompts hold, seen from the file that names them."""
    file = cookbook / "augmentation" / "augmentation.yaml"
    prompts = _yaml(file)["prompts"]
    assert set(prompts) == {"template_generation", "prompt_polishing"}
    assert all((file.parent / path).is_file() for path in prompts.values())


def test_the_labeling_worker_takes_the_labeling_config(cookbook: Path) -> None:
    """The labeling worker reads the config without a change, so each class is one of COCO's 80."""
    file = cookbook / "auto_labeling" / "auto_labeling_config.yaml"
    config = load_config(file, ["data.input_video=clip.mp4", "data.output_dir=out"])
    if cookbook.name in DELIVERED:
        assert (config.tracking.max_age, config.events.fps) == DELIVERED[cookbook.name]
        assert config.mcq.fps == config.events.fps
    assert config.model_dump(mode="json").keys() == _yaml(file).keys()


def test_a_question_bank_has_its_form(cookbook: Path) -> None:
    """A question bank is valid by the schema, names its scene, has unique ids, and the worker takes it."""
    file = cookbook / "auto_labeling" / "question_bank.json"
    assert len(load_bank(str(file)).questions) >= 10
    bank = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(QUESTION_BANK_SCHEMA)
    Draft202012Validator(QUESTION_BANK_SCHEMA).validate(bank)
    assert bank["scene"] == cookbook.name
    ids = [question["id"] for question in bank["questions"]]
    assert len(ids) == len(set(ids))


def test_conditions_look_back(cookbook: Path) -> None:
    """`include_if` refers to an earlier question and to options that it has."""
    earlier: dict[str, set[str]] = {}
    for question in _questions(cookbook):
        if condition := question.get("include_if"):
            assert condition["question"] in earlier, question["id"]
            assert set(condition["in"]) < earlier[condition["question"]], question["id"]
        earlier[question["id"]] = set(question["options"])


def test_a_bank_chains_and_measures(cookbook: Path) -> None:
    """A bank has chains, measures what varies in its scene, and aggregates in both ways."""
    questions = _questions(cookbook)
    assert sum("include_if" in question for question in questions) >= 3
    assert {question["aggregate"] for question in questions} == {"any", "majority"}
    variables = _yaml(cookbook / "workflow_config.yaml")["augmentation"]["variables"]
    by_source = {question["source"]: question for question in questions}
    for name, weights in variables.items():
        assert set(weights) <= set(by_source[name]["options"])
    for name in VOCABULARY.keys() & by_source.keys():
        assert set(by_source[name]["options"]) <= set(VOCABULARY[name])


def test_a_moment_is_not_outvoted(cookbook: Path) -> None:
    """Where one window may decide between options, what says "not here" begins so that it gives way."""
    for question in _questions(cookbook):
        if question["aggregate"] == "any" and question["type"] == "single" and question["source"] == "vlm":
            assert question["options"][-1] == "cannot tell", question["id"]


def test_counts_ask_for_labelled_classes_and_cover_every_number(cookbook: Path) -> None:
    """A count is of a class that the cookbook labels, over the whole clip, and an option fits each number."""
    classes = _yaml(cookbook / "auto_labeling/auto_labeling_config.yaml")["detection"]["classes"]
    counts = [question for question in _questions(cookbook) if question["source"].startswith("count:")]
    assert counts
    for question in counts:
        assert question["source"].removeprefix("count:") in classes
        assert question["aggregate"] == "any"
        chosen = [option_for_count(number, question["options"]) for number in range(100)]
        assert list(dict.fromkeys(chosen)) == question["options"]


def test_the_event_prompt_shows_the_two_objects(cookbook: Path) -> None:
    """The event prompt's example is two JSON objects of the form that the label files have."""
    metadata, log = _events_objects(cookbook)
    assert metadata["scene"] == cookbook.name
    assert set(log) == {"version", "events"}
    keys = {"event_id", "start_time", "end_time", "category", "sub_category", "instances", "event_caption"}
    for number, event in enumerate(log["events"], start=1):
        assert set(event) == keys
        assert event["event_id"] == number
        assert event["start_time"] < event["end_time"]
        assert event["category"] in CATEGORIES
        assert event["sub_category"]


def test_the_event_prompt_explains_what_its_example_uses(cookbook: Path) -> None:
    """All four categories and each sub-category of the example are explained in the prompt's prose."""
    text = (cookbook / "auto_labeling/prompts/event_analysis.md").read_text(encoding="utf-8")
    prose = re.sub(r"^\{.*?^(?=\S)(?!\{)", "", text, flags=re.MULTILINE | re.DOTALL)
    assert all(category in prose for category in CATEGORIES)
    for event in _events_objects(cookbook)[1]["events"]:
        for name in event["sub_category"]:
            assert f"`{name}`" in prose, name


def test_both_prompts_of_a_scene_share_their_slots(cookbook: Path) -> None:
    """The two prompts know the same slots, and the scene's variables are among them."""
    folder = cookbook / "augmentation" / "prompts"
    writes, fills = (
        set(re.findall(r"\[([a-z_]+)\]", (folder / name).read_text(encoding="utf-8")))
        for name in ("template_generation_system_prompt.md", "prompt_polishing_system_prompt.md")
    )
    assert writes == fills
    assert set(_yaml(cookbook / "workflow_config.yaml")["augmentation"]["variables"]) <= writes
    assert writes <= set(VOCABULARY)


@pytest.mark.parametrize("name", PROMPTS)
def test_each_scene_has_prompts_of_its_own(name: str) -> None:
    """Two scenes' prompts of one kind share at most a tenth of their five-word phrases."""
    for one, other in itertools.combinations(DELIVERED, 2):
        first, second = (_phrases(COOKBOOKS / scene / name) for scene in (one, other))
        assert len(first & second) <= min(len(first), len(second)) / 10, (one, other)


def _phrases(file: Path) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z_]+", file.read_text(encoding="utf-8").lower())
    return set(zip(*(words[start:] for start in range(5)), strict=False))


@pytest.mark.parametrize(
    "heading", ["Camera and scene", "What varies, and why", "Warnings", "Risk if wrong", "How to adapt"]
)
def test_a_guide_says_what_has_to_be_known(cookbook: Path, heading: str) -> None:
    """The README of each cookbook has the sections that somebody who adapts it needs."""
    assert f"\n## {heading}\n" in (cookbook / "README.md").read_text(encoding="utf-8")


def test_a_guide_states_the_weights_of_the_config(cookbook: Path) -> None:
    """The README's table of variables has each value with the weight that the config gives it."""
    text = (cookbook / "README.md").read_text(encoding="utf-8")
    variables = _yaml(cookbook / "workflow_config.yaml")["augmentation"]["variables"]
    for name, weights in variables.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        for value, weight in weights.items():
            assert f"{value} {weight:.2f}".replace("0.", ".") in row
