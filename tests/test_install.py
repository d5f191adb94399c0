"""Where `vda install` puts the skill, what it leaves alone, and that it goes away as it came."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from skill_tools import __version__
from skill_tools.cli import main
from skill_tools.errors import InputError
from skill_tools.install import AGENT_FOLDERS, SKILL_FILES, SKILL_NAME, install, skill_place, uninstall
from tests.tools.workspace_bench import REPOSITORY


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give the skill's place in a project in which nothing was installed yet."""
    return skill_place("claude", tmp_path)


@pytest.fixture
def skill(tmp_path: Path) -> Path:
    """Give a small skill folder to install, so that only the tests of the whole copy the whole."""
    folder = tmp_path / "checkout"
    folder.joinpath("scripts").mkdir(parents=True)
    folder.joinpath("SKILL.md").write_text(f"---\nname: {SKILL_NAME}\n---\n", encoding="utf-8")
    folder.joinpath("scripts", "vda.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    folder.joinpath("requirements.lock").write_text("a==1\n", encoding="utf-8")
    folder.joinpath("skill_tools").symlink_to(REPOSITORY / "skill_tools")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("agent", AGENT_FOLDERS)
def test_each_agent_finds_the_skill_under_its_name(agent: str, tmp_path: Path, skill: Path) -> None:
    """The folder has the skill's name, below the folder where that agent looks."""
    done = install(skill_place(agent, tmp_path), skill_dir=skill)
    assert done.action == "created"
    root = ".claude" if agent == "claude" else ".agents"
    assert done.path == tmp_path / root / "skills" / SKILL_NAME
    assert done.path.joinpath("SKILL.md").is_file()


def test_a_copy_is_whole_valid_and_works(place: Path, tmp_path: Path) -> None:
    """The copy of this skill passes the specification's validator, and its own script runs it."""
    install(place, skill_dir=REPOSITORY)
    assert {path.name for path in place.iterdir()} - {".vda-install.json"} == {*SKILL_FILES, "skill_tools"}
    validator = Path(sys.executable).with_name("agentskills")
    checked = subprocess.run([validator, "validate", place], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran = subprocess.run(
        ["bash", place / "scripts" / "vda.sh", "doctor", "--json"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VDA_PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    checks = {check["name"]: check for check in json.loads(ran.stdout)}
    assert ran.returncode == 0, ran.stderr
    assert checks["weights"]["status"] == checks["cookbooks"]["status"] == "ok"


def test_installing_twice_changes_nothing(place: Path, skill: Path) -> None:
    """A second call finds what the first has put there."""
    install(place, skill_dir=skill)
    before = tree(place)
    assert install(place, skill_dir=skill).action == "unchanged"
    assert tree(place) == before


def test_a_newer_version_replaces_an_older_one_and_keeps_its_environment(place: Path, skill: Path) -> None:
    """What is gone goes, what is new comes, and packages that are still right stay installed."""
    skill.joinpath("NOTICE").write_text("old", encoding="utf-8")
    install(place, skill_dir=skill)
    place.joinpath(".venv").mkdir()
    place.joinpath(".venv", "pyvenv.cfg").write_text("home = /", encoding="utf-8")
    skill.joinpath("NOTICE").unlink()
    skill.joinpath("LICENSE").write_text("new", encoding="utf-8")
    assert install(place, skill_dir=skill).action == "replaced"
    assert not place.joinpath("NOTICE").exists()
    assert place.joinpath("LICENSE").read_text(encoding="utf-8") == "new"
    assert place.joinpath(".venv", "pyvenv.cfg").is_file()
    assert [path.name for path in place.parent.iterdir()] == [SKILL_NAME]


def test_undo_leaves_the_place_empty_and_may_be_repeated(place: Path, skill: Path) -> None:
    """After the undo nothing of the skill is left; another undo finds nothing."""
    install(place, skill_dir=skill)
    place.joinpath(".venv").mkdir()
    assert uninstall(place).action == "removed"
    assert list(place.parent.iterdir()) == []
    assert uninstall(place).action == "absent"


@pytest.mark.parametrize("change", ["edited", "added", "removed"])
def test_what_was_changed_by_hand_is_never_lost(place: Path, skill: Path, change: str) -> None:
    """An edited, added or removed file stops both a newer install and an undo, and is named."""
    install(place, skill_dir=skill)
    file = place / ("mine.txt" if change == "added" else "SKILL.md")
    if change == "removed":
        file.unlink()
    else:
        file.write_text("mine", encoding="utf-8")
    before = tree(place)
    skill.joinpath("LICENSE").write_text("newer", encoding="utf-8")
    for act in (lambda: install(place, skill_dir=skill), lambda: uninstall(place)):
        with pytest.raises(InputError, match=file.name):
            act()
    assert tree(place) == before


def test_a_folder_that_is_not_ours_is_left_alone(place: Path, skill: Path) -> None:
    """A folder that somebody else made is neither replaced nor removed."""
    place.mkdir(parents=True)
    place.joinpath("SKILL.md").write_text("another", encoding="utf-8")
    for act in (
        lambda: install(place, skill_dir=skill),
        lambda: install(place, skill_dir=skill, link=True),
        lambda: uninstall(place),
    ):
        with pytest.raises(InputError, match="not put there"):
            act()
    assert tree(place) == {"SKILL.md": b"another"}


def test_a_link_shows_the_checkout_and_its_undo_leaves_it(place: Path, skill: Path) -> None:
    """A link follows every change of the checkout; taking it away takes nothing of the checkout."""
    before = tree(skill)
    assert install(place, skill_dir=skill, link=True).action == "created"
    assert install(place, skill_dir=skill, link=True).action == "unchanged"
    assert place.resolve() == skill.resolve()
    assert uninstall(place).action == "removed"
    assert not place.is_symlink()
    assert tree(skill) == before


def test_copy_and_link_take_each_others_place(place: Path, skill: Path) -> None:
    """One may change one's mind about how the skill is installed."""
    install(place, skill_dir=skill)
    assert install(place, skill_dir=skill, link=True).action == "replaced"
    assert place.is_symlink()
    assert install(place, skill_dir=skill).action == "replaced"
    assert not place.is_symlink()
    assert place.joinpath("SKILL.md").is_file()
    assert skill.joinpath("SKILL.md").is_file()


def test_an_installed_package_cannot_be_linked(place: Path, tmp_path: Path) -> None:
    """Without a checkout there is nothing to link to, and that is said."""
    with pytest.raises(InputError, match="checkout"):
        install(place, skill_dir=tmp_path, link=True)


@pytest.mark.parametrize("link", [False, True])
def test_dry_run_changes_nothing(place: Path, skill: Path, link: bool) -> None:
    """What would be done is said, and nothing is there afterwards."""
    assert install(place, skill_dir=skill, link=link, dry_run=True).action == "created"
    assert not place.parent.exists()
    install(place, skill_dir=skill, link=link)
    assert uninstall(place, dry_run=True).action == "removed"
    assert place.exists()


def test_a_copy_that_fails_leaves_the_old_one(place: Path, skill: Path) -> None:
    """A file that can't be read stops the copy before anything is exchanged."""
    install(place, skill_dir=skill)
    before = tree(place)
    skill.joinpath("assets").mkdir()
    skill.joinpath("assets", "gone").symlink_to(skill / "nowhere")
    with pytest.raises(OSError, match=r"assets/gone"):
        install(place, skill_dir=skill)
    assert tree(place) == before
    assert [path.name for path in place.parent.iterdir()] == [SKILL_NAME]


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`vda install` prints the action and the place; an undo needs nothing but the same words."""
    words = ["install", "--agent", "codex", "--workspace", str(tmp_path), "--link"]
    assert main([*words, "--dry-run"]) == 0
    assert main(words) == 0
    assert main([*words, "--undo"]) == 0
    said = capsys.readouterr().out.splitlines()
    place = skill_place("codex", tmp_path)
    assert said == [
        f"would be created: {place} (link)",
        f"created: {place} (link)",
        f"removed: {place} (link)",
    ]


def test_manifests_say_what_the_package_says() -> None:
    """Every manifest names this skill, this version and the description of SKILL.md."""
    front = yaml.safe_load(
        re.split("^---$", (REPOSITORY / "SKILL.md").read_text("utf-8"), flags=re.MULTILINE)[1]
    )
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == __version__ == front["metadata"]["version"]
    plugin = json.loads((REPOSITORY / ".claude-plugin" / "plugin.json").read_text("utf-8"))
    market = json.loads((REPOSITORY / ".claude-plugin" / "marketplace.json").read_text("utf-8"))
    codex = json.loads((REPOSITORY / ".codex-plugin" / "plugin.json").read_text("utf-8"))
    cursor = json.loads((REPOSITORY / ".cursor-plugin" / "plugin.json").read_text("utf-8"))
    gemini = json.loads((REPOSITORY / "gemini-extension.json").read_text("utf-8"))
    for manifest in (plugin, codex, cursor, *market["plugins"], gemini):
        assert (manifest["name"], manifest["version"]) == (SKILL_NAME, __version__)
        assert manifest["description"] == front["description"]
    for manifest in (plugin, codex, cursor):
        author = manifest["author"]
        assert f"{author['name']} <{author['email']}>" == front["metadata"]["author"]
        assert manifest["license"] == front["license"] == project["license"]
        # Each host finds SKILL.md in the repository's own folder, by the path that it takes for that.
        (folder,) = [manifest["skills"]] if isinstance(manifest["skills"], str) else manifest["skills"]
        assert (REPOSITORY / folder / "SKILL.md").samefile(REPOSITORY / "SKILL.md")
    assert (REPOSITORY / gemini["contextFileName"]).is_file()
    interface = yaml.safe_load((REPOSITORY / "agents" / "openai.yaml").read_text("utf-8"))["interface"]
    assert set(interface) == {"display_name", "short_description", "default_prompt"}
    assert codex["interface"]["displayName"] == cursor["displayName"] == interface["display_name"]
    assert codex["interface"]["defaultPrompt"] == [interface["default_prompt"]]


def test_pages_and_changelog_name_the_version_that_this_is() -> None:
    """Every install that a page shows is pinned to this version, and the changelog has its section."""
    assert f"\n## {__version__}\n" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "references").rglob("*.md")):
        shown = re.findall(rf"{SKILL_NAME}(?:\[\w+\])?==([\d.]+)", page.read_text("utf-8"))
        assert set(shown) <= {__version__}, page
    assert f"{SKILL_NAME}=={__version__}" in (REPOSITORY / "README.md").read_text("utf-8")


def test_notices_are_there_for_what_others_made() -> None:
    """NOTICE names each vendored file and its licence; the weights are those that their page describes."""
    notice = (REPOSITORY / "NOTICE").read_text("utf-8")
    for folder, suffix in (("models", ".onnx"), ("samples", ".mp4")):
        page = (REPOSITORY / "assets" / folder / "README.md").read_text("utf-8")
        for file in (REPOSITORY / "assets" / folder).glob(f"*{suffix}"):
            assert f"assets/{folder}/{file.name}: " in notice
            assert file.name in page
            assert folder != "models" or hashlib.sha256(file.read_bytes()).hexdigest() in page
    assert "Apache License" in (REPOSITORY / "LICENSE").read_text("utf-8")
