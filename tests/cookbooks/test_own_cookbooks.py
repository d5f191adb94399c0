"""Cookbooks of one's own: begun from a scene, found in the workspace, run on both engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skill_tools.cli import main
from skill_tools.cookbooks.files import SENT_FILES, WORKFLOW_CONFIG
from skill_tools.cookbooks.scaffold import scaffold
from skill_tools.cookbooks.vocabulary import VOCABULARY
from skill_tools.errors import InputError
from skill_tools.flows.render import load_workflow
from skill_tools.workers.augmentation.vocabulary import SYNONYMS, VALUES
from tests.cookbooks.cookbook_bench import COOKBOOKS, Bench, shelf
from tests.tools.osmo_bench import OsmoWorkspace
from tests.tools.workspace_bench import Workspace

DELIVERED = shelf(COOKBOOKS / "none").names()


def vda(folder: Path, *words: str) -> int:
    """Run `vda cookbook` in a workspace."""
    return main(["cookbook", *words, "--workspace", str(folder)])


@pytest.mark.parametrize("like", DELIVERED)
def test_a_new_cookbook_passes_the_check_to_the_last_warning(like: str, tmp_path: Path) -> None:
    """A copy of any scene is whole, bears its own name throughout, and says what it began as."""
    assert vda(tmp_path, "new", "loading_dock", "--like", like) == 0
    assert vda(tmp_path, "check", "loading_dock", "--strict") == 0
    folder = tmp_path / "cookbooks" / "loading_dock"
    for file in SENT_FILES:
        source = (COOKBOOKS / like / file).read_text(encoding="utf-8")
        named = source.count(f" a {like} clip") + source.count(f'"{like}"')
        assert (folder / file).read_text(encoding="utf-8").count("loading_dock") == named
    guide = (folder / "README.md").read_text(encoding="utf-8")
    assert guide.startswith(f"# loading_dock\n\nBegun as a copy of `{like}`")
    assert "](" not in guide


@pytest.mark.parametrize("name", ["Dock", "2dock", "do-ck", "../dock", "", "x" * 65, "warehouse", "taken"])
def test_a_name_that_is_none_or_taken_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is written under a bad name, over a cookbook, or beside one of the skill's."""
    scaffold("taken", like="piazza", shelf=shelf(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        scaffold(name, like="piazza", shelf=shelf(tmp_path))
    assert caught.value.code == "input.cookbook_name"
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_scene_to_start_from_gets_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen gets the scene that was probably meant."""
    with pytest.raises(InputError, match="did you mean warehouse") as caught:
        scaffold("dock", like="warehose", shelf=shelf(tmp_path))
    assert caught.value.code == "input.unknown_cookbook"
    assert list(tmp_path.iterdir()) == []


def test_two_cookbooks_of_one_name_are_refused(tmp_path: Path) -> None:
    """A folder that bears the name of one of the skill's scenes is never taken for it, nor it for that."""
    Bench.of("piazza", tmp_path)
    with pytest.raises(InputError, match="two cookbooks piazza") as caught:
        shelf(tmp_path).named("piazza")
    assert caught.value.code == "input.cookbook_twice"
    assert shelf(tmp_path).named("warehouse").directory == COOKBOOKS / "warehouse"


def test_a_broken_cookbook_is_refused_with_its_first_problem(tmp_path: Path) -> None:
    """The message has file, line and mistake, and the way to all the others."""
    folder = scaffold("dock", like="piazza", shelf=shelf(tmp_path))
    bench = Bench(folder)
    bench.replace(WORKFLOW_CONFIG, "rain: 0.30", "rian: 0.30")
    line = bench.replace(WORKFLOW_CONFIG, "morning: 0.35", "morning: 0.30") - 1
    with pytest.raises(InputError, match="vda cookbook check dock") as caught:
        shelf(tmp_path).named("dock")
    assert caught.value.code == "input.cookbook"
    assert f"{WORKFLOW_CONFIG}:{line}:" in caught.value.message
    assert "There is 1 more" in caught.value.message


def test_the_commands_tell_programs_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each action prints one JSON document; the exit code says whether there are errors."""
    assert vda(tmp_path, "new", "dock", "--like", "warehouse", "--json") == 0
    folder = Path(json.loads(capsys.readouterr().out)["folder"])
    assert vda(tmp_path, "list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {*DELIVERED, "dock"}
    assert (rows["dock"]["of"], rows["dock"]["variables"]["lighting"]) == (
        "workspace",
        ["bright", "moderate", "dim"],
    )
    line = Bench(folder).replace(WORKFLOW_CONFIG, "dry: 0.55", "dry: 0.65")
    for which in ("dock", str(folder)):
        assert vda(tmp_path, "check", which, "--json") == 2
        ((row),) = json.loads(capsys.readouterr().out)
        (problem,) = (one for one in row["problems"] if one["severity"] == "error")
        assert (problem["file"], problem["line"], problem["severity"]) == (WORKFLOW_CONFIG, line, "error")
    assert vda(tmp_path, "check") == 2
    said = capsys.readouterr().out
    told = f"{WORKFLOW_CONFIG}:{line}: the weights of surface_condition sum to 1.1; expected 1; change one"
    assert str(folder / told) in said
    assert "piazza: fine" in said
    assert vda(tmp_path, "list") == 0
    assert "sum to 1.1" in capsys.readouterr().out


@pytest.mark.parametrize("which", ["nowhere", "./nowhere"])
def test_checking_what_is_not_there_is_bad_input(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name or a folder that doesn't exist is said to be unknown."""
    assert vda(tmp_path, "check", which) == 2
    assert "There is no" in capsys.readouterr().err


def test_warnings_fail_the_strict_alone(tmp_path: Path) -> None:
    """A cookbook with warnings can be run with; --strict is for those who want none."""
    folder = scaffold("dock", like="piazza", shelf=shelf(tmp_path / "cookbooks"))
    folder.joinpath("README.md").unlink()
    assert vda(tmp_path, "check", "dock") == 0
    assert vda(tmp_path, "check", "dock", "--strict") == 2


def test_a_run_here_takes_the_workspaces_own_cookbook(workspace: Workspace) -> None:
    """A scaffold whose weights leave one choice decides what is made; its files are in the run's folder."""
    folder = scaffold("dock", like="warehouse", shelf=shelf(workspace.root / "cookbooks"))
    bench = Bench(folder)
    bench.replace(WORKFLOW_CONFIG, "{bright: 0.35, moderate: 0.35, dim: 0.30}", "{dim: 1.0}")
    bench.replace(WORKFLOW_CONFIG, "{dry: 0.55, wet: 0.45}", "{wet: 1.0}")
    words = ["--cookbook", "dock", "--engine", "local", "--json", "--quiet"]
    done = workspace.vda("run", workspace.clip(), *words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    staged = Path(result["data"]["run_local_dir"])
    (manifest,) = staged.rglob("manifest.yaml")
    (entry,) = yaml.safe_load(manifest.read_text(encoding="utf-8"))["configs"]
    assert entry["sampled_vars"] == {"lighting": "dim", "surface_condition": "wet"}
    for file in SENT_FILES:
        assert (staged / "setup_b0" / "cookbook" / file).read_bytes() == (folder / file).read_bytes()


def test_a_run_with_a_broken_cookbook_never_begins(workspace: Workspace) -> None:
    """Minutes before a task would stumble over it, the mistake is told with its line."""
    folder = scaffold("dock", like="warehouse", shelf=shelf(workspace.root / "cookbooks"))
    Bench(folder).replace("auto_labeling/question_bank.json", "count:person", "count:persn")
    result = workspace.call("select_flow", clips=[workspace.clip()], cookbook="dock", engine="local")
    assert result.problem
    assert result.problem.code == "input.cookbook"
    assert "did you mean person" in result.problem.message


@pytest.mark.parametrize("flow", ["auto_labeling", "augmentation_and_al", "e2e", "e2e_super_resolution"])
def test_osmo_is_sent_the_workspaces_own_cookbook(cluster: OsmoWorkspace, flow: str) -> None:
    """The canonical submit names the folder, and setup carries each of its files that the flow needs."""
    own = cluster.workspace.root / "cookbooks"
    folder = scaffold("dock", like="warehouse", shelf=shelf(own))
    run_id = cluster.guarded(cluster.workspace.clip(), flow=flow, cookbook="dock")
    sent = cluster.workspace.call("submit", run_id=run_id)
    assert sent.status == "running", sent.problem
    (asked,) = cluster.mock.asked("workflow", "submit")
    values = dict(word.split("=", 1) for word in asked[asked.index("--set-string") + 1 :])
    assert values["cookbook"] == str(folder.resolve())
    spec = load_workflow(Path(asked[2]), values)
    files = {file.path: file.contents for file in spec.groups[0].tasks[0].files}
    carried = {name.removeprefix("/tmp/vda/cookbook/") for name in files if "/cookbook/" in name}  # noqa: S108
    wanted = {file for file in SENT_FILES if not file.startswith("augmentation/") or flow != "auto_labeling"}
    assert carried == wanted
    for file in carried:
        assert files[f"/tmp/vda/cookbook/{file}"] == (folder / file).read_bytes()  # noqa: S108 - the task's path


def test_fixed_variables_are_checked_against_all_that_can_be_rendered() -> None:
    """A value outside the cookbook's weights passes when it can be rendered; a slip gets the nearest."""
    cookbook = shelf(COOKBOOKS / "none").named("city_traffic")
    cookbook.check_variables({"weather": "snow", "surface_condition": "puddles"})
    with pytest.raises(InputError, match="did you mean golden_hour") as caught:
        cookbook.check_variables({"time_of_day": "golden hour"})
    assert caught.value.code == "input.unknown_value"
    with pytest.raises(InputError, match="did you mean weather") as caught:
        cookbook.check_variables({"wether": "rain"})
    assert caught.value.code == "input.unknown_variable"


def test_every_value_of_the_vocabulary_can_be_rendered_by_the_embedded_worker() -> None:
    """No cookbook and no fixed variable asks for what the augmentation worker does not know."""
    for name, values in VOCABULARY.items():
        assert set(values) <= set(VALUES[SYNONYMS.get(name, name)])
