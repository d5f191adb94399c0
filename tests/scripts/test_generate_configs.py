"""What setup samples and writes, run as the process that a task starts."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from skill_tools.cookbooks.vocabulary import VOCABULARY
from skill_tools.flows.catalog import FLOWS
from skill_tools.flows.configs import read_manifest
from tests.cookbooks.cookbook_bench import shelf

SKILL_DIR = Path(__file__).parents[2]
SCRIPT = SKILL_DIR / "scripts" / "generate_configs.py"
COOKBOOKS = SKILL_DIR / "assets" / "cookbooks"


def generate(
    output: Path, *arguments: str, cookbook: Path = COOKBOOKS / "city_traffic", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with an environment of its own."""
    command = [sys.executable, str(SCRIPT), "--cookbook", str(cookbook), "--output", str(output), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def sampled(output: Path, *arguments: str, **environ: str) -> dict[str, dict[str, str]]:
    """Run the script and return each variant's values by its name."""
    done = generate(output, *arguments, **environ)
    assert done.returncode == 0, done.stderr
    return {
        entry.name: entry.sampled_vars
        for entry in read_manifest(output / "configs" / "manifest.yaml").configs
    }


def test_everything_that_workers_read_is_written(tmp_path: Path) -> None:
    """Configs, manifest, cookbook and environment, with the clips in the order given."""
    values = sampled(tmp_path, VIDEO_NAME="b,a", VDA_FLOW="e2e", N_AUGMENTATIONS="2")
    assert list(values) == ["b_aug0", "b_aug1", "a_aug0", "a_aug1"]
    config = yaml.safe_load((tmp_path / "configs" / "b_aug1.yaml").read_text())
    assert config["data"]["video_name"] == "b"
    assert config["augmentation"]["aug_idx"] == 1
    assert config["augmentation"]["sampled_vars"] == values["b_aug1"]
    assert config["evaluators"]["hallucination_check"]["threshold"] == 0.682
    for name in (
        "auto_labeling/question_bank.json",
        "augmentation/prompts/prompt_polishing_system_prompt.md",
    ):
        assert (tmp_path / "cookbook" / name).read_bytes() == (COOKBOOKS / "city_traffic" / name).read_bytes()
    assert (tmp_path / ".env").read_text() == (tmp_path / "runtime.env").read_text()
    assert not list(tmp_path.rglob("*.part"))


def test_a_clips_values_depend_on_nothing_but_itself(tmp_path: Path) -> None:
    """More clips, another order or more variants change none that was there."""
    alone = sampled(tmp_path / "1", "--videos", "a", "--n-augmentations", "3")
    among = sampled(tmp_path / "2", "--videos", "z,a,k", "--n-augmentations", "5")
    assert {name: among[name] for name in alone} == alone


def test_no_combination_comes_twice_while_another_is_left(tmp_path: Path) -> None:
    """Nine combinations give nine different variants, and eighteen give each of them twice."""
    values = sampled(tmp_path, "--videos", "a", "--n-augmentations", "18")
    drawn = [tuple(values[f"a_aug{k}"].items()) for k in range(18)]
    assert len(set(drawn[:9])) == 9
    assert set(Counter(drawn).values()) == {2}


def test_first_variants_follow_the_weights(tmp_path: Path) -> None:
    """Over many clips each value comes about as often as its weight says."""
    values = sampled(tmp_path, "--videos", ",".join(f"c{i}" for i in range(200)), "--n-augmentations", "1")
    weights = shelf(COOKBOOKS / "none").named("city_traffic").variables
    for name, expected in weights.items():
        counted = Counter(variant[name] for variant in values.values())
        for value, weight in expected.items():
            assert counted[value] / 200 == pytest.approx(weight, abs=0.1)


def test_variants_have_seeds_of_their_own(tmp_path: Path) -> None:
    """Two clips, or two variants, never share a seed, and the same one gets it again."""
    seeds = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        names = sampled(folder, "--videos", "a,b", "--n-augmentations", "2")
        configs = [yaml.safe_load((folder / "configs" / f"{name}.yaml").read_text()) for name in names]
        seeds.append([config["augmentation"]["seed"] for config in configs])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 4


def test_fixed_variables_hold_for_every_variant(tmp_path: Path) -> None:
    """From the option and from the environment; one outside the cookbook is added."""
    values = sampled(
        tmp_path, "--videos", "a,b", "--set", "weather:fog", VARIABLES="surface_condition:wet+weather:fog"
    )
    for variant in values.values():
        assert variant["weather"] == "fog"
        assert variant["surface_condition"] == "wet"
        assert "time_of_day" in variant


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--videos", "a", "--set", "weather:rian"], "did you mean rain"),
        (["--videos", "a", "--set", "wether:rain"], "did you mean weather"),
        (["--videos", "a", "--set", "weather"], "expected NAME:VALUE"),
        (["--videos", "a", "--set", "weather:rain+weather:fog"], "both rain and fog"),
        (["--videos", ""], "names no clip"),
        (["--videos", "a/b"], "is no clip's stem"),
        (["--videos", "a.mp4"], "is no clip's stem"),
        (["--videos", "a,a"], "names a clip twice"),
        (["--videos", "a", "--n-augmentations", "0"], "whole number"),
        (["--videos", "a", "--n-augmentations", "two"], "whole number"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    """Exit 2, one line that says what was expected, and no half output."""
    done = generate(tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_broken_cookbook_is_named(tmp_path: Path) -> None:
    """Weights that don't sum to one stop setup before it writes."""
    (tmp_path / "workflow_config.yaml").write_text("augmentation: {variables: {weather: {rain: 0.4}}}")
    done = generate(tmp_path / "out", "--videos", "a", cookbook=tmp_path)
    assert done.returncode == 2
    assert "the weights of weather sum to 0.4" in done.stderr
    assert generate(tmp_path / "out", "--videos", "a", cookbook=tmp_path / "none").returncode == 2
    (tmp_path / "workflow_config.yaml").write_text("augmentation: {variables: {weather: {rain: 1}}}")
    done = generate(tmp_path / "out", "--videos", "a", cookbook=tmp_path)
    assert done.returncode == 2
    assert "augmentation.yaml" in done.stderr
    assert not (tmp_path / "out").exists()


def environment(tmp_path: Path, flow: str, **environ: str) -> dict[str, str]:
    """Run the script for a flow and return what a shell reads from runtime.env."""
    sampled(tmp_path, VIDEO_NAME="a,b", VDA_FLOW=flow, **environ)
    lines = (tmp_path / "runtime.env").read_text().splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def test_a_flow_without_augmentation_has_an_empty_manifest(tmp_path: Path) -> None:
    """Total 0, and the clips are in the environment."""
    values = environment(tmp_path, "auto_labeling")
    assert yaml.safe_load((tmp_path / "configs" / "manifest.yaml").read_text()) == {"configs": [], "total": 0}
    assert values["VDA_VIDEOS"] == "a,b"
    assert values["ACCEPT_EULA"] == "Y"


@pytest.mark.parametrize("flow", FLOWS)
def test_super_resolution_is_switched_on_by_its_flow_alone(tmp_path: Path, flow: str) -> None:
    """The flag follows the catalogue."""
    enabled = environment(tmp_path, flow)["SUPER_RESOLUTION_ENABLED"]
    assert enabled == str(FLOWS[flow].super_resolution).lower()


def test_endpoints_default_to_the_clusters_own_and_to_none_on_the_embedded_engine(tmp_path: Path) -> None:
    """A given URL is used on both; `none` does without on both."""
    cluster = environment(tmp_path / "1", "e2e")
    assert cluster["VLM_URL"] == "http://qwen3-vl.osmo-nims.svc.cluster.local:8000/v1"
    assert (cluster["WAIT_FOR_VLM"], cluster["WAIT_FOR_LLM"]) == ("true", "true")
    assert cluster["LLM_MODEL_STATIC"] == "Qwen2.5-14B-Instruct"
    local = environment(tmp_path / "2", "e2e", VDA_ROOT="/somewhere")
    assert (local["VLM_URL"], local["WAIT_FOR_VLM"], local["VLM_MODEL"]) == ("", "false", "")
    given = environment(tmp_path / "3", "e2e", VDA_ROOT="/x", VLM_URL="http://vlm:1/v1", LLM_URL="none")
    assert (given["VLM_URL"], given["VLM_MODEL"], given["WAIT_FOR_VLM"]) == ("http://vlm:1/v1", "", "true")
    assert given["WAIT_FOR_LLM"] == "false"
    config: dict[str, Any] = yaml.safe_load((tmp_path / "3" / "configs" / "a_aug0.yaml").read_text())
    assert config["endpoints"]["vlm"]["url"] == "http://vlm:1/v1"


def test_the_scripts_words_are_the_skills(tmp_path: Path) -> None:
    """The script stands alone in its container, so its own vocabulary and flows are held to the skill's."""
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import generate_configs as g;"
        "print(json.dumps([{k: list(v) for k, v in g.VOCABULARY.items()}, list(g.FLOWS)]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(SCRIPT.parent)], capture_output=True, text=True, check=True
    )
    assert yaml.safe_load(done.stdout) == [{k: list(v) for k, v in VOCABULARY.items()}, list(FLOWS)]


def test_help_explains_the_output(tmp_path: Path) -> None:
    """`--help` names the files that are written."""
    done = generate(tmp_path, "--help")
    assert done.returncode == 0
    assert "configs/manifest.yaml" in done.stdout
