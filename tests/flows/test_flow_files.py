"""The workflow files, rendered and checked for one clip and for many."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from skill_tools.errors import InputError
from skill_tools.flows.catalog import ALIASES, CACHE_WORKFLOW, FLOWS, Flow
from skill_tools.flows.configs import plan_batches
from skill_tools.flows.render import (
    JINJA_MARKERS,
    is_templated,
    load_document,
    load_workflow,
    render,
    variables,
)
from skill_tools.flows.spec import OSMO_SCHEMES, WorkflowSpec, violations
from skill_tools.flows.values import OPTIONAL_VALUES, REQUIRED_VALUES
from tests.flows.submit_values import CONFIGS, SKILL_DIR, STORAGE, submit_values

ALL_FILES = sorted(path.name for path in CONFIGS.glob("*.yaml"))
FLOW_FILES = [name for name in ALL_FILES if name != CACHE_WORKFLOW]
COOKBOOKS = SKILL_DIR / "assets" / "cookbooks"
SCENES = sorted(folder.name for folder in COOKBOOKS.iterdir() if folder.is_dir())
RUN = f"{STORAGE}/datasets/crossing-outputs/run-0123abcd"


def workflow(flow: str, *videos: str, **values: str) -> WorkflowSpec:
    """Load a flow's workflow."""
    return load_workflow(CONFIGS / f"{flow}.yaml", submit_values(*videos, **values))


@pytest.mark.parametrize("file", ALL_FILES)
@pytest.mark.parametrize(
    "values",
    [
        submit_values(),
        submit_values("a", "b.1", "c-2", n_augmentations="2"),
        submit_values(*(f"clip{i}" for i in range(40)), n_augmentations="3", workers="2"),
        submit_values(hf_credential="hf_token", nvcr_credential="nvcr_io"),
        submit_values(
            "0012", cookbook="warehouse", variables="lighting:dim", batch="3", vlm_url="http://vlm:8000/v1"
        ),
    ],
    ids=["one", "several", "many", "credentials", "optional"],
)
def test_every_file_is_accepted(file: str, values: dict[str, str]) -> None:
    """Nothing that OSMO is known to refuse is in any rendered file."""
    assert violations(load_document(CONFIGS / file, values), schemes=OSMO_SCHEMES) == []


@pytest.mark.parametrize("file", ALL_FILES)
def test_every_file_asks_for_the_submits_values_and_no_others(file: str) -> None:
    """What a file reads is a required value, or an optional one that it has a default for."""
    required, optional = variables((CONFIGS / file).read_text())
    assert required <= set(REQUIRED_VALUES)
    assert optional <= set(OPTIONAL_VALUES)
    assert is_templated((CONFIGS / file).read_text())


@pytest.mark.parametrize("file", FLOW_FILES)
def test_a_missing_value_is_named(file: str) -> None:
    """Without its clip a flow can't be rendered, and the message says so."""
    values = submit_values()
    del values["video"]
    with pytest.raises(InputError, match="'video' is undefined"):
        load_workflow(CONFIGS / file, values)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
def test_groups_tasks_and_their_number_are_the_catalogues(flow: Flow) -> None:
    """The file's groups stand in the catalogue's order, with as many tasks as it counts."""
    spec = workflow(flow.name, "a", "b", n_augmentations="3")
    assert tuple(group.name.removesuffix("_group") for group in spec.groups) == flow.groups
    assert len(spec.tasks) == flow.tasks(2, 3)
    assert spec.name == "crossing"
    assert (spec.timeout.exec_timeout_s, spec.timeout.queue_timeout_s) == (86_400, 7_200)
    assert all(group.tasks[0].lead for group in spec.groups)
    assert {spec.resources[task.resource].platform for task in spec.tasks} == {"h100"}


def test_images_and_resources_are_the_stages_own() -> None:
    """Setup runs in the plain image, the stages in their containers with one GPU each."""
    spec = workflow("e2e")
    assert spec.images == (
        "nvcr.io/nvidia/base/ubuntu:22.04_20240212",
        "nvcr.io/nvidia/paidf-auto-labeling:1.0.0",
        "nvcr.io/nvidia/paidf-augmentation:1.0.0",
    )
    given = {
        task.name: (r.gpu, r.cpu, r.memory, r.storage)
        for task in spec.tasks
        for r in [spec.resources[task.resource]]
    }
    assert given == {
        "setup": (None, 4, "8Gi", "20Gi"),
        "pl_original_worker_0": (1, 11, "128Gi", "100Gi"),
        "cosmos_worker_0": (1, 11, "100Gi", "100Gi"),
        "pl_augmented_worker_0": (1, 11, "128Gi", "100Gi"),
    }


@pytest.mark.parametrize(
    ("flow", "upstream"),
    [
        ("auto_labeling", {"auto_labeling": ("setup_group",)}),
        (
            "e2e",
            {
                "auto_labeling_original": ("setup_group",),
                "augmentation": ("setup_group",),
                "auto_labeling_augmented": ("setup_group", "augmentation"),
            },
        ),
        (
            "e2e_super_resolution",
            {
                "auto_labeling_original": ("setup_group",),
                "augmentation": ("setup_group", "auto_labeling_original"),
                "auto_labeling_augmented": ("setup_group", "augmentation"),
            },
        ),
    ],
)
def test_groups_wait_for_each_other_as_the_flow_says(flow: str, upstream: dict[str, tuple[str, ...]]) -> None:
    """In e2e originals and variants run side by side; with super-resolution one after the other."""
    spec = workflow(flow, "a", "b")
    assert {g.name: spec.upstream(g) for g in spec.groups if g.name != "setup_group"} == upstream


@pytest.mark.parametrize("flow", ["augmentation_and_al", "e2e", "e2e_super_resolution"])
def test_each_worker_gets_exactly_the_clips_of_its_variants(flow: str) -> None:
    """Variant j belongs to worker j modulo their number, and its clip is among that worker's inputs."""
    clips, n, workers = ("a", "b", "c"), 2, 4
    spec = workflow(flow, *clips, n_augmentations=str(n), workers=str(workers))
    for i in range(workers):
        task = spec.task(f"cosmos_worker_{i}")
        assert task is not None
        needed = {clips[j // n] for j in range(len(clips) * n) if j % workers == i}
        urls = [source.url for source in task.inputs if source.url]
        assert set(urls[:-1]) == {f"{STORAGE}/datasets/crossing/{clip}.mp4" for clip in needed}
        assert urls[-1] == f"{STORAGE}/data/models/cosmos_transfer"
        assert task.inputs[0].task == "setup"
        tokens = [f"{{{{input:{k}}}}}" for k, source in enumerate(task.inputs) if source.url]
        assert list(task.args[2:]) == tokens[:-1]
        assert task.environment["VDA_MODEL_CACHE"] == tokens[-1]
        labeler = spec.task(f"pl_augmented_worker_{i}")
        assert labeler is not None
        assert [source.task for source in labeler.inputs[:2]] == ["setup", f"cosmos_worker_{i}"]


def test_each_original_worker_gets_its_clips() -> None:
    """Clip i belongs to worker i modulo their number."""
    spec = workflow("auto_labeling", "a", "b", "c", workers="2")
    inputs = {task.name: [source.url for source in task.inputs[1:-1]] for task in spec.tasks[1:]}
    prefix = f"{STORAGE}/datasets/crossing"
    assert inputs == {
        "pl_original_worker_0": [f"{prefix}/a.mp4", f"{prefix}/c.mp4"],
        "pl_original_worker_1": [f"{prefix}/b.mp4"],
    }


def test_outputs_land_where_the_layout_says() -> None:
    """Setup by batch, and a folder for each kind of result."""
    spec = workflow("e2e", batch="2")
    assert {task.name: task.outputs[0].url for task in spec.tasks} == {
        "setup": f"{RUN}/setup_b2",
        "pl_original_worker_0": f"{RUN}/outputs/pseudo_labeled",
        "cosmos_worker_0": f"{RUN}/outputs/augmented",
        "pl_augmented_worker_0": f"{RUN}/outputs/pseudo_labeled_augmented",
    }


def test_credentials_are_mapped_only_when_they_are_there() -> None:
    """A mapped name that is missing refuses the whole submit, so each is mapped on its own say-so."""
    assert workflow("e2e").credentials == frozenset()
    assert workflow("e2e", hf_credential="hf_token").credentials == {"hf_token"}
    both = workflow("setup_model_cache", hf_credential="hf_token", nvcr_credential="nvcr_io")
    assert both.credentials == {"hf_token", "nvcr_io"}
    assert both.tasks[0].credentials == {
        "hf_token": {"HF_TOKEN": "token"},
        "nvcr_io": {"NGC_API_KEY": "auth"},
    }


def test_the_caches_are_filled_where_the_flows_read_them() -> None:
    """The cache workflow's outputs are the cache inputs of the flows."""
    spec = workflow("setup_model_cache")
    assert {task.outputs[0].url for task in spec.tasks} == {
        f"{STORAGE}/data/models/cosmos_transfer",
        f"{STORAGE}/data/models/auto_labeling",
    }


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
def test_setup_carries_the_cookbook_files_of_the_flows_stages(flow: Flow) -> None:
    """Labeling needs its config, prompt and questions; augmentation its config and its prompts."""
    setup = workflow(flow.name, cookbook="piazza").tasks[0]
    injected = {file.path.removeprefix("/tmp/vda/cookbook/") for file in setup.files}  # noqa: S108 - the task's path
    labeling = {
        f"auto_labeling/{name}"
        for name in ("auto_labeling_config.yaml", "prompts/event_analysis.md", "question_bank.json")
    }
    augmentation = {
        f"augmentation/{name}"
        for name in (
            "augmentation.yaml",
            "prompts/vlm_caption_system_prompt.md",
            "prompts/template_generation_system_prompt.md",
            "prompts/prompt_polishing_system_prompt.md",
        )
    }
    assert labeling <= injected
    assert bool(augmentation & injected) == flow.has_augmentation
    assert not flow.has_augmentation or augmentation <= injected
    assert setup.environment["VIDEO_NAME"] == "clip_a"
    piazza = (COOKBOOKS / "piazza" / "workflow_config.yaml").read_bytes()
    assert any(file.contents == piazza for file in setup.files)


def test_the_alias_is_its_flow_but_for_the_comment_at_the_top() -> None:
    """The old file can't drift from the new one."""
    for alias, flow in ALIASES.items():
        texts = [(CONFIGS / f"{name}.yaml").read_text() for name in (alias, flow)]
        bodies = [text[text.index("\nworkflow:") :] for text in texts]
        assert bodies[0] == bodies[1]
        assert alias.replace("pl", "al") in texts[0].partition("\n")[0]


def test_the_stages_read_alike_in_every_flow() -> None:
    """A task's image, files, command and environment are the same wherever it appears."""
    seen: dict[str, tuple[object, ...]] = {}
    for flow in FLOWS:
        for task in workflow(flow).tasks[1:]:
            environment = {k: v for k, v in task.environment.items() if k != "VDA_MODEL_CACHE"}
            looks = (
                task.image,
                task.command,
                task.args,
                task.files,
                environment,
                task.resource,
                task.outputs,
            )
            assert seen.setdefault(task.name, looks) == looks


@pytest.mark.parametrize("path", sorted((SKILL_DIR / "scripts").glob("*")), ids=lambda path: path.name)
def test_no_script_holds_what_jinja_would_eat(path: Path) -> None:
    """Scripts that tasks get are rendered once more by the service, so no marker may stand in any."""
    assert path.is_dir() or [marker for marker in JINJA_MARKERS if marker in path.read_text()] == []


def test_no_prompt_or_config_of_a_cookbook_holds_what_jinja_would_eat() -> None:
    """The same for everything that setup injects, in every scene."""
    found = [
        (path.name, marker)
        for path in COOKBOOKS.rglob("*")
        if path.is_file()
        for marker in JINJA_MARKERS
        if marker in path.read_text()
    ]
    assert found == []


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_can_be_submitted(scene: str) -> None:
    """Every file that a flow injects is there in every cookbook."""
    assert violations(load_document(CONFIGS / "e2e.yaml", submit_values(cookbook=scene))) == []


@pytest.mark.parametrize("file", ALL_FILES)
@pytest.mark.parametrize("options", [{"trim_blocks": True}, {"trim_blocks": True, "lstrip_blocks": True}])
def test_the_files_do_not_depend_on_how_jinja_treats_white_space(file: str, options: dict[str, bool]) -> None:
    """The block tags stand so that a service with other whitespace settings reads the same YAML."""
    body, _, defaults_text = (CONFIGS / file).read_text().partition("\ndefault-values:")
    defaults = yaml.safe_load(defaults_text)
    values = {**defaults, **submit_values("a", "b", n_augmentations="2", hf_credential="hf_token")}
    for token in ("output", "workflow_id", *(f"input:{i}" for i in range(3))):
        body = body.replace(f"{{{{{token}}}}}", token)
    for worker in ("pl_original", "cosmos", "pl_augmented"):
        body = body.replace(f"{{{{host:{worker}_worker_0}}}}", worker)
    plain, other = (
        SandboxedEnvironment(undefined=StrictUndefined, **chosen).from_string(body).render(values)
        for chosen in ({}, options)
    )
    assert yaml.safe_load(plain) == yaml.safe_load(other)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
@pytest.mark.parametrize(("clips", "n"), [(1, 1), (1, 30), (7, 2), (50, 1)])
def test_planned_batches_render_within_the_services_limit(flow: Flow, clips: int, n: int) -> None:
    """However many clips and variants: every workflow of the plan is accepted, with the tasks it says."""
    for batch in plan_batches([f"clip{i}" for i in range(clips)], n, flow):
        values = submit_values(
            *batch.videos, n_augmentations=str(n), workers=str(batch.workers or ""), batch=str(batch.index)
        )
        spec = load_workflow(flow.path(SKILL_DIR), values)
        assert len(spec.tasks) == batch.tasks <= 20


def test_setup_runs_as_the_file_says_with_the_task_root_in_front(tmp_path: Path) -> None:
    """The setup task's own command line, under bash, writes the manifest into its output."""
    setup = workflow("e2e", "a", "b", n_augmentations="2").tasks[0]
    root, output = tmp_path / "task root", tmp_path / "out"
    for file in setup.files:
        target = root / file.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.contents)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "python3").symlink_to(sys.executable)
    bash = shutil.which("bash") or "bash"
    environment = {
        **setup.environment,
        "VDA_ROOT": str(root),
        "VDA_OUTPUT": str(output),
        "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",
    }
    # A link to a virtual environment's interpreter finds its packages by where the link leads.
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [bash, "-c", *setup.args], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    manifest = yaml.safe_load((output / "configs" / "manifest.yaml").read_text())
    assert manifest["total"] == 4
    assert (output / "cookbook" / "auto_labeling" / "question_bank.json").is_file()


def test_the_largest_workflow_survives_the_clients_second_pass_within_its_limits() -> None:
    """Dumped with every file inside and rendered again, it is the same, and far below 1.5 MB."""
    values = submit_values(*(f"clip{i}" for i in range(9)))
    document = load_document(CONFIGS / "augmentation_and_al.yaml", values)
    dumped = yaml.safe_dump(document)
    assert len(dumped) < 1_000_000
    assert yaml.safe_load(render(dumped, values)) == document
